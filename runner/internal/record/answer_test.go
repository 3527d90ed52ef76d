package record

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// said is an answer as the tests compare it.
type said struct{ Message, Model, Finish, Usage, Problem, First string }

func summarise(t testing.TB, a answer, body string) said {
	t.Helper()
	encode := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	s := said{Message: encode(a.message), Model: a.model, Finish: a.finish, Usage: encode(a.usage), Problem: a.problem}
	lines := strings.Split(strings.TrimRight(body[:a.first], "\r\n"), "\n")
	s.First = lines[len(lines)-1]
	return s
}

func stream(data ...string) string {
	return "data: " + strings.Join(data, "\n\ndata: ") + "\n\n"
}

func TestAssemble(t *testing.T) {
	first := `{"id":"x","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}`
	chat := []string{
		first, `{"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"h"}}]}`, `{"choices":[{"index":0,"delta":{"reasoning_content":"m","content":"a\u00e9"}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"c2","type":"function","function":{"name":"g","arguments":"{"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"f","arguments":""}},{"index":1,"function":{"arguments":"}"}}]}}]}`,
		`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`, `{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":12345678901234567}}`, `[DONE]`,
	}
	messages := []string{
		`{"type":"message_start","message":{"id":"i","model":"c","usage":{"input_tokens":4,"output_tokens":1}}}`, `{"type":"ping"}`,
		`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"b"}}`, `{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"z\":1,"}}`, `{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"\"a\":2}"}}`,
		`{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}`, `{"type":"message_stop"}`,
	}
	item := `{"type":"message","role":"assistant","content":[]}`
	responses := []string{
		`{"type":"response.created","response":{"id":"r","model":"o"}}`, `{"type":"response.output_text.delta","delta":"x"}`, `{"type":"response.output_item.done","item":` + item + `}`,
		`{"type":"response.completed","response":{"id":"r","model":"o","status":"completed","output":[` + item + `],"usage":{"output_tokens":2}}}`,
	}
	itemOut := `[{"content":[],"role":"assistant","type":"message"}]`
	chatOut := `{"content":"aé","reasoning_content":"hm","role":"assistant","tool_calls":[{"function":{"arguments":"","name":"f"},"id":"c1","type":"function"},{"function":{"arguments":"{}","name":"g"},"id":"c2","type":"function"}]}`
	tests := []struct {
		name, api, body string
		whole           bool
		want            said
	}{
		{"chat", "chat", stream(chat...), false, said{chatOut, "m", "tool_calls", `{"completion_tokens":12345678901234567,"prompt_tokens":3}`, "", "data: " + chat[1]}},
		{"carriage returns", "chat", strings.ReplaceAll(stream(chat...), "\n", "\r\n"), false, said{chatOut, "m", "tool_calls", `{"completion_tokens":12345678901234567,"prompt_tokens":3}`, "", "data: " + chat[1] + ""}},
		{"broken", "chat", stream(chat[:3]...) + `data: {"choi`, false, said{`{"content":"aé","reasoning_content":"hm","role":"assistant"}`, "m", "", "null", problemBroken, "data: " + chat[1]}},
		{"error", "chat", stream(first, `{"error":{"message":"no memory"}}`), false, said{`{"content":"","role":"assistant"}`, "m", "", "null", "the server ends the answer with an error: no memory", ""}},
		{"index", "chat", stream(`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":999999999}]}}]}`), false, said{`{}`, "", "", "null", "the answer has a part with the index 999999999", `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":999999999}]}}]}`}},
		{"empty", "chat", "", false, said{"null", "", "", "null", problemBroken, ""}},
		{"whole", "chat", `{"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}`, true,
			said{`{"content":"a","role":"assistant"}`, "m", "stop", `{"prompt_tokens":3}`, "", ""}},
		{"messages", "messages", stream(messages...), false,
			said{`{"content":[{"text":"ab","type":"text"},{"id":"t","input":{"z":1,"a":2},"name":"f","type":"tool_use"}],"role":"assistant"}`, "c", "tool_use", `{"input_tokens":4,"output_tokens":9}`, "", "data: " + messages[3]}},
		{"messages, broken", "messages", stream(messages[:7]...), false,
			said{`{"content":[{"text":"ab","type":"text"},{"id":"t","input":"{\"z\":1,","name":"f","type":"tool_use"}],"role":"assistant"}`, "c", "", `{"input_tokens":4,"output_tokens":1}`, problemBroken, "data: " + messages[3]}},
		{"messages, whole", "messages", `{"model":"c","content":[],"stop_reason":"end_turn","usage":{}}`, true, said{`{"content":[],"role":"assistant"}`, "c", "end_turn", "{}", "", ""}},
		{"responses", "responses", stream(responses...), false, said{itemOut, "o", "completed", `{"output_tokens":2}`, "", "data: " + responses[1]}},
		{"responses, broken", "responses", stream(responses[:3]...), false, said{itemOut, "o", "", "null", problemBroken, "data: " + responses[1]}},
		{"responses, whole", "responses", `{"model":"o","output":[],"status":"completed"}`, true, said{"[]", "o", "completed", "null", "", ""}},
		{"not JSON", "responses", `<html>`, true, said{"null", "", "", "null", "the answer has something that is not a JSON object", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := summarise(t, assemble(tt.api, !tt.whole, []byte(tt.body)), tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzAssemble(f *testing.F) {
	f.Add("chat", true, stream(`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"x"}}]},"finish_reason":"stop"}]}`, `[DONE]`))
	f.Add("messages", true, stream(`{"type":"message_start","message":{}}`, `{"type":"content_block_delta","index":2,"delta":{"partial_json":"{}","citation":1}}`))
	f.Add("responses", true, stream(`{"type":"response.completed","response":{"output":[{}]}}`))
	f.Add("chat", false, `{"choices":[{"message":{}}]}`)
	f.Fuzz(func(t *testing.T, api string, streamed bool, body string) {
		a := assemble(api, streamed, []byte(body))
		summarise(t, a, body) // encodes, and first is within the body
		end := 0
		for _, at := range events([]byte(body)) {
			if at < end || at > len(body) {
				t.Fatalf("an event ends at %d, the one before at %d", at, end)
			}
			end = at
		}
	})
}
