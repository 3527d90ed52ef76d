package trajectory

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// treeOf writes a tree: each conversation with its turns as prompt>output+tool time, and where it hangs.
func treeOf(t *Trajectory) (lines []string) {
	var walk func(t *Trajectory, where string)
	walk = func(t *Trajectory, where string) {
		line := t.ID + where + ":"
		for _, turn := range t.Turns {
			line += fmt.Sprintf(" %d>%d", turn.Prompt, turn.Output)
			if d := turn.ToolTime(); d > 0 {
				line += "+" + d.String()
			}
		}
		lines = append(lines, line)
		for _, s := range t.Subagents {
			walk(s.Trajectory, fmt.Sprintf(" (%d +%v %d)", s.Fork, s.Delay, s.Join))
		}
	}
	walk(t, "")
	return lines
}

// rolesOf returns the roles of a conversation's messages with the number of their words.
func rolesOf(t *testing.T, tr *Trajectory) string {
	t.Helper()
	var list []string
	for _, m := range requests(t, tr)[len(tr.Turns)-1] {
		list = append(list, fmt.Sprintf("%s %d", m["role"], len(strings.Fields(m["content"].(string)))))
	}
	return strings.Join(list, ", ")
}

func TestImportWeka(t *testing.T) {
	in := `{"id":"w","block_size":4,"hash_id_scope":"global","tool_tokens":3,"system_tokens":2,"models":["m"],"requests":[
 {"t":0,"type":"s","in":9,"out":3,"hash_ids":[1,2],"think_time":0,"api_time":2.5,"new":7},
 {"t":3,"type":"subagent","agent_id":"a","duration_ms":1000,"requests":[{"t":0,"in":5,"out":1,"hash_ids":[9]},{"t":0.5,"in":9,"out":1,"hash_ids":[9,10],"think_time":0.25}]},
 {"t":5,"type":"n","in":18,"out":9,"hash_ids":[1,2,3,4],"think_time":2.5},
 {"t":99,"type":"n","in":21,"out":9,"hash_ids":[1,2,3,4,5],"think_time":94},
 {"t":120,"type":"n","in":14,"out":9,"hash_ids":[1,2,6],"think_time":1.5}]}`
	d, report := importText(t, "weka.json", strings.ReplaceAll(in, "\n", "")+"\n"+
		`{"id":"v","block_size":4,"hash_id_scope":"global","requests":[{"t":0,"in":13,"out":3,"hash_ids":[1,2,3]}]}`+"\n"+
		`{"id":"u","block_size":4,"requests":[{"t":0,"in":13,"out":3,"hash_ids":[1,2,3,4,5]}]}`+"\n"+
		`{"id":"bad","block_size":4,"requests":[{"t":0,"in":13,"out":3,"hash_ids":[1,"x",3]}]}`+"\n"+
		`{"id":"bad2","block_size":0,"requests":[{"t":0,"in":13,"out":3,"hash_ids":[1,2,3]}]}`+"\n")
	if len(d.Trajectories) != 3 || report.LeftOut != 2 {
		t.Fatal(report)
	}
	w, v, u := d.Trajectories[0], d.Trajectories[1], d.Trajectories[2]
	want := []string{"w: 9>3+2.5s 18>9+10s 21>9", "w/a (0 +500ms 1): 5>1+250ms 9>1", "w/2 (2 +1.5s 3): 14>9"}
	if diff := cmp.Diff(want, treeOf(w)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := rolesOf(t, w), "system 5, user 4, assistant 3, user 6, assistant 2, user 1"; got != want {
		t.Errorf("messages: got %s, want %s", got, want)
	}
	next := findConversation(w, "w/2")
	if got, want := rolesOf(t, next), "system 5, user 9"; got != want {
		t.Errorf("messages of the new history: got %s, want %s", got, want)
	}
	// Global hashes mean the same in all rows: v begins with the first three blocks of w. u has its own.
	if got := words(v.Messages, SharedPrefix(v.Messages, w.Messages)); got/4 != 3 {
		t.Errorf("%d words in common between w and v, want 3 blocks of 4", got)
	}
	if got := words(u.Messages, SharedPrefix(u.Messages, v.Messages)); got > 0 {
		t.Errorf("%d words in common between u and v", got)
	}
	if got, want := string(w.Turns[0].Extra), `{"block_size":4,"hash_id_scope":"global","tool_tokens":3,"system_tokens":2,"models":["m"],"t":0,"type":"s","think_time":0,"api_time":2.5,"new":7}`; got != want {
		t.Errorf("extra:\ngot  %s\nwant %s", got, want)
	}
	for what, times := range map[string]int{"a prompt does not begin": 1, "a pause is longer than 10s": 1, "the prompt has more or fewer tokens": 1, "an answer is longer": 1} {
		if got := noted(report, what); got != times {
			t.Errorf("note %q: %d times, want %d: %v", what, got, times, report.Notes)
		}
	}
}

// A pause is cut only as far as the limit says.
func TestPauseLimit(t *testing.T) {
	in := `{"block_size":4,"requests":[{"in":4,"out":1,"hash_ids":[1]},{"in":8,"out":1,"hash_ids":[1,2],"think_time":60}]}`
	for limit, want := range map[time.Duration]time.Duration{0: 10 * time.Second, -1: time.Minute, time.Second: time.Second, time.Hour: time.Minute} {
		d, _, err := Limits{Pause: limit}.importWeka(strings.NewReader(in), "w.json")
		if err != nil || d.Trajectories[0].Turns[0].ToolTime() != want {
			t.Errorf("limit %v: %v, %v, want %v", limit, d.Trajectories[0].Turns[0].ToolTime(), err, want)
		}
	}
}

// A small file cannot ask for any amount of text.
func TestFillLimit(t *testing.T) {
	for _, in := range []string{
		`{"block_size":2000000000,"requests":[{"in":2000000000,"out":1,"hash_ids":[1]}]}`,
		`{"trace_id":"x","events":[{"event_type":"message","role":"user","tokens":2000000000},{"event_type":"message","role":"assistant","completion_tokens":1}]}`,
	} {
		im, _, err := Limits{}.detect(strings.NewReader(in), "f")
		if err != nil {
			t.Fatal(err)
		}
		d, report, err := im.read(Limits{}, strings.NewReader(in), "f")
		if err != nil || len(d.Trajectories) != 0 || report.LeftOut != 1 || !strings.Contains(report.Bad[0].Msg, "2000000000") {
			t.Errorf("%s: %v, %v", in, report, err)
		}
	}
}

func TestImportMooncake(t *testing.T) {
	row := func(at, in int, hashes string) string {
		return fmt.Sprintf(`{"timestamp": %d, "input_length": %d, "output_length": 5, "hash_ids": [%s]}`+"\n", at, in, hashes)
	}
	// The second goes on from the first, the third from block 0 only, which two have; the fourth is a branch of the first.
	d, report := importText(t, "m.jsonl", row(0, 1100, "0,1,2")+row(3000, 1700, "0,1,3,4")+row(3500, 1300, "0,7,8")+row(4000, 1800, "0,1,5,6")+row(9000, 2000, "0,7,9,10"))
	var got []string
	for _, tr := range d.Trajectories {
		got = append(got, treeOf(tr)...)
	}
	want := []string{"m-1: 1100>5+3s 1700>5", "m-2: 1300>5+5.5s 2000>5", "m-3: 1800>5"}
	if diff := cmp.Diff(want, got); diff != "" || report.Format != Mooncake {
		t.Errorf("%v; -want +got:\n%s", report, diff)
	}
	bailian := `{"chat_id":1,"parent_chat_id":-1,"timestamp":0.5,"input_length":33,"output_length":2,"type":"text","turn":1,"hash_ids":[1,2,3]}
{"chat_id":5,"parent_chat_id":1,"timestamp":2.5,"input_length":49,"output_length":2,"type":"text","turn":2,"hash_ids":[1,2,4,5]}
{"chat_id":6,"parent_chat_id":1,"timestamp":3.5,"input_length":48,"output_length":2,"type":"text","turn":2,"hash_ids":[1,2,6]}`
	d, _ = importText(t, "b.jsonl", bailian)
	got = append(treeOf(d.Trajectories[0]), treeOf(d.Trajectories[1])...)
	if diff := cmp.Diff([]string{"b-1: 33>2+2s 49>2", "b-2: 48>2"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestImportDynamo(t *testing.T) {
	request := func(session, parent, id string, at, took, in int, hashes string) string {
		return fmt.Sprintf(`{"timestamp":1,"event":{"schema":"dynamo.request.trace.v1","event_type":"request_end","event_time_unix_ms":%d,"agent_context":{"session_id":%q,"trajectory_id":%q,"parent_trajectory_id":%q},"request":{"request_id":%q,"output_tokens":7,"request_received_ms":%d,"total_time_ms":%d.0,"replay":{"trace_block_size":4,"input_length":%d,"input_sequence_hashes":[%s]}}}}`+"\n",
			at+took, session, session, parent, id, at, took, in, hashes)
	}
	tool := func(session, kind, id string, at int, ms float64) string {
		return fmt.Sprintf(`{"schema":"dynamo.request.trace.v1","event_type":%q,"event_time_unix_ms":%d,"agent_context":{"session_id":%q},"tool":{"tool_call_id":%q,"tool_class":"bash","duration_ms":%g}}`+"\n", kind, at, session, id, ms)
	}
	one := request("main", "main", "r1", 1000, 500, 9, "18446744073709551615,2")
	d, report := importText(t, "dynamo.jsonl", one+one+
		tool("main", "tool_start", "t1", 1600, 0)+tool("main", "tool_end", "t1", 1800, 150)+
		request("sub", "main", "r2", 1600, 300, 5, "9")+
		request("main", "", "r3", 2500, 500, 13, "18446744073709551615,2,3")+
		request("lost", "gone", "r4", 2500, 500, 13, "18446744073709551615,2,3")+
		request("x", "y", "r5", 2500, 500, 13, "1,2,3")+request("y", "x", "r6", 2500, 500, 13, "1,2,3")+
		`{"verification":"uploader","event":{}}`+"\n"+
		`{"schema":"dynamo.request.trace.v1","event_type":"request_end","event_time_unix_ms":9000,"request":{"request_id":"alone","input_tokens":20,"output_tokens":3}}`+"\n")
	var got []string
	for _, tr := range d.Trajectories {
		got = append(got, treeOf(tr)...)
	}
	want := []string{"main: 9>7+1s 13>7", "sub (0 +100ms 1): 5>7", "lost: 13>7", "alone: 20>3"}
	if diff := cmp.Diff(want, got); diff != "" || report.LeftOut != 2 {
		t.Errorf("%v; -want +got:\n%s", report, diff)
	}
	if diff := cmp.Diff([]Call{{"bash", 150 * time.Millisecond}, {"", 850 * time.Millisecond}}, d.Trajectories[0].Turns[0].Calls); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, what := range []string{"a request that is recorded twice", "a session whose parent is not in the file", "a row is not an event", "a request without a session", "a request without hashes"} {
		if noted(report, what) != 1 {
			t.Errorf("note %q is missing: %v", what, report.Notes)
		}
	}
}
