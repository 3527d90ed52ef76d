package trajectory

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// exchange is one line of a journal; at is the second at which its request came, and its answer took one.
func exchange(api string, at int, body string, more ...string) string {
	line := fmt.Sprintf(`{"id":1,"api":%q,"status":200,"arrived":"2026-01-02T03:04:%02d.5Z","ended":"2026-01-02T03:04:%02d.5Z","body":%s`, api, at, at+1, body)
	for _, m := range more {
		line += "," + m
	}
	return line + "}"
}

const journalHead = `{"agentwatt_journal":1}` + "\n"

// turnsOf writes each turn of each trajectory as its messages.
func turnsOf(t *testing.T, d *Dataset) (all []string) {
	for _, tr := range d.Trajectories {
		for _, request := range requests(t, tr) {
			all = append(all, tr.ID+": "+strings.Join(brief(request), " "))
		}
	}
	return all
}

func TestImportJournalChat(t *testing.T) {
	in := journalHead + strings.Join([]string{
		exchange("chat", 0, `{"model":"m","max_tokens":9,"tools":`+tools+`,"messages":[`+user+`]}`, `"usage":{"prompt_tokens":5,"completion_tokens":4}`),
		exchange("chat", 3, `{"model":"m","messages":[`+user+`,`+call+`,`+result+`]}`, `"answer":{"role":"assistant","content":"bye"}`, `"problem":"the answer breaks off"`, `"usage":{"prompt_tokens":7,"completion_tokens":1}`),
		`{"id":9,"api":"chat","status":429,"body":{"messages":[` + user + `]}}`,
		`{"id":9,"api":"telepathy","status":200,"body":{}}`,
		`{"id":9,"api":"chat","sta`,
	}, "\n")
	d, report := importText(t, "out.jsonl.zst.journal", in)
	want := []string{"out: user:go", "out: user:go assistant(c1) tool(c1):ok"}
	if diff := cmp.Diff(want, turnsOf(t, d)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	turns := d.Trajectories[0].Turns
	for k, want := range []Turn{
		{Prompt: 5, Output: 4, MaxOutput: 9, Tools: []byte(tools), Calls: []Call{{"bash", 2 * time.Second}}},
		{Prompt: 7}, // what came of a broken answer is not its length
	} {
		want.End, want.Extra = turns[k].End, turns[k].Extra
		if diff := cmp.Diff(want, turns[k]); diff != "" {
			t.Errorf("turn %d (-want +got):\n%s", k, diff)
		}
	}
	if extra := string(turns[1].Extra); !strings.Contains(extra, `"answer":{"role":"assistant","content":"bye"}`) {
		t.Errorf("the answer is not in extra: %s", extra)
	}
	got := report.String()
	for _, want := range []string{
		"journal, 5 rows: 1 trajectories, 2 turns", "HTTP 429 is not replayed (1 x)", "the answer breaks off (1 x)",
		`.journal:5: its api is "telepathy"`, ".journal:6: not JSON",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("report has no %q:\n%s", want, got)
		}
	}
}

const anthropicFirst = `{"model":"c","max_tokens":100,"system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},{"type":"text","text":"be brief","cache_control":{"type":"ephemeral"}}],` +
	`"tools":[{"name":"bash","description":"d","input_schema":{"type":"object"}}],` +
	`"messages":[{"role":"user","content":[{"type":"text","text":"go","cache_control":{"type":"ephemeral"}}]}]}`

const anthropicSecond = `{"model":"c","max_tokens":100,"system":[{"type":"text","text":"x-anthropic-billing-header: cch=2;"},{"type":"text","text":"be brief"}],` +
	`"tools":[{"name":"bash","description":"d","input_schema":{"type":"object"}}],` +
	`"messages":[{"role":"user","content":"go"},` +
	`{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"I look"},{"type":"tool_use","id":"a","name":"bash","input":{"b":1,"a":"\u00e9"}},{"type":"tool_use","id":"b","name":"bash","input":{}}]},` +
	`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"one"},{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]},` +
	`{"type":"tool_result","tool_use_id":"b","is_error":true},{"type":"text","text":"next"}]}]}`

func TestImportJournalMessages(t *testing.T) {
	in := journalHead + exchange("messages", 0, anthropicFirst, `"usage":{"input_tokens":3,"cache_read_input_tokens":40,"cache_creation_input_tokens":7,"output_tokens":6}`) + "\n" +
		exchange("messages", 4, anthropicSecond)
	d, report := importText(t, "c.journal", in)
	want := `[{"role":"system","content":"be brief"},{"role":"user","content":"go"},` +
		`{"role":"assistant","content":"I look","tool_calls":[{"id":"a","type":"function","function":{"name":"bash","arguments":"{\"b\":1,\"a\":\"\\u00e9\"}"}},{"id":"b","type":"function","function":{"name":"bash","arguments":"{}"}}]},` +
		`{"role":"tool","tool_call_id":"a","content":"one"},{"role":"tool","tool_call_id":"b","content":""},` +
		`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"text","text":"next"}]}]`
	if len(d.Trajectories) != 1 || len(d.Trajectories[0].Turns) != 2 {
		t.Fatalf("not one trajectory of two turns:\n%s", report)
	}
	tr := d.Trajectories[0]
	if diff := cmp.Diff(want, string(sent(Play{Trajectory: tr}, 1))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	first := tr.Turns[0]
	wantTools := `[{"type":"function","function":{"name":"bash","description":"d","parameters":{"type":"object"}}}]`
	if first.Prompt != 50 || first.Output != 6 || first.MaxOutput != 100 || string(first.Tools) != wantTools {
		t.Errorf("turn 0: %+v, tools %s", first, first.Tools)
	}
	if diff := cmp.Diff([]Call{{"bash", 1500 * time.Millisecond}, {"bash", 1500 * time.Millisecond}}, first.Calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for _, want := range []string{"cache_control is not replayed; kept in extra (2 x)", "thinking in an answer is not replayed; kept in extra (1 x)", "data URL (1 x)", "billing line"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("report has no %q:\n%s", want, report)
		}
	}
	if extra := string(tr.Turns[1].Extra); !strings.Contains(extra, `"thinking":"hm"`) || !strings.Contains(extra, `"is_error":true`) {
		t.Errorf("extra of turn 1: %s", extra)
	}
}

func TestImportJournalResponses(t *testing.T) {
	tool := `[{"type":"function","name":"bash","parameters":{"type":"object"},"strict":true},{"type":"custom","name":"apply_patch"}]`
	calls := `{"type":"reasoning","id":"r","summary":[]},{"type":"function_call","call_id":"c1","name":"bash","arguments":"{}"},{"type":"custom_tool_call","call_id":"c2","name":"apply_patch","input":"*** x"}`
	outputs := `{"type":"function_call_output","call_id":"c1","output":"ok"},{"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"done"}]}`
	ask := `{"type":"message","role":"user","content":[{"type":"input_text","text":"go"}]}`
	in := journalHead + strings.Join([]string{
		exchange("responses", 0, `{"instructions":"be brief","input":[`+ask+`],"tools":`+tool+`,"max_output_tokens":7}`, `"response_id":"resp_1"`, `"answer":[`+calls+`]`, `"usage":{"input_tokens":8,"output_tokens":9}`),
		exchange("responses", 2, `{"instructions":"be brief","input":[`+ask+`,`+calls+`,`+outputs+`]}`),                         // all of it again
		exchange("responses", 5, `{"instructions":"be brief","previous_response_id":"resp_1","input":[`+outputs+`]}`),           // only what is new: another session
		exchange("responses", 6, `{"input":[{"role":"user","content":"hi"},{"type":"web_search_call","id":"w"},`+ask+`]}`),      // an unknown item
		exchange("responses", 7, `{"previous_response_id":"resp_x","input":"alone","conversation":"conv_1","instructions":""}`), // nothing is known
	}, "\n")
	d, report := importText(t, "r.journal", in)
	want := []string{
		"r: system:be brief user:go", "r: system:be brief user:go assistant(c1 c2) tool(c1):ok tool(c2):done",
		"r-3: system:be brief user:go assistant(c1 c2) tool(c1):ok tool(c2):done",
		`r-4: user:hi assistant:{"type":"web_search_call","id":"w"} user:go`, "r-5: system: user:alone",
	}
	if diff := cmp.Diff(want, turnsOf(t, d)); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, report)
	}
	wantTools := `[{"type":"function","function":{"name":"bash","parameters":{"type":"object"},"strict":true}},{"type":"function","function":{"name":"apply_patch","parameters":` + freeform + `}}]`
	if first := d.Trajectories[0].Turns[0]; string(first.Tools) != wantTools || first.MaxOutput != 7 || first.Prompt != 8 || first.Output != 9 {
		t.Errorf("turn 0: %+v, tools %s", first, first.Tools)
	}
	if messages := string(d.Trajectories[1].Messages); messages != string(d.Trajectories[0].Messages) {
		t.Errorf("remembered:\n%s\nsent whole:\n%s", messages, d.Trajectories[0].Messages)
	}
	for _, want := range []string{"not in the journal", "only the server knows is left out", "custom tool is sent as a function", `type "web_search_call"`, "reasoning in an answer"} {
		if !strings.Contains(report.String(), want) {
			t.Errorf("report has no %q:\n%s", want, report)
		}
	}
}

func FuzzImportJournal(f *testing.F) {
	fuzzImport(f, func(l Limits, in []byte) (*Dataset, *Report, error) { return l.importJournal(bytes.NewReader(in), "f") },
		journalHead+exchange("messages", 0, anthropicFirst)+"\n"+exchange("messages", 4, anthropicSecond),
		journalHead+exchange("chat", 0, `{"messages":[`+user+`]}`)+"\n"+exchange("chat", 2, `{"messages":[`+user+`,`+call+`,`+result+`]}`),
		exchange("responses", 0, `{"input":"x"}`, `"response_id":"a"`, `"answer":[{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]`)+"\n"+
			exchange("responses", 0, `{"previous_response_id":"a","input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_image","image_url":"u"}]}]}`))
}
