package trajectory

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRealMiniSWE(t *testing.T) {
	for _, path := range samples(t, "mini-swe-agent/*.json") {
		var raw []struct{ Role, Content string }
		sampleDocument(t, path, &raw)
		d, reports, err := Limits{}.Import([]string{path}, Auto)
		if err != nil {
			t.Fatal(err)
		}
		if reports[0].Format != MiniSWE || len(d.Trajectories) != 1 || reports[0].BadCount != 0 || reports[0].Rows != len(raw) {
			t.Fatal(reports[0])
		}
		checkTrees(t, d)
		rs := requests(t, d.Trajectories[0])
		answers := 0
		var wanted []string
		for _, m := range raw {
			if m.Role == "assistant" {
				if got := brief(rs[answers]); !cmp.Equal(got, wanted) {
					t.Fatalf("%s: turn %d asks (-want +got):\n%s", path, answers, cmp.Diff(wanted, got))
				}
				answers++
			}
			wanted = append(wanted, m.Role+":"+m.Content)
		}
		if len(rs) != answers || answers == 0 {
			t.Errorf("%s: %d turns, want %d", path, len(rs), answers)
		}
	}
}

func TestImportMiniSWE(t *testing.T) {
	in := `{"instance_id":"i","trajectory_format":"mini-swe-agent-1.1","info":{"mini_version":"2.4.6","exit_status":"Submitted"},"messages":[
{"role":"system","content":"s"},{"role":"user","content":"task"},
{"content":"go","role":"assistant","tool_calls":[{"function":{"arguments":"{}","name":"bash"},"id":"c1","type":"function"},{"function":{"arguments":"{}","name":"bash"},"id":"c2","type":"function"}],"function_call":null,"extra":{"timestamp":1000.5,"response":{"usage":{"prompt_tokens":100,"completion_tokens":20}}}},
{"role":"tool","tool_call_id":"c1","content":"r1","extra":{"returncode":0,"timestamp":1002.5}},
{"role":"tool","tool_call_id":"c2","content":"r2","extra":{"returncode":1,"timestamp":1003.5}},
{"role":"user","content":"no call","extra":{"interrupt_type":"FormatError","response":{"usage":{"prompt_tokens":120,"completion_tokens":5}}}},
{"role":"assistant","content":"bye","extra":{"response":{"usage":{"prompt_tokens":140,"completion_tokens":7}}}},
{"role":"exit","content":"","extra":{"exit_status":"Submitted","submission":"diff"}}]}`
	d, report := importText(t, "x.traj.json", in)
	tr := d.Trajectories[0]
	rs := requests(t, tr)
	if got, want := strings.Join(brief(rs[2]), " "), "system:s user:task assistant(c1 c2):go tool(c1):r1 tool(c2):r2 user:no call"; len(rs) != 3 || got != want || tr.ID != "i" {
		t.Errorf("%q: %d turns\ngot  %s\nwant %s", tr.ID, len(rs), got, want)
	}
	for k, want := range []Turn{{Prompt: 100, Output: 20, Calls: []Call{{"bash", 1500 * time.Millisecond}, {"bash", 1500 * time.Millisecond}}}, {Prompt: 120, Output: 5}, {Prompt: 140, Output: 7}} {
		got := tr.Turns[k]
		want.End, want.Extra = got.End, got.Extra
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("turn %d (-want +got):\n%s", k, diff)
		}
	}
	if noted(report, "an answer that the agent did not keep") != 1 || !strings.Contains(string(tr.Turns[2].Extra), `"submission":"diff"`) {
		t.Errorf("%v\n%s", report, tr.Turns[2].Extra)
	}
}

// With the responses API an answer is a response, and a result is an output of a function call.
func TestImportMiniSWEResponses(t *testing.T) {
	in := `{"info":{"mini_version":"2"},"messages":[{"role":"user","content":"task"},
{"object":"response","usage":{"input_tokens":10,"output_tokens":4},"output":[{"type":"reasoning","summary":[]},{"type":"message","content":[{"type":"output_text","text":"go"}]},{"type":"function_call","call_id":"c","name":"bash","arguments":"{}"}]},
{"type":"function_call_output","call_id":"c","output":"r"},
{"object":"response","output":[{"type":"message","content":[{"type":"output_text","text":"end"}]}]}]}`
	d, _ := importText(t, "x.json", in)
	tr := d.Trajectories[0]
	want := `{"role":"user","content":"task"},{"role":"assistant","content":"go","tool_calls":[{"id":"c","type":"function","function":{"name":"bash","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}`
	if got := string(tr.Messages); got != want || tr.Turns[0].Prompt != 10 || tr.Turns[0].Output != 4 {
		t.Errorf("\ngot  %s\nwant %s\n%+v", got, want, tr.Turns[0])
	}
}

func TestImportMiniSWEBad(t *testing.T) {
	_, report, err := Limits{}.importMiniSWE(strings.NewReader(`[{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"robot"},{"role":"assistant","content":"a"}]`), "f")
	if err != nil || report.Trajectories != 0 || report.LeftOut != 1 || !strings.HasPrefix(report.Bad[0].Error(), "f: item 3: ") {
		t.Errorf("%v %v", err, report)
	}
}

func FuzzImportMiniSWE(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) { return l.importMiniSWE(bytes.NewReader(in), "f") },
		`[{"role":"user","content":"u"},{"role":"assistant","content":"a","extra":{"timestamp":5}},{"role":"user","content":"r","extra":{"timestamp":6,"returncode":0}},{"role":"assistant","content":"a"}]`,
		`{"info":{"mini_version":"2"},"messages":[{"role":"user","content":"t"},{"output":[{"type":"function_call","call_id":"c","name":"b","arguments":"{}"}]},{"type":"function_call_output","call_id":"c","output":"r"},{"role":"exit"},{"output":[]}]}`)
}
