package trajectory

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const data = "../../../../shared/data/trajectories"

// sample returns the path of a recorded sample, which is not part of the repository.
func sample(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(data, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the sample %s is not here: %v", path, err)
	}
	return path
}

const (
	mlSample = "mlcommons-endpoints/agentic_coding.jsonl"
	aaSample = "aa-replay/aa-mini-library-01.jsonl"
)

func importSample(t testing.TB, name string) (*Dataset, *Report) {
	t.Helper()
	d, reports, err := Limits{}.Import([]string{sample(t, name)}, Auto)
	if err != nil {
		t.Fatal(err)
	}
	if len(reports) != 1 || reports[0].BadCount != 0 {
		t.Fatalf("reports: %v", reports)
	}
	return d, reports[0]
}

// sampleRows reads a JSONL file with encoding/json only: an opinion independent of the importers.
func sampleRows(t *testing.T, name string) []map[string]json.RawMessage {
	t.Helper()
	f, err := os.Open(sample(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []map[string]json.RawMessage
	dec := json.NewDecoder(bufio.NewReader(f))
	for dec.More() {
		var row map[string]json.RawMessage
		if err := dec.Decode(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

// sent returns what turn k puts on the wire as messages.
func sent(p Play, k int) []byte {
	pieces := p.Pieces(k)
	return bytes.Join([][]byte{[]byte("["), pieces[0], pieces[1], pieces[2], []byte("]")}, nil)
}

func decode(t *testing.T, raw []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%v in %.200s", err, raw)
	}
	return v
}

func TestRealMLCommons(t *testing.T) {
	d, report := importSample(t, mlSample)
	turns := 0
	for _, tr := range d.Trajectories {
		turns += len(tr.Turns)
	}
	if got, want := []int{len(d.Trajectories), turns, report.Rows, report.Turns}, []int{12, 618, 1236, 618}; !cmp.Equal(got, want) {
		t.Errorf("trajectories, turns, rows, reported turns: got %v, want %v", got, want)
	}
	byID := map[string]*Trajectory{}
	for _, tr := range d.Trajectories {
		byID[tr.ID] = tr
	}
	type state struct {
		history []any
		turn    int
		tools   any
	}
	states := map[string]*state{}
	for _, row := range sampleRows(t, mlSample) {
		var id, role string
		_ = json.Unmarshal(row["conversation_id"], &id)
		_ = json.Unmarshal(row["role"], &role)
		s, tr := states[id], byID[id]
		if s == nil {
			s = &state{tools: decode(t, row["tools"])}
			states[id] = s
			s.history = append(s.history, map[string]any{"role": "system", "content": decode(t, row["system"])})
		}
		switch role {
		case "user":
			s.history = append(s.history, map[string]any{"role": "user", "content": decode(t, row["content"])})
		case "tool":
			for _, r := range decode(t, row["tool_results"]).([]any) {
				m := r.(map[string]any)
				m["role"] = "tool"
				s.history = append(s.history, m)
			}
			if got, want := float64(tr.Turns[s.turn-1].ToolTime())/1e9, decode(t, row["delay_seconds"]).(float64); got != want {
				t.Errorf("%s turn %d: tool time %v, want %v", id, s.turn-1, got, want)
			}
		case "assistant":
			// Every request begins with the bytes of the one before (TestPrefixStability): the longest ones speak for all.
			if last := len(tr.Turns) - 1; s.turn != 0 && s.turn != last/2 && s.turn != last {
				s.history, s.turn = append(s.history, mlMessage(t, row)), s.turn+1
				continue
			}
			got := decode(t, sent(Play{Trajectory: tr}, s.turn))
			if !reflect.DeepEqual(got, any(s.history)) {
				t.Fatalf("%s turn %d: the request is not what was recorded:\n%s", id, s.turn, cmp.Diff(s.history, got))
			}
			if !reflect.DeepEqual(decode(t, tr.Turns[s.turn].Tools), s.tools) {
				t.Errorf("%s turn %d: tools differ", id, s.turn)
			}
			s.history, s.turn = append(s.history, mlMessage(t, row)), s.turn+1
		}
	}
	if len(d.Trajectories[0].Turns[3].Calls) != 1 || d.Trajectories[0].Turns[3].Calls[0].Tool != "bash" {
		t.Errorf("calls of turn 3: %v", d.Trajectories[0].Turns[3].Calls)
	}
}

// mlMessage is an assistant row as a chat message.
func mlMessage(t *testing.T, row map[string]json.RawMessage) map[string]any {
	m := map[string]any{"role": "assistant"}
	for _, k := range []string{"content", "reasoning_content", "tool_calls"} {
		if v, ok := row[k]; ok {
			m[k] = decode(t, v)
		}
	}
	return m
}

func TestRealAA(t *testing.T) {
	d, report := importSample(t, aaSample)
	if len(d.Trajectories) != 1 || len(d.Trajectories[0].Turns) != 6 {
		t.Fatalf("%v", report)
	}
	tr := d.Trajectories[0]
	for k, row := range sampleRows(t, aaSample) {
		// The sample is compact already, so the bytes themselves must come back.
		if got, want := sent(Play{Trajectory: tr}, k), row["messages"]; !bytes.Equal(got, want) {
			t.Errorf("turn %d: messages\ngot  %s\nwant %s", k, got, want)
		}
		want := row["tools"]
		if string(want) == "[]" {
			want = nil
		}
		if got := tr.Turns[k].Tools; !bytes.Equal(got, want) {
			t.Errorf("turn %d: tools %s, want %s", k, got, want)
		}
	}
	if tr.Turns[5].Tools != nil || tr.Turns[4].Tools == nil {
		t.Errorf("tools of the last row: %s; of the row before: %s", tr.Turns[5].Tools, tr.Turns[4].Tools)
	}
	got := tr.Turns[0]
	if got.Output != 256 || got.MaxOutput != 256 || !cmp.Equal(got.Calls, []Call{{"search_catalog", 50 * time.Millisecond}}) {
		t.Errorf("turn 0: %+v", got)
	}
	want := []Note{{"an empty tools list is replayed as a request without tools", 1}, {"the trace agrees with manifest.json beside it", 1}}
	if diff := cmp.Diff(want, report.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// METHOD 2, prefix stability: the bytes of turn k+1's messages begin with the bytes of turn k's, salted or not, and the
// salt is the only difference from what was recorded.
func TestPrefixStability(t *testing.T) {
	sets := map[string]*Dataset{"synth": Synth(SynthOptions{Seed: 1, Trajectories: 3, Profile: Demo})}
	sets["mlcommons"], _ = importSample(t, mlSample)
	sets["aa"], _ = importSample(t, aaSample)
	for name, d := range sets {
		for _, tr := range d.Trajectories {
			for _, after := range []bool{false, true} {
				checkPlay(t, name, Play{Trajectory: tr, Salt: "[salt 0123456789abcdef] ", After: after})
			}
		}
	}
}

func checkPlay(t *testing.T, name string, p Play) {
	t.Helper()
	var before []byte
	for k := range p.Turns {
		now := sent(p, k)
		if k%16 == 0 && !json.Valid(now) || k == len(p.Turns)-1 && !json.Valid(now) {
			t.Fatalf("%s %s turn %d after=%t: not JSON", name, p.ID, k, p.After)
		}
		if k > 0 {
			shared := before[:len(before)-1] // without the closing bracket
			if !bytes.HasPrefix(now, shared) || now[len(shared)] != ',' && now[len(shared)] != ']' {
				t.Fatalf("%s %s turn %d after=%t: does not begin with the turn before", name, p.ID, k, p.After)
			}
		}
		if got := bytes.Replace(now, []byte(p.Salt), nil, 1); !bytes.Equal(got, sent(Play{Trajectory: p.Trajectory}, k)) {
			t.Fatalf("%s %s turn %d after=%t: differs by more than the salt", name, p.ID, k, p.After)
		}
		before = now
	}
	// The salt is at the start of the text of the first message, or of the first that is not the system prompt.
	messages := decode(t, before).([]any)
	for _, m := range messages {
		m := m.(map[string]any)
		if p.After && m["role"] == "system" {
			continue
		}
		if s, ok := m["content"].(string); !ok || len(s) < len(p.Salt) || s[:len(p.Salt)] != p.Salt {
			t.Errorf("%s %s after=%t: the salt is not at the start of %v", name, p.ID, p.After, m["content"])
		}
		break
	}
}

func TestRoundTrip(t *testing.T) {
	for _, name := range []string{mlSample, aaSample} {
		d, _ := importSample(t, name)
		for _, ending := range []string{".jsonl", ".jsonl.gz", ".jsonl.zst"} {
			path := filepath.Join(t.TempDir(), "set"+ending)
			if err := Create(path, d, false); err != nil {
				t.Fatal(err)
			}
			got, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, d) {
				t.Errorf("%s as %s: what is read is not what was written", name, ending)
			}
		}
	}
}
