package trajectory

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// importText imports a file with this text and returns its trajectories and the report.
func importText(t *testing.T, name, in string) (*Dataset, *Report) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(in), 0o644); err != nil {
		t.Fatal(err)
	}
	d, reports, err := Limits{}.Import([]string{path}, Auto)
	if err != nil {
		t.Fatal(err, reports)
	}
	checkTrees(t, d)
	return d, reports[0]
}

// checkTrees checks what holds for every import: each conversation of a tree can be played, written and read again, its
// sub-agents have their place in it, and no id occurs twice.
func checkTrees(t *testing.T, d *Dataset) {
	t.Helper()
	seen := map[string]bool{}
	for _, tr := range d.Trajectories {
		if seen[tr.ID] {
			t.Fatalf("the id %q occurs twice", tr.ID)
		}
		seen[tr.ID] = true
		for _, c := range tr.All() {
			if !c.stable() {
				t.Fatalf("%s: the prefix is not stable", c.ID)
			}
		}
	}
	checkParsed(t, d, nil)
}

// requests are the messages of each turn, decoded.
func requests(t *testing.T, tr *Trajectory) [][]map[string]any {
	t.Helper()
	last := len(tr.Turns) - 1
	var all []map[string]any
	if err := json.Unmarshal(sent(Play{Trajectory: tr}, last), &all); err != nil {
		t.Fatal(err)
	}
	requests := make([][]map[string]any, last+1)
	for k, turn := range tr.Turns {
		requests[k] = all[:len(list(tr.Messages[:turn.End]))]
	}
	return requests
}

// brief writes the messages of a request as "role:content" or "role(call ids):content", one per message.
func brief(messages []map[string]any) []string {
	var list []string
	for _, m := range messages {
		s := m["role"].(string)
		if id, ok := m["tool_call_id"].(string); ok {
			s += "(" + id + ")"
		}
		if calls, ok := m["tool_calls"].([]any); ok {
			var ids []string
			for _, c := range calls {
				ids = append(ids, c.(map[string]any)["id"].(string))
			}
			s += "(" + strings.Join(ids, " ") + ")"
		}
		if content, ok := m["content"].(string); ok {
			s += ":" + content
		}
		list = append(list, s)
	}
	return list
}

// noted returns how often a note that begins like this was made.
func noted(r *Report, what string) int {
	for _, n := range r.Notes {
		if strings.HasPrefix(n.What, what) {
			return n.Times
		}
	}
	return 0
}

// fuzzImport fuzzes an importer that reads from the beginning to the end.
func fuzzImport(f *testing.F, read func(Limits, []byte) (*Dataset, *Report, error), seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		d, report, err := read(Limits{Line: 1 << 16}, in)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "f:") {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		for _, bad := range report.Bad {
			if bad.File != "f" || bad.Msg == "" {
				t.Fatalf("bad item without a place: %v", bad)
			}
		}
		if report.Trajectories != len(d.Trajectories) {
			t.Fatalf("%d trajectories, %d reported", len(d.Trajectories), report.Trajectories)
		}
		checkTrees(t, d)
	})
}
