package trajectory

import (
	"strings"
	"testing"
)

func TestDetectTexts(t *testing.T) {
	message := `{"role":"user","content":"x"}`
	for in, want := range map[string]Format{
		`[{"id":1,"conversations":[{"from":"human","value":"x"}]}]`:                     ShareGPT,
		`{"conversations":[{"from":"human","value":"x"}]}`:                              ShareGPT,
		`{"metadata":{},"conversations":[[{"messages":[]}]]}`:                           SGLang,
		`[{"id":1,"messages":[` + message + `]}]`:                                       Messages,
		`{"trajectory":[` + message + `]}`:                                              Messages,
		`[` + message + `]`:                                                             MiniSWE,
		"{\n\"info\":{\"mini_version\":\"2\"},\"messages\":[" + message + "]}":          MiniSWE,
		`{"history":[` + message + `]}`:                                                 SWEAgent,
		"{\n\"history\":[" + message + "],\"trajectory\":[]}":                           SWEAgent,
		`{"instance_id":"i","history":[{"id":0,"action":"message","args":{}}]}`:         OpenHands,
		`[{"id":0,"source":"user","action":"message","args":{"content":"x"}}]`:          OpenHands,
		`{"instance_id":"i","history":[[{"action":"message","args":{}},{}]]}`:           OpenHands,
		"{\n\"schema_version\":\"ATIF-v1.2\",\"steps\":[]}":                             ATIF,
		`[{"schema_version":"ATIF-v1.7","steps":[]}]`:                                   ATIF,
		`{"model":"m","messages":[` + message + `]}`:                                    OpenAI,
		`{"messages":[` + message + `],"usage":{}}`:                                     OpenAI,
		`{"request":{"model":"m","messages":[` + message + `]},"response":{}}`:          OpenAI,
		`{"model":"m","messages":[` + message + `,{"role":"assistant","content":"x"}]}`: Messages,
		`{"schema_version":"2","steps":[]}`:                                             "", `[1]`: "", `[[]]`: "", `["x"]`: "", `[`: "", `{"messages":"x"}`: "", `{"messages":[]}`: "",
	} {
		im, _, err := Limits{}.detect(strings.NewReader(in), "f")
		if im.format != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v, want %q", in, im.format, err, want)
		}
	}
}
