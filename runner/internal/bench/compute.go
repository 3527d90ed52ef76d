package bench

import (
	"fmt"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Evidence is what a run directory holds.
type Evidence struct {
	Experiment Experiment
	Phases     []PhaseFacts                      // in the order they were run
	Records    func(phase int) ([]Record, error) // of one phase, by index
	Batches    []power.Batch                     // all of the run, any order
	Clocks     []clock.Exchange                  // what was measured of other hosts' clocks, any order
	IdleBefore Window                            // zero: not measured
	IdleAfter  Window                            //
	Complete   bool                              // the run came to its end
	Server     ServerEvidence                    // what the server told of itself
	Notes      []string                          // what happened on the way and is not in the records
}

// Recording is the power of the run on the runner's clock.
func (e Evidence) Recording() *Recording {
	x := e.Experiment
	return NewRecording(e.Batches, HostClock{Host: x.Host, Boot: x.Boot, Epoch: x.Epoch, Others: e.Clocks})
}

// Compute derives everything that a run claims: it evaluates each phase from its records, joins the power of its window,
// concludes the search from the phases, and adds the figures. Live run, report and verify all call it.
func Compute(e Evidence) (Result, error) {
	x := e.Experiment
	r := Result{Schema: 1, Run: x, Simulated: x.Simulated, Warnings: e.Notes}
	recording := e.Recording()
	r.Context = contextOf(e.Batches)
	for _, m := range recording.meters {
		r.Simulated = r.Simulated || m.meter.Simulated
	}
	r.Server = e.serverMetrics()
	for _, s := range e.Server.Samples {
		r.Simulated = r.Simulated || s.Simulated
	}
	for _, f := range e.Phases {
		records, err := e.Records(f.Index)
		if err != nil {
			return Result{}, fmt.Errorf("compute phase %d: %w", f.Index, err)
		}
		p := Evaluate(f, records, x)
		if w := f.Window(); w.Length() > 0 && len(e.Batches) > 0 {
			p.Power = recording.Join(w, x.Power)
		}
		p.Server = e.Server.window(f.Window())
		r.Phases = append(r.Phases, p)
	}
	if len(e.Batches) > 0 {
		r.IdleBefore, r.IdleAfter = recording.idle(e.IdleBefore, x.Power), recording.idle(e.IdleAfter, x.Power)
	}
	if x.Fixed != nil {
		r.Tiers = concludeReplay(*x.Fixed, x.Tiers, r.Phases)
	} else {
		r.Tiers = Conclude(x.Profile.Bounds(), x.Tiers, r.Phases)
	}
	r.Complete = e.Complete
	for i := range r.Tiers {
		t := &r.Tiers[i]
		r.Complete = r.Complete && t.Complete
		t.Figures = []Figure{}
		for _, p := range r.Phases {
			if p.Index == t.Phase {
				t.Figures = append(t.Figures, Figures(*t, p, x.System, x.Simulated)...)
			}
		}
	}
	r.Comparable = x.Comparable() && !r.Simulated
	r.Warnings = append(r.Warnings, r.doubts(len(e.Batches) > 0, recording.Errors())...)
	return r, nil
}

func (r *Recording) idle(w Window, plan PowerPlan) []ScopePower {
	if w.Length() == 0 {
		return nil
	}
	return r.Join(w, plan)
}

// Comparable reports whether the experiment's rules and modes are those of the published method its profile names.
func (x Experiment) Comparable() bool {
	return x.Profile.published() && x.Output == "free" && x.ToolTime == "sampled" && x.Fixed == nil
}

// doubts lists what a reader of the whole result must know.
func (r Result) doubts(powered bool, bad []error) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if r.Simulated {
		add("SIMULATED: the endpoint or a meter is simulated; nothing here is evidence about hardware")
	}
	if f := r.Run.Fixed; f != nil {
		add("a replay at %d agents, not a search: how many the system serves, and agents per megawatt, are not known from it", f.Agents)
		if f.Diagnose != "" {
			add("diagnosis of %s only: the load is not that of agents, and no tier is judged", f.Diagnose)
		}
	}
	if !r.Comparable {
		add("not comparable: the profile or the modes are not those of a published method")
	}
	if !r.Complete {
		add("incomplete: the search did not come to its end")
	}
	if r.Run.OutputAsked != "" && r.Run.OutputAsked != r.Run.Output {
		add("output mode %s was asked for, %s was used", r.Run.OutputAsked, r.Run.Output)
	}
	if !powered {
		add("no power was recorded: agents per megawatt cannot be given")
	}
	switch s := r.Server; {
	case s == nil:
	case s.None != "":
		add("server metrics: none (%s)", s.None)
	case s.Failed > 0:
		add("%d of %d reads of the server's metrics failed, first: %s", s.Failed, s.Failed+s.Reads, s.Failure)
	}
	for _, err := range bad {
		add("%v", err)
	}
	return list
}
