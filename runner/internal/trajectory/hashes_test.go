package trajectory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// hashRow is a request of a format with hashes, as encoding/json reads it.
type hashRow struct {
	T        float64   `json:"t"`
	Type     string    `json:"type"`
	In       int       `json:"in"`
	Out      int       `json:"out"`
	Hashes   []uint64  `json:"hash_ids"`
	Think    float64   `json:"think_time"`
	API      float64   `json:"api_time"`
	Agent    string    `json:"agent_id"`
	Duration float64   `json:"duration_ms"`
	Requests []hashRow `json:"requests"`
}

// words returns how many words the contents of a request's messages have in its first n bytes. Filler has no escapes.
func words(messages []byte, n int) (count int) {
	opening := []byte(`"content":"`)
	for at := 0; ; {
		i := bytes.Index(messages[at:n], opening)
		if i < 0 {
			return count
		}
		at += i + len(opening)
		end := at + bytes.IndexByte(messages[at:], '"')
		if end <= n {
			count += len(bytes.Fields(messages[at:end]))
			at = end + 1
			continue
		}
		count += len(bytes.Fields(messages[at:n]))
		if n > at && messages[n-1] != ' ' && messages[n] != ' ' {
			count-- // the last word is cut
		}
		return count
	}
}

// sharing checks that requests share on the wire the blocks that their hashes say and not one more: each is compared with those that
// came shortly before it, with the first, and with the one that shares most with it.
func sharing(t *testing.T, name string, size int, rows []hashRow, sent [][]byte) (compared int) {
	t.Helper()
	for j := range rows {
		for _, i := range partners(rows, j) {
			want := 0
			for want < min(len(rows[i].Hashes), len(rows[j].Hashes), rows[i].In/size, rows[j].In/size) && rows[i].Hashes[want] == rows[j].Hashes[want] {
				want++
			}
			n := SharedPrefix(sent[i], sent[j])
			if got := words(sent[i], n) / size; got != want {
				t.Errorf("%s: requests %d and %d share %d blocks (%d words), by their hashes %d", name, i, j, got, words(sent[i], n), want)
			}
			compared++
		}
	}
	return compared
}

func partners(rows []hashRow, j int) (list []int) {
	seen := map[int]bool{}
	add := func(i int) {
		if i >= 0 && i < j && !seen[i] {
			seen[i] = true
			list = append(list, i)
		}
	}
	most, with := 0, -1
	for i := range j {
		n := 0
		for n < min(len(rows[i].Hashes), len(rows[j].Hashes)) && rows[i].Hashes[n] == rows[j].Hashes[n] {
			n++
		}
		if n > most {
			most, with = n, i
		}
	}
	for _, i := range []int{j - 1, j - 2, j - 3, 0, with} {
		add(i)
	}
	return list
}

// played returns the turns of a tree's conversations of one agent in the order of their recording: a history that began anew goes on
// where the one before ended.
func played(t *Trajectory) (turns []Turn, requests [][]byte, pauses []time.Duration) {
	for {
		for _, turn := range t.Turns {
			turns, requests = append(turns, turn), append(requests, t.Messages[:turn.End])
			pauses = append(pauses, turn.ToolTime())
		}
		var next *Subagent
		for i, s := range t.Subagents {
			if strings.TrimRight(s.ID, "0123456789") == strings.TrimRight(t.ID, "0123456789") || anew(t.ID, s.ID) {
				next = &t.Subagents[i]
			}
		}
		if next == nil {
			return turns, requests, pauses
		}
		pauses[len(pauses)-1] = next.Delay
		t = next.Trajectory
	}
}

// anew reports whether an id is that of the next history of a conversation: a number follows.
func anew(id, next string) bool {
	rest, ok := strings.CutPrefix(next, id+"/")
	return ok && strings.Trim(rest, "0123456789") == ""
}

// The prompts made of Weka's traces share on the wire, block by block, what the hashes say; counts and times are those of the files.
func TestRealWeka(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(data, "weka", "*.json"))
	if len(files) == 0 {
		t.Skipf("SKIPPED: the samples %s/weka are not here", data)
	}
	compared, subagents, requests := 0, 0, 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var w struct {
			ID       string
			Requests []hashRow
		}
		if err := json.Unmarshal(raw, &w); err != nil {
			t.Fatal(err)
		}
		d, reports, err := Limits{Pause: -1}.Import([]string{file}, Auto)
		if err != nil || reports[0].Format != Weka || reports[0].BadCount != 0 {
			t.Fatal(err, reports)
		}
		tr := d.Trajectories[0]
		if tr.ID != w.ID {
			t.Errorf("id %q, want %q", tr.ID, w.ID)
		}
		var main []hashRow
		for _, r := range w.Requests {
			if r.Type != "subagent" {
				main = append(main, r)
				continue
			}
			subagents++
			requests += len(r.Requests)
			sub := findConversation(tr, w.ID+"/"+r.Agent)
			if sub == nil {
				t.Fatalf("%s: no sub-agent %q", w.ID, r.Agent)
			}
			compared += wekaConversation(t, sub.ID, sub, r.Requests)
		}
		requests += len(main)
		compared += wekaConversation(t, w.ID, tr, main)
	}
	if subagents != 4 || requests < 400 {
		t.Errorf("%d sub-agents, %d requests: these are not the samples", subagents, requests)
	}
	t.Logf("%d requests, %d pairs compared", requests, compared)
}

func findConversation(t *Trajectory, id string) *Trajectory {
	for _, c := range t.All() {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func wekaConversation(t *testing.T, name string, tr *Trajectory, rows []hashRow) int {
	t.Helper()
	turns, sent, pauses := played(tr)
	if len(turns) != len(rows) {
		t.Fatalf("%s: %d turns, want %d", name, len(turns), len(rows))
	}
	for k, r := range rows {
		if got := words(sent[k], len(sent[k])); got != r.In || turns[k].Prompt != r.In || turns[k].Output != r.Out {
			t.Errorf("%s request %d: %d words, prompt %d, output %d; want %d and %d", name, k, got, turns[k].Prompt, turns[k].Output, r.In, r.Out)
		}
		if k > 0 && (pauses[k-1]-time.Duration(r.Think*1e9)).Abs() > time.Microsecond {
			t.Errorf("%s request %d: a pause of %v, want %v s", name, k, pauses[k-1], r.Think)
		}
	}
	return sharing(t, name, 64, rows, sent)
}

// Sub-agents of the sample start at the same time, 19.5 s after the first request, and the second request has their answers.
func TestRealWekaSubagents(t *testing.T) {
	d, report := importSample(t, "weka/trace_0277.json")
	tr := d.Trajectories[0]
	var got []string
	for _, s := range tr.Subagents {
		got = append(got, fmt.Sprintf("%s fork %d delay %v join %d", s.ID, s.Fork, s.Delay.Round(time.Second/10), s.Join))
	}
	want := "trace_0277/agent_001 fork 0 delay 700ms join 1, trace_0277/agent_002 fork 0 delay 700ms join 1, trace_0277/agent_003 fork 0 delay 700ms join 1, trace_0277/agent_004 fork 6 delay 1s join 7"
	if strings.Join(got, ", ") != want {
		t.Errorf("\ngot  %s\nwant %s", strings.Join(got, ", "), want)
	}
	if noted(report, "the time of a sub-agent is that of its end") != 4 || noted(report, "a pause is longer than 10s") == 0 {
		t.Errorf("notes: %v", report.Notes)
	}
	for _, c := range tr.All() {
		for k, turn := range c.Turns {
			if turn.ToolTime() > 10*time.Second {
				t.Errorf("%s turn %d: a pause of %v", c.ID, k, turn.ToolTime())
			}
		}
	}
}

// All requests of a Mooncake file share blocks as their hashes say, over all sessions.
func TestRealMooncake(t *testing.T) {
	const name = "mooncake/conversation_trace_head2000.jsonl"
	d, report := importSample(t, name)
	turns := map[string][][]byte{}
	key := func(extra json.RawMessage, in, out int) string {
		return fmt.Sprint(string(find(known(extra), "timestamp")), " ", in, " ", out)
	}
	for _, tr := range d.Trajectories {
		for _, c := range tr.All() {
			for _, turn := range c.Turns {
				k := key(turn.Extra, turn.Prompt, turn.Output)
				turns[k] = append(turns[k], c.Messages[:turn.End])
			}
		}
	}
	var rows []hashRow
	var sent [][]byte
	for _, raw := range sampleRows(t, name) {
		var r hashRow
		for field, to := range map[string]any{"hash_ids": &r.Hashes, "input_length": &r.In, "output_length": &r.Out} {
			if err := json.Unmarshal(raw[field], to); err != nil {
				t.Fatal(err)
			}
		}
		k := fmt.Sprint(string(raw["timestamp"]), " ", r.In, " ", r.Out)
		if len(turns[k]) == 0 {
			t.Fatalf("no turn for the row %s", k)
		}
		rows, sent = append(rows, r), append(sent, turns[k][0])
		turns[k] = turns[k][1:]
		if got := words(sent[len(sent)-1], len(sent[len(sent)-1])); got != r.In {
			t.Errorf("row %s: %d words", k, got)
		}
	}
	if report.Turns != 2000 || len(rows) != 2000 || len(d.Trajectories) >= 1900 || len(d.Trajectories) < 1000 {
		t.Errorf("%d turns in %d trajectories of %d rows: want sessions of more than one turn", report.Turns, len(d.Trajectories), len(rows))
	}
	t.Logf("%d pairs compared", sharing(t, "mooncake", 512, rows, sent))
}
