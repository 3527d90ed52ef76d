package trajectory

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// samples returns the paths of the recorded samples that match.
func samples(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(data, pattern))
	if err != nil || len(paths) == 0 {
		t.Skipf("SKIPPED: no sample %s is here: %v", pattern, err)
	}
	return paths
}

// sampleDocument decodes a sample with encoding/json only.
func sampleDocument(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}

// Every sample: turns, calls and times are those of the raw file, and each request is the history before its answer.
func TestRealSWEAgent(t *testing.T) {
	for _, path := range samples(t, "swe-agent/*.traj") {
		var raw struct {
			History []struct {
				Role, Content string
				Calls         []struct {
					ID       string
					Function struct{ Name, Arguments string }
				} `json:"tool_calls"`
				Answers []string `json:"tool_call_ids"`
			}
			Trajectory []struct {
				Time *float64 `json:"execution_time"`
			}
			Info struct {
				Stats struct {
					Calls int `json:"api_calls"`
				} `json:"model_stats"`
			}
		}
		sampleDocument(t, path, &raw)
		d, reports, err := Limits{}.Import([]string{path}, Auto)
		if err != nil {
			t.Fatal(err)
		}
		if reports[0].BadCount != 0 || len(d.Trajectories) != 1 || reports[0].Format != SWEAgent {
			t.Fatal(reports[0])
		}
		checkTrees(t, d)
		tr := d.Trajectories[0]
		if want := strings.TrimSuffix(filepath.Base(path), ".traj"); tr.ID != want {
			t.Errorf("id %q, want %q", tr.ID, want)
		}
		rs := requests(t, tr)
		answers, calls := 0, 0
		var wanted []string
		for _, m := range raw.History {
			if m.Role == "assistant" {
				if got := brief(rs[answers]); !cmp.Equal(got, wanted) {
					t.Fatalf("%s: turn %d asks (-want +got):\n%s", path, answers, cmp.Diff(wanted, got))
				}
				answers++
			}
			s := m.Role
			for _, c := range m.Calls {
				s += "(" + c.ID + ")"
				if answers < len(tr.Turns) { // the calls after the last turn delay nothing
					calls++
				}
			}
			for _, id := range m.Answers {
				s += "(" + id + ")"
			}
			wanted = append(wanted, s+":"+m.Content)
		}
		// The last answer of one sample is in its steps only.
		extra := 0
		if last := raw.History[len(raw.History)-1]; last.Role != "assistant" && len(raw.Trajectory) > answers {
			extra = 1
			if got := brief(rs[answers]); !cmp.Equal(got, wanted) {
				t.Errorf("%s: the turn of the last step asks (-want +got):\n%s", path, cmp.Diff(wanted, got))
			}
		}
		if got, want := len(tr.Turns), answers+extra; got != want || raw.Info.Stats.Calls > 0 && raw.Info.Stats.Calls != want {
			t.Errorf("%s: %d turns, want %d; the agent counted %d calls", path, got, want, raw.Info.Stats.Calls)
		}
		named, spent, want := 0, 0.0, 0.0
		for k, turn := range tr.Turns {
			for _, c := range turn.Calls {
				if c.Tool != "" {
					named++
				}
			}
			spent += turn.ToolTime().Seconds()
			if k < len(tr.Turns)-1 && len(raw.Trajectory) > k && raw.Trajectory[k].Time != nil {
				want += *raw.Trajectory[k].Time
			}
		}
		if named != calls || math.Abs(spent-want) > 1e-6 {
			t.Errorf("%s: %d tool calls, want %d; %g s of tool time, want %g", path, named, calls, spent, want)
		}
	}
}

func TestImportSWEAgent(t *testing.T) {
	in := `{"environment":"main","history":[
{"role":"system","content":"s","agent":"main","message_type":"system_prompt"},
{"role":"user","content":"demo","agent":"main","is_demo":true},
{"role":"assistant","content":"shown","agent":"main","is_demo":true},
{"role":"user","content":"task","agent":"main","tool_call_ids":null},
{"role":"assistant","content":"look","thought":"look","action":"ls","agent":"main"},
{"role":"system","content":"s2","agent":"helper"},{"role":"user","content":"help","agent":"helper"},{"role":"assistant","content":"h","agent":"helper"},{"role":"user","content":"more","agent":"helper"},{"role":"assistant","content":"h2","agent":"helper"},
{"role":"user","content":"files","agent":"main"},
{"role":"assistant","content":[{"type":"text","text":"edit"}],"action":"edit","agent":"main","tool_calls":[{"id":"c","type":"function","function":{"name":"edit","arguments":"{}"}}]},
{"role":"tool","content":"ok","agent":"main","tool_call_ids":["c"]},
{"role":"assistant","content":"done","action":"submit","agent":"main"}],
"trajectory":[{"action":"ls","response":"look","execution_time":0.5,"state":"x","query":[{"role":"system"}]},
{"action":"oops","response":"oops"},{"action":"edit","response":"edit","execution_time":1.25},{"action":"submit","response":"done","execution_time":9}],"info":{"exit_status":"submitted"}}`
	d, report := importText(t, "x.traj", in)
	tr := d.Trajectories[0]
	rs := requests(t, tr)
	if got, want := strings.Join(brief(rs[2]), " "), "system:s user:demo assistant:shown user:task assistant:look user:files assistant(c) tool(c):ok"; len(rs) != 3 || got != want {
		t.Errorf("%d turns\ngot  %s\nwant %s", len(rs), got, want)
	}
	calls := [][]Call{{{"", 500 * time.Millisecond}}, {{"edit", 1250 * time.Millisecond}}, nil}
	for k, turn := range tr.Turns {
		if diff := cmp.Diff(calls[k], turn.Calls); diff != "" {
			t.Errorf("turn %d: calls (-want +got):\n%s", k, diff)
		}
	}
	if len(tr.Subagents) != 1 {
		t.Fatalf("sub-agents: %v", tr.Subagents)
	}
	sub := tr.Subagents[0]
	if sub.Fork != 0 || sub.Join != 1 || sub.ID != "x/helper-1" || len(sub.Turns) != 2 {
		t.Errorf("%q forks at %d, joins at %d, %d turns", sub.ID, sub.Fork, sub.Join, len(sub.Turns))
	}
	if extra := string(tr.Turns[0].Extra); strings.Contains(extra, "query") || !strings.Contains(extra, `"step":{"action":"ls","response":"look","execution_time":0.5,"state":"x"}`) || !strings.Contains(extra, `"info":{"exit_status":"submitted"}`) {
		t.Errorf("extra of turn 0: %s", extra)
	}
	if !strings.Contains(string(tr.Turns[1].Extra), `"step":{"action":"oops"`) || noted(report, "a step of trajectory has no answer") != 1 {
		t.Errorf("extra of turn 1: %s", tr.Turns[1].Extra)
	}
}

// The history may end before the steps do: the first of those left is the last answer, the others are kept.
func TestImportSWEAgentLastSteps(t *testing.T) {
	d, report := importText(t, "x.traj", `{"history":[{"role":"user","content":"u"},{"role":"assistant","content":"a"},{"role":"user","content":"o"}],
"trajectory":[{"response":"a","execution_time":1},{"response":"end"},{"response":"exit"}]}`)
	turns := d.Trajectories[0].Turns
	if len(turns) != 2 || turns[0].ToolTime() != time.Second || noted(report, "the last answer is in trajectory only") != 1 || noted(report, "a step of trajectory has no answer") != 1 {
		t.Fatalf("%d turns, %v", len(turns), report)
	}
	for _, want := range []string{`"answer":{"role":"assistant","content":"end"}`, `"step":{"response":"exit"}`} {
		if !strings.Contains(string(turns[1].Extra), want) {
			t.Errorf("%s is not in %s", want, turns[1].Extra)
		}
	}
}

func TestImportSWEAgentAttempts(t *testing.T) {
	history := `"history":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}],"trajectory":[]`
	d, report := importText(t, "x.traj", `{`+history+`,"attempts":[{`+history+`},{"history":[]},{`+history+`}]}`)
	if len(d.Trajectories) != 2 || d.Trajectories[1].ID != "x-3" || report.LeftOut != 1 || !strings.Contains(report.Bad[0].Error(), "attempt 2: the conversation has no answer") {
		t.Errorf("%v", report)
	}
}

func FuzzImportSWEAgent(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) {
		return l.importSWEAgent(bytes.NewReader(in), "f")
	},
		`{"history":[{"role":"user","content":"u","agent":"m"},{"role":"assistant","content":"a","agent":"m","action":"x"},{"role":"user","content":"s","agent":"o"},{"role":"assistant","content":"t","agent":"o"},{"role":"tool","content":"r","agent":"m","tool_call_ids":["c"]}],"trajectory":[{"response":"a","execution_time":1},{"response":"z"}],"step":1}`)
}
