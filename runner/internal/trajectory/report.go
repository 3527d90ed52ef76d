package trajectory

import (
	"fmt"
	"strings"
)

// Report says what an import found: what came in, what was left out and why, and what is not exactly as it was recorded.
type Report struct {
	File         string
	Format       Format
	Rows         int            // rows read, bad ones included
	Trajectories int            // imported
	Turns        int            // imported, those of sub-agents included
	Subagents    int            // imported
	LeftOut      int            // trajectories left out
	Bad          []*SyntaxError // why, and rows that belong to no trajectory: the first 20
	BadCount     int            // how many there were
	Digest       [32]byte       // SHA-256 of the uncompressed file; native files only
	Notes        []Note         // what was approximated, is not recorded, or is kept but not replayed
}

// Note is one kind of deviation and how often it occurred.
type Note struct {
	What  string
	Times int
}

// newReport is the report on a native file: nothing of it is left out or changed.
func newReport(file string, format Format, d *Dataset) *Report {
	r := &Report{File: file, Format: format, Digest: d.Digest}
	for _, t := range d.Trajectories {
		r.imported(t)
	}
	r.Rows = r.Turns
	return r
}

// imported counts a trajectory.
func (r *Report) imported(t *Trajectory) {
	r.Trajectories++
	r.Turns += t.TreeTurns()
	r.Subagents += t.TreeSubagents()
}

// note counts a deviation.
func (r *Report) note(what string) {
	for i := range r.Notes {
		if r.Notes[i].What == what {
			r.Notes[i].Times++
			return
		}
	}
	r.Notes = append(r.Notes, Note{what, 1})
}

// bad records why something was left out.
func (r *Report) bad(why *SyntaxError) {
	r.BadCount++
	if len(r.Bad) < maxErrors {
		r.Bad = append(r.Bad, why)
	}
}

// String is the report as text, several lines, each ended by a newline.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, %d rows: %d trajectories, ", r.File, r.Format, r.Rows, r.Trajectories)
	if r.Subagents > 0 {
		fmt.Fprintf(&b, "%d sub-agents, ", r.Subagents)
	}
	fmt.Fprintf(&b, "%d turns; %d trajectories left out\n", r.Turns, r.LeftOut)
	for _, bad := range r.Bad {
		fmt.Fprintf(&b, "  bad: %v\n", bad)
	}
	if more := r.BadCount - len(r.Bad); more > 0 {
		fmt.Fprintf(&b, "  bad: %d more\n", more)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "  note: %s (%d x)\n", n.What, n.Times)
	}
	return b.String()
}
