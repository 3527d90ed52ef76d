package rundir

import (
	"fmt"

	"agentwatt/runner/internal/bench"
)

// Evidence returns everything in the directory that a result follows from. What is missing after a crash, and what could
// not be read, is in its notes.
func (r *Run) Evidence() (bench.Evidence, error) {
	m := r.Manifest
	batches, warnings, err := r.Batches()
	if err != nil {
		return bench.Evidence{}, err
	}
	clocks, err := r.Clocks()
	if err != nil {
		return bench.Evidence{}, err
	}
	server, doubts, err := r.Server()
	if err != nil {
		return bench.Evidence{}, err
	}
	warnings = append(warnings, doubts...)
	e := bench.Evidence{
		Experiment: m.Experiment, Batches: batches, Clocks: clocks, Records: r.Records, Server: server, Complete: m.Outcome == Found,
		IdleBefore: m.IdleBefore.window(), IdleAfter: m.IdleAfter.window(), Notes: append(m.Notes, warnings...),
	}
	switch m.Outcome {
	case Found:
	case "":
		e.Notes = append(e.Notes, "the run was killed: the phase in flight is lost")
	default:
		e.Notes = append(e.Notes, "the search ended early: "+m.Outcome)
	}
	for _, f := range m.Phases {
		if f.End == 0 {
			e.Notes = append(e.Notes, fmt.Sprintf("phase %d was not closed and is left out", f.Index))
			continue
		}
		e.Phases = append(e.Phases, f)
	}
	return e, nil
}

func (s *Span) window() bench.Window {
	if s == nil {
		return bench.Window{}
	}
	return bench.Window{Begin: s.Begin, End: s.End}
}
