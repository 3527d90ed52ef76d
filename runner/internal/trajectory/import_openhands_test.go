package trajectory

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const openHandsSample = "openhands/output.jsonl"

func TestRealOpenHands(t *testing.T) {
	d, report := importSample(t, openHandsSample)
	checkTrees(t, d)
	rows := sampleRows(t, openHandsSample)
	if len(d.Trajectories) != len(rows) || report.Format != OpenHands {
		t.Fatal(report)
	}
	for i, row := range rows {
		var history []struct {
			ID                  int
			Timestamp           string
			Action, Observation string
			Cause               int
			Content             string
			Args                struct {
				Content string
				Tools   json.RawMessage
			}
			Call *struct {
				ID       string `json:"tool_call_id"`
				Function string `json:"function_name"`
				Response struct {
					ID      string
					Choices []struct{ Message struct{ Content string } }
				} `json:"model_response"`
			} `json:"tool_call_metadata"`
		}
		var metrics struct {
			Usages []struct {
				Prompt int    `json:"prompt_tokens"`
				Output int    `json:"completion_tokens"`
				ID     string `json:"response_id"`
			} `json:"token_usages"`
		}
		for key, v := range map[string]any{"history": &history, "metrics": &metrics} {
			if err := json.Unmarshal(row[key], v); err != nil {
				t.Fatal(err)
			}
		}
		tr := d.Trajectories[i]
		rs := requests(t, tr)
		stamp := func(s string) time.Time {
			at, err := time.Parse("2006-01-02T15:04:05", s)
			if err != nil {
				t.Fatal(err)
			}
			return at
		}
		var wanted []string
		var want time.Duration
		turns, calls := 0, 0
		began := map[int]time.Time{}
		for _, e := range history {
			began[e.ID] = stamp(e.Timestamp)
			switch {
			case e.Action == "system" || e.Action == "message":
				role := map[string]string{"system": "system", "message": "user"}[e.Action]
				wanted = append(wanted, role+":"+e.Args.Content)
				if e.Args.Tools != nil && !cmp.Equal(decode(t, tr.Turns[0].Tools), decode(t, e.Args.Tools)) {
					t.Error("the tools are not those of the system event")
				}
			case e.Action != "" && e.Call != nil:
				if got := brief(rs[turns]); !cmp.Equal(got, wanted) {
					t.Fatalf("turn %d asks (-want +got):\n%s", turns, cmp.Diff(wanted, got))
				}
				turn, usage := tr.Turns[turns], metrics.Usages[turns]
				if usage.ID != e.Call.Response.ID || turn.Output != usage.Output || turn.Prompt != usage.Prompt {
					t.Errorf("turn %d: %d and %d tokens, recorded %+v", turns, turn.Prompt, turn.Output, usage)
				}
				if turns < len(tr.Turns)-1 && (len(turn.Calls) != 1 || turn.Calls[0].Tool != e.Call.Function) {
					t.Errorf("turn %d: calls %v, want %s", turns, turn.Calls, e.Call.Function)
				}
				turns++
				wanted = append(wanted, "assistant("+e.Call.ID+"):"+e.Call.Response.Choices[0].Message.Content)
			case e.Observation != "" && e.Call != nil:
				calls++
				want += began[e.ID].Sub(began[e.Cause])
				wanted = append(wanted, "tool("+e.Call.ID+"):"+e.Content)
			}
		}
		var spent time.Duration
		named := 0
		for _, turn := range tr.Turns {
			spent += turn.ToolTime()
			named += len(turn.Calls)
		}
		if len(tr.Turns) != turns || turns != len(metrics.Usages) || named != calls || math.Abs(float64(spent-want)) > 1 {
			t.Errorf("%d turns of %d, %d calls of %d, %v of tool time, want %v", len(tr.Turns), turns, named, calls, spent, want)
		}
	}
}

// event makes an action or observation with the response that it belongs to.
func event(id, at, rest, call, response string) string {
	s := `{"id":` + id + `,"timestamp":"2025-01-01T00:00:` + at + `","source":"agent",` + rest
	if call != "" {
		s += `,"tool_call_metadata":{"function_name":"f","tool_call_id":"` + call + `","total_calls_in_response":1,"model_response":` + response + `}`
	}
	return s + "}"
}

// answerOf makes a model response that calls tools.
func answerOf(id, content string, calls ...string) string {
	var made []string
	for i, c := range calls {
		made = append(made, `{"index":`+string('0'+rune(i))+`,"function":{"arguments":"{}","name":"f"},"id":"`+c+`","type":"function"}`)
	}
	return `{"id":"` + id + `","choices":[{"message":{"content":"` + content + `","role":"assistant","tool_calls":[` + strings.Join(made, ",") + `],"function_call":null}}],"usage":{"prompt_tokens":10,"completion_tokens":5}}`
}

func openHandsEvents() string {
	two := answerOf("r1", "both", "c1", "c2")
	return strings.Join([]string{
		event("0", "00", `"action":"system","args":{"content":"s","tools":`+tools+`}`, "", ""),
		strings.Replace(event("1", "00", `"action":"message","args":{"content":"task","image_urls":["x"]}`, "", ""), `"agent"`, `"user"`, 1),
		event("2", "01", `"action":"run","args":{"command":"a"}`, "c1", two),
		event("3", "03.5", `"observation":"run","cause":2,"content":"r1","extras":{"exit":0}`, "c1", two),
		event("4", "04", `"action":"run","args":{"command":"b"}`, "c2", two),
		event("5", "05", `"observation":"run","cause":4,"content":"r2"`, "c2", two),
		event("6", "06", `"action":"delegate","args":{"agent":"Browser"}`, "c3", answerOf("r2", "", "c3")),
		event("7", "06.5", `"action":"system","args":{"content":"s2"}`, "", ""),
		strings.Replace(event("8", "07", `"action":"message","args":{"content":"sub task"}`, "", ""), `"agent"`, `"user"`, 1),
		event("9", "08", `"action":"browse","args":{}`, "c4", answerOf("r3", "open", "c4")),
		event("10", "09", `"observation":"browse","cause":9,"content":"page"`, "c4", answerOf("r3", "open", "c4")),
		event("11", "10", `"action":"finish","args":{}`, "c5", answerOf("r4", "seen", "c5")),
		event("12", "11", `"observation":"delegate","cause":6,"content":"found"`, "c3", answerOf("r2", "", "c3")),
		event("13", "12", `"action":"message","args":{"content":"What next?"},"llm_metrics":{"accumulated_token_usage":{"prompt_tokens":50,"completion_tokens":17}}`, "", ""),
		strings.Replace(event("14", "20", `"action":"message","args":{"content":"stop"}`, "", ""), `"agent"`, `"user"`, 1),
		event("15", "21", `"action":"run","args":{"command":"c","thought":"hm"}`, "", ""),
		event("16", "23", `"observation":"run","cause":15,"content":"r"`, "", ""),
		event("17", "24", `"action":"condensation","args":{}`, "", ""),
		event("18", "25", `"observation":"error","content":"broken"`, "", ""),
		event("19", "26", `"action":"message","args":{"content":"end"}`, "", ""),
	}, ",\n")
}

func TestImportOpenHands(t *testing.T) {
	for name, in := range map[string]string{
		"row":    `{"instance_id":"i","history":[` + strings.ReplaceAll(openHandsEvents(), "\n", "") + `],"metrics":{"token_usages":[{"response_id":"r1","prompt_tokens":11,"completion_tokens":6}]},"test_result":{"x":1}}`,
		"stream": "[" + openHandsEvents() + "]",
	} {
		d, report := importText(t, "i.json", in)
		if len(d.Trajectories) != 1 || report.BadCount != 0 || report.Format != OpenHands || d.Trajectories[0].ID != "i" {
			t.Fatal(name, report)
		}
		tr := d.Trajectories[0]
		rs := requests(t, tr)
		want := "system:s user:task assistant(c1 c2):both tool(c1):r1 tool(c2):r2 assistant(c3): tool(c3):found assistant:What next? user:stop assistant(call_event_15):hm tool(call_event_15):r user:broken"
		if got := strings.Join(brief(rs[len(rs)-1]), " "); len(rs) != 5 || got != want {
			t.Errorf("%s: %d turns\ngot  %s\nwant %s", name, len(rs), got, want)
		}
		calls := [][]Call{{{"f", 2500 * time.Millisecond}, {"f", time.Second}}, {{"f", 0}}, nil, {{"run", 2 * time.Second}}, nil}
		outputs := map[string][]int{"row": {6, 5, 17, 0, 0}, "stream": {5, 5, 17, 0, 0}}[name]
		for k, turn := range tr.Turns {
			if diff := cmp.Diff(calls[k], turn.Calls); diff != "" || turn.Output != outputs[k] || string(turn.Tools) != tools {
				t.Errorf("%s turn %d: %d tokens, tools %s, calls (-want +got):\n%s", name, k, turn.Output, turn.Tools, diff)
			}
		}
		sub := tr.Subagents[0]
		if len(tr.Subagents) != 1 || sub.Fork != 1 || sub.Join != 2 || sub.Delay != 500*time.Millisecond || len(sub.Turns) != 2 || sub.ID != "i/delegate-1" {
			t.Errorf("%s: sub-agent %+v", name, sub)
		}
		for _, what := range []string{"images of a message", "the agent condensed", "the model's response is not recorded", "the conversation of a delegate"} {
			if noted(report, what) != 1 {
				t.Errorf("%s: no note on %s: %v", name, what, report.Notes)
			}
		}
	}
}

func TestImportOpenHandsBad(t *testing.T) {
	good := `{"instance_id":"g","history":[{"id":0,"source":"user","action":"message","args":{"content":"u"}},{"id":1,"source":"agent","action":"message","args":{"content":"a"}}]}`
	pairs := `{"instance_id":"p","history":[[{"source":"user","action":"message","args":{"content":"u"}},{"observation":"null","content":""}],[{"source":"agent","action":"message","args":{"content":"a"}},{}]]}`
	in := good + "\n" + `{"instance_id":"b","history":[{"id":0,"x":1}]}` + "\n{oops\n" + `{"instance_id":"n","history":[]}` + "\n" + strings.Replace(pairs, ",{}]", "]", 1)
	d, report := importText(t, "o.jsonl", in)
	if len(d.Trajectories) != 2 || report.LeftOut != 3 || report.Rows != 5 {
		t.Fatal(report)
	}
	for i, want := range []string{"o.jsonl:2: history[0]: the event is neither an action nor an observation", "o.jsonl:3: not JSON", "o.jsonl:4: the conversation has no answer"} {
		if got := report.Bad[i].Error(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func FuzzImportOpenHands(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) {
		return l.importOpenHands(bytes.NewReader(in), "f")
	},
		`{"instance_id":"i","history":[`+strings.ReplaceAll(openHandsEvents(), "\n", "")+`]}`, "["+openHandsEvents()+"]")
}
