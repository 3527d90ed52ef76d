package trajectory

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// atifSteps are steps with everything that a version of the format has.
const atifSteps = `[
{"step_id":1,"source":"system","message":"s","observation":{"results":[{"content":"ready"}]}},
{"step_id":2,"source":"user","timestamp":"2025-10-11T10:30:00Z","message":"u","is_copied_context":false},
{"step_id":3,"source":"agent","timestamp":"2025-10-11T10:30:02Z","message":"look","reasoning_content":"hm","model_name":"m",
 "tool_calls":[{"tool_call_id":"c1","function_name":"search","arguments":{"q": "a b"}},{"tool_call_id":"c2","function_name":"ask","arguments":{}}],
 "observation":{"results":[{"source_call_id":"c1","content":"found"},{"source_call_id":"c2","content":null,"subagent_trajectory_ref":[{"REF":"sub-1"}]}]},
 "metrics":{"prompt_tokens":520,"completion_tokens":80,"cached_tokens":200},
 "extra":{"tool_invocations":[{"start_timestamp":100.5,"end_timestamp":102},{"start_timestamp":102,"end_timestamp":102.25}]}},
{"step_id":4,"source":"agent","message":"routed","llm_call_count":0},
{"step_id":5,"source":"user","message":[{"type":"text","text":"see"},{"type":"image","source":{"media_type":"image/png","path":"x.png"}}]},
{"step_id":6,"source":"agent","message":"done","llm_call_count":2,"observation":{"results":[{"content":"free"}]},"metrics":{"prompt_tokens":600,"completion_tokens":44}},
{"step_id":7,"source":"agent","message":"bye"}]`

func atifDocument(version, ref string) string {
	sub := `{"schema_version":"ATIF-v1.7","trajectory_id":"sub-1","session_id":"sub-1","agent":{"name":"s","version":"1"},"steps":[
{"step_id":1,"source":"user","timestamp":"2025-10-11T10:30:03.5Z","message":"su"},{"step_id":2,"source":"agent","message":"sa"}]}`
	alone := strings.ReplaceAll(sub, "sub-1", "sub-2")
	empty := `{"schema_version":"ATIF-v1.7","trajectory_id":"sub-3","agent":{"name":"s","version":"1"},"steps":[]}`
	return fmt.Sprintf(`{"schema_version":%q,"session_id":"run","agent":{"name":"a","version":"1","tool_definitions":%s},"notes":"n",
"steps":%s,"subagent_trajectories":[%s,%s,%s],"final_metrics":{"total_steps":7}}`, version, tools, strings.Replace(atifSteps, "REF", ref, 1), alone, sub, empty)
}

func TestImportATIF(t *testing.T) {
	for name, in := range map[string]string{
		"1.7":   atifDocument("ATIF-v1.7", "trajectory_id"),
		"1.4":   atifDocument("ATIF-v1.4", "session_id"),
		"array": "[" + atifDocument("ATIF-v1.6", "session_id") + "]",
		"line":  strings.ReplaceAll(atifDocument("ATIF-v1.0", "session_id"), "\n", ""),
	} {
		d, report := importText(t, "trajectory.json", in)
		if len(d.Trajectories) != 1 || report.BadCount != 0 || report.Format != ATIF || d.Trajectories[0].ID != "run" {
			t.Fatal(name, report)
		}
		tr := d.Trajectories[0]
		want := `{"role":"system","content":"s"},{"role":"user","content":"u"},` +
			`{"role":"assistant","content":"look","reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function","function":{"name":"search","arguments":"{\"q\":\"a b\"}"}},{"id":"c2","type":"function","function":{"name":"ask","arguments":"{}"}}]},` +
			`{"role":"tool","tool_call_id":"c1","content":"found"},{"role":"tool","tool_call_id":"c2","content":""},` +
			`{"role":"assistant","content":"routed"},{"role":"user","content":[{"type":"text","text":"see"}]},` +
			`{"role":"assistant","content":"done"},{"role":"user","content":"free"}`
		if diff := cmp.Diff(want, string(tr.Messages)); diff != "" {
			t.Errorf("%s: messages (-want +got):\n%s", name, diff)
		}
		for k, want := range []Turn{
			{Prompt: 520, Output: 80, Calls: []Call{{"search", 1500 * time.Millisecond}, {"ask", 250 * time.Millisecond}}},
			{Prompt: 600, Output: 44}, {},
		} {
			got := tr.Turns[k]
			want.End, want.Extra, want.Tools = got.End, got.Extra, []byte(tools)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: turn %d (-want +got):\n%s", name, k, diff)
			}
		}
		if len(tr.Subagents) != 2 {
			t.Fatalf("%s: %d sub-agents", name, len(tr.Subagents))
		}
		for i, want := range []struct {
			id         string
			fork, join int
			delay      time.Duration
		}{{"run/2-sub-2", -1, 3, 3500 * time.Millisecond}, {"run/1-sub-1", 0, 1, 1500 * time.Millisecond}} {
			s := tr.Subagents[i]
			if s.ID != want.id || s.Fork != want.fork || s.Join != want.join || s.Delay != want.delay || string(s.Messages) != `{"role":"user","content":"su"}` {
				t.Errorf("%s: sub-agent %q from %d to %d after %v, want %+v", name, s.ID, s.Fork, s.Join, s.Delay, want)
			}
		}
		for _, what := range []string{"a step of the agent without a model call", "a part of a message", "a step that stands for several", "no step refers to", "a result of the system's own", "a sub-agent without an answer"} {
			if noted(report, what) == 0 {
				t.Errorf("%s: no note on %s: %v", name, what, report.Notes)
			}
		}
		for _, kept := range []string{`"final_metrics":{"total_steps":7}`, `"notes":"n"`, `"agent":{"name":"a","version":"1"}`, `"metrics":{"cached_tokens":200}`} {
			if !strings.Contains(string(tr.Turns[0].Extra), kept) {
				t.Errorf("%s: %s is not in the extra of turn 0: %s", name, kept, tr.Turns[0].Extra)
			}
		}
	}
}

func TestImportATIFBad(t *testing.T) {
	good := `{"schema_version":"ATIF-v1.5","session_id":"g","steps":[{"source":"user","message":"u"},{"source":"agent","message":"a"}]}`
	for name, c := range map[string]struct{ from, to, want string }{
		"version": {"ATIF-v1.5", "ATIF-v2.0", `schema_version is "ATIF-v2.0", want ATIF-v1.0 to v1.7`},
		"source":  {`"agent"`, `"robot"`, `steps[1]: source is "robot"`},
		"message": {`"message":"u"`, `"message":7`, "steps[0]: message is a number, not an array"},
		"metrics": {`"message":"a"`, `"message":"a","metrics":{"prompt_tokens":-1}`, "steps[1]: metrics: prompt_tokens is -1, not a count"},
		"call":    {`"message":"a"`, `"message":"a","tool_calls":[{"tool_call_id":"c"}]`, "steps[1]: message 1: tool call 0: it has no function name"},
		"answer":  {`"agent"`, `"user"`, "the conversation has no answer"},
	} {
		d, report := importText(t, "t.jsonl", good+"\n"+strings.Replace(strings.Replace(good, c.from, c.to, 1), `"g"`, `"b"`, 1)+"\n")
		if len(d.Trajectories) != 1 || len(report.Bad) != 1 || !strings.Contains(report.Bad[0].Error(), "t.jsonl:2: "+c.want) {
			t.Errorf("%s: %v\nwant %s", name, report, c.want)
		}
	}
}

func FuzzImportATIF(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) { return l.importATIF(bytes.NewReader(in), "f") },
		atifDocument("ATIF-v1.7", "trajectory_id"), "["+atifDocument("ATIF-v1.2", "session_id")+"]")
}
