package search

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/runner/internal/simulate/model"
	"agentwatt/shared/power"
	gocmp "github.com/google/go-cmp/cmp"
)

// TestGroundTruthOfTheSearch runs whole searches in virtual time: engine, HTTP, client, agents, fleet, phases, run directory,
// power and result. What they find must be what the model knows.
func TestGroundTruthOfTheSearch(t *testing.T) {
	for _, set := range truthSets() {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			plan := set.plan(t)
			levels := set.levels(t, plan)
			found := set.search(t, plan)
			found.checkPhases(t, set)
			var table strings.Builder
			fmt.Fprintf(&table, "%s: %d phases, %v virtual in %v\n", set.name, len(found.result.Phases),
				found.course.Until.Round(time.Second), found.took.Round(time.Millisecond))
			fmt.Fprintf(&table, "%-7s %7s %7s %9s %12s %12s %12s %9s %8s\n", "tier", "known N", "found N", "bracket", "steady W", "window W", "measured W", "error", "U (k=2)")
			for i, tier := range found.result.Tiers {
				found.check(t, &table, set, tier, i, levels[set.known[i]-1])
			}
			t.Log(table.String())
		})
	}
}

// found is what a search found, and what the model says of the same requests.
type found struct {
	result bench.Result
	course *model.Course
	system *system
	took   time.Duration
}

// search runs the search of a set.
func (s truthSet) search(t *testing.T, plan agent.Plan) found {
	dir := t.TempDir()
	var f found
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		f.system = serve(t, s.params)
		defer f.system.stop()
		x := s.experiment(f.system)
		d, err := rundir.Create(dir, rundir.Manifest{Experiment: x, Simulated: true})
		if err != nil {
			t.Fatal(err)
		}
		sent := &sent{}
		run := &Search{
			Experiment: x, Dir: d, Clock: f.system.clock,
			Power: &Power{Dir: d, Now: f.system.clock.Now},
			Fleet: func(_ context.Context, emit func(bench.Record)) (Fleet, error) {
				return &agent.Fleet{
					Plan: plan, Limit: f.system.client.Cap, Now: f.system.clock.Now, Spawn: x.Profile.Spawn, Emit: emit,
					Open: func() agent.Lane { return &loggedLane{Lane: f.system.engine.Caller(), sent: sent} },
				}, nil
			},
		}
		stop := meter(t, f.system, s.params, run.Power.take)
		err = run.Run(t.Context())
		time.Sleep(3 * time.Second)
		stop()
		if err != nil {
			t.Fatal(err)
		}
		if err := d.FlushBatches(); err != nil {
			t.Fatal(err)
		}
		f.course = sent.replay(t, f.system, s.params)
	})
	f.took = time.Since(began)
	run, err := rundir.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	e, err := run.Evidence()
	if err != nil {
		t.Fatal(err)
	}
	if f.result, err = bench.Compute(e); err != nil {
		t.Fatal(err)
	}
	return f
}

func (s truthSet) experiment(sys *system) bench.Experiment {
	x := bench.Experiment{
		ID: "truth", Started: sys.start, Profile: truthProfile(), Output: "exact", ToolTime: "sampled", Simulated: true,
		Host: "here", Boot: "one", Epoch: sys.start, Power: bench.PowerPlan{Idle: 4 * time.Second},
	}
	for _, tier := range s.tiers {
		x.Tiers = append(x.Tiers, bench.Tier{Name: tier.Name, Objectives: []bench.Objective{
			{Metric: bench.OutputSpeed, Quantile: 0.25, Limit: tier.Speed},
			{Metric: bench.TTFT, Quantile: 0.95, Limit: tier.TTFT},
		}})
	}
	return x
}

// checkPhases compares every phase that ran to its end with the model: the requests of its window, their percentiles to the
// last digit, and the energy within the stated uncertainty.
func (f found) checkPhases(t *testing.T, set truthSet) {
	t.Helper()
	for _, p := range f.result.Phases {
		if p.Reason != bench.EndStopRule {
			continue
		}
		w := f.window(p)
		level := f.course.Level(p.Agents, w)
		seen := p.Verdicts[0].Observed
		got := []float64{float64(p.Requests), seen[0].Value, seen[1].Value}
		want := []float64{float64(level.Requests), level.Speed, level.TTFT}
		if d := gocmp.Diff(want, got); d != "" {
			t.Errorf("phase %d, %d agents: requests, P25 of speed and P95 of TTFT (-model +result):\n%s", p.Index, p.Agents, d)
		}
		for i, tier := range set.tiers {
			if passed := p.Verdicts[i].Outcome == bench.Pass; passed != level.Meets(tier) {
				t.Errorf("phase %d, %d agents: %s for tier %s, by the model %v", p.Index, p.Agents, p.Verdicts[i].Outcome, tier.Name, level.Meets(tier))
			}
		}
		f.checkEnergy(t, p)
	}
}

// window returns a phase's window on the model's clock.
func (f found) window(p bench.Phase) model.Window {
	w := p.Window()
	return model.Window{Begin: w.Begin.Sub(f.system.start), End: w.End.Sub(f.system.start)}
}

// checkEnergy compares a window's measured energy with the truth, and returns its relative error.
func (f found) checkEnergy(t *testing.T, p bench.Phase) float64 {
	t.Helper()
	w := f.window(p)
	truth := f.course.Energy(w.End) - f.course.Energy(w.Begin)
	measured, stated := p.Power[0].Energy, p.Power[0].Uncertainty.Expanded()
	off := float64(measured-truth) / float64(truth)
	if math.Abs(off) > stated || stated > 0.01 {
		t.Errorf("phase %d, %d agents: %v J in the window, truth %v J: off by %.4f %%, stated uncertainty %.4f %%, limit 1 %%",
			p.Index, p.Agents, measured.Joules(), truth.Joules(), 100*off, 100*stated)
	}
	return off
}

// check compares a tier's answer with the truth and adds a line to the table.
func (f found) check(t *testing.T, table *strings.Builder, set truthSet, tier bench.TierResult, i int, level model.Level) {
	t.Helper()
	name, known, wanted := set.name+"/"+tier.Tier.Name, set.known[i], set.tiers[i]
	p := truthProfile()
	resolution := max(p.Step, int(p.Relative*float64(known)))
	if off := tier.Agents - known; off < -resolution || off > resolution {
		t.Errorf("%s: found %d agents, the model knows %d", name, tier.Agents, known)
	}
	if !tier.Complete || len(tier.Figures) != 1 || tier.FirstFail == 0 {
		t.Fatalf("%s: complete %v, %d figures, first fail %d, notes %q", name, tier.Complete, len(tier.Figures), tier.FirstFail, tier.Notes)
	}
	figure := tier.Figures[0]
	phase := f.result.Phases[slices.IndexFunc(f.result.Phases, func(p bench.Phase) bool { return p.Index == tier.Phase })]
	w, watts := f.window(phase), phase.Power[0]
	truth, expanded, off := f.course.Mean(w.Begin, w.End).Watts(), watts.Uncertainty.Expanded(), f.checkEnergy(t, phase)
	fmt.Fprintf(table, "%-7s %7d %7d %4d..%-3d %12.2f %12.2f %12.2f %8.3f%% %7.3f%%\n", tier.Tier.Name, known, tier.Agents, tier.Agents, tier.FirstFail,
		level.Mean.Watts(), truth, watts.Mean.Watts(), 100*off, 100*expanded)
	if phase.Agents != tier.Agents || !f.course.Level(phase.Agents, w).Meets(wanted) {
		t.Errorf("%s: the answer is %d agents, its phase had %d, and by the model they met the tier: %v", name, tier.Agents, phase.Agents, f.course.Level(phase.Agents, w).Meets(wanted))
	}
	want := float64(tier.Agents) / (truth / 1e6)
	if math.Abs(figure.AgentsPerMegawatt/want-1) > expanded {
		t.Errorf("%s: %v agents/MW, want %v", name, figure.AgentsPerMegawatt, want)
	}
	// That it is simulated is all that may speak against it, unless phases contradict each other.
	reasons := slices.DeleteFunc(slices.Clone(figure.Reasons), func(r string) bool { return strings.HasPrefix(r, "simulated") })
	if figure.Standing == bench.InvalidValue || len(reasons) > 0 && tier.Monotone || !figure.Simulated || figure.Scope != power.Accelerator {
		t.Errorf("%s: figure is %s %q, simulated %v, scope %s", name, figure.Standing, reasons, figure.Simulated, figure.Scope)
	}
	if tier.Agents == known && math.Abs(watts.Mean.Watts()/level.Mean.Watts()-1) > 0.1 {
		t.Errorf("%s: %.1f W in the window, the steady state draws %.1f W", name, watts.Mean.Watts(), level.Mean.Watts())
	}
}
