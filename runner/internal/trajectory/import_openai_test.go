package trajectory

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestImportOpenAI(t *testing.T) {
	in := strings.Join([]string{
		`{"model":"m","messages":[` + sys + `,` + user + `],"tools":` + tools + `,"max_tokens":64,"temperature":0,"response":{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":4}}}`,
		`{"session_id":"b","request":{"model":"m","messages":[` + sys + `,{"role":"user","content":"other"}],"max_completion_tokens":32},"response":{"body":{"usage":{"prompt_tokens":8,"completion_tokens":3}}}}`,
		`{"model":"m","messages":[` + sys + `,` + user + `,` + call + `,` + result + `],"usage":{"prompt_tokens":20,"completion_tokens":7}}`,
		`{"model":"m","messages":[` + sys + `,` + user + `],"usage":null}`, // the same request again: another session
		`{"model":"m","messages":[` + sys + `,` + user + `,` + call + `,` + result + `,{"role":"assistant","content":"x"}]}`,
		`{"model":"m","messages":[` + sys + `,` + user + `,{"role":"assistant","content":"x"},{"role":"user","content":"y"}]}`, // continues that
		`{"model":"m","messages":[{"role":"tool","content":"x"}]}`,
		`{"model":"m"}`,
	}, "\n")
	d, report := importText(t, "log.jsonl", in)
	var got []string
	for _, tr := range d.Trajectories {
		got = append(got, tr.ID)
		for _, turn := range tr.Turns {
			got = append(got, strings.Join(brief(requests(t, &Trajectory{Messages: tr.Messages, Turns: []Turn{turn}})[0]), " "))
		}
	}
	want := []string{
		"log", "system:be brief user:go", "system:be brief user:go assistant(c1) tool(c1):ok",
		"b", "system:be brief user:other",
		"log-4", "system:be brief user:go", "system:be brief user:go assistant:x user:y",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	first := d.Trajectories[0].Turns
	for k, want := range []Turn{{Prompt: 9, Output: 4, MaxOutput: 64, Tools: []byte(tools), Calls: []Call{{Tool: "bash"}}}, {Prompt: 20, Output: 7}} {
		want.End, want.Extra = first[k].End, first[k].Extra
		if diff := cmp.Diff(want, first[k]); diff != "" {
			t.Errorf("turn %d (-want +got):\n%s", k, diff)
		}
	}
	if b := d.Trajectories[1].Turns[0]; b.Output != 3 || b.MaxOutput != 32 || !strings.Contains(string(b.Extra), `"session_id":"b"`) {
		t.Errorf("turn of b: %+v", b)
	}
	for i, want := range []string{
		`log.jsonl:5: trajectory "log" ends before this request: the last message of the turn is an answer`,
		"log.jsonl:7: message 0: role tool: its tool_call_id is missing", "log.jsonl:8: messages is missing",
	} {
		if got := report.Bad[i].Error(); !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// One request sent twice begins two sessions; what continues it continues the older one first.
func TestImportOpenAITwice(t *testing.T) {
	first := `{"model":"m","id":"ID","messages":[` + user + `]}`
	next := `{"model":"m","messages":[` + user + `,{"role":"assistant","content":"ID"},` + user + `]}`
	var rows []string
	for _, row := range []string{first, next} {
		rows = append(rows, strings.Replace(row, "ID", "a", 1), strings.Replace(row, "ID", "b", 1))
	}
	d, _ := importText(t, "log.jsonl", strings.Join(rows, "\n"))
	if len(d.Trajectories) != 2 {
		t.Fatalf("%d trajectories, want 2", len(d.Trajectories))
	}
	for i, id := range []string{"a", "b"} {
		if tr := d.Trajectories[i]; tr.ID != id || len(tr.Turns) != 2 || !strings.Contains(string(tr.Messages), `"content":"`+id+`"`) {
			t.Errorf("%q has %d turns: %s", tr.ID, len(tr.Turns), tr.Messages)
		}
	}
}

func FuzzImportOpenAI(f *testing.F) {
	a := `{"model":"m","messages":[` + user + `],"usage":{"prompt_tokens":1,"completion_tokens":2}}`
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) { return l.importOpenAI(bytes.NewReader(in), "f") },
		a+"\n"+strings.Replace(a, user, user+","+call+","+result, 1)+"\n"+a+"\n"+strings.Replace(a, user, user+","+call+","+result+","+call+","+result, 1),
		"["+a+`,{"request":`+a+`,"model":1}]`)
}
