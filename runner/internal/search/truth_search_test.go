package search

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/runner/internal/simulate"
	"agentwatt/runner/internal/simulate/model"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/power"
	gocmp "github.com/google/go-cmp/cmp"
)

// truthSet is an engine and a load whose capacity is known, and three tiers.
type truthSet struct {
	name     string
	params   simulate.Params
	sessions sessions
	tiers    []model.Tier
}

// slow returns a preset in slow motion: everything takes ten times as long at the same power, so that an hour of load
// has a tenth of the tokens.
func slow(preset string) simulate.Params {
	const factor = 10
	p, err := simulate.Preset(preset)
	if err != nil {
		panic(err)
	}
	for _, d := range []*time.Duration{&p.StepBase, &p.StepPerSequence, &p.StepPerKilotoken, &p.DraftCost} {
		*d *= factor
	}
	for _, e := range []*power.Energy{&p.StepEnergy, &p.DecodeEnergy, &p.PrefillEnergy} {
		*e *= factor
	}
	p.PrefillRate /= factor
	return p
}

// tiers returns three tiers of a speed in tokens per second and a time to first token in seconds.
func tiers(limits ...float64) (list []model.Tier) {
	for i, name := range []string{"fast", "middle", "slow"} {
		list = append(list, model.Tier{Name: name, Speed: limits[2*i], TTFT: limits[2*i+1]})
	}
	return list
}

func truthSets() []truthSet {
	chat := sessions{count: 12, turns: [2]int{3, 5}, system: [2]int{1500, 1500}, more: [2]int{300, 1200}, output: [2]int{8, 24}}
	prefill := slow("prefill-bound")
	prefill.PrefillRate, prefill.PrefillBudget = 2000, 128
	cached := slow("cache-bound")
	cached.CacheTokens, cached.MaxContext = 1<<14, 1<<14
	return []truthSet{
		{"decode-bound", slow("decode-bound"), chat, tiers(18.3, 5, 9.5, 5, 5.36, 5)},
		{"prefill-bound", prefill, chat, tiers(4, 0.69, 4, 1.17, 4, 2.4)},
		{"cache-bound", cached, chat, tiers(14.2, 5, 8, 5, 5.8, 5)},
		{"speculative", slow("speculative"), chat, tiers(15.55, 5, 9.05, 5, 5.37, 5)},
	}
}

// truthProfile has the rules of METHOD 4 and 5 with short times.
func truthProfile() bench.Profile {
	return bench.Profile{
		Name: "truth", Spawn: 4, StartTurns: 3, Hold: 5 * time.Second, Settle: 15 * time.Second, MinWindow: 45 * time.Second,
		MinTrajectories: 30, MinPerAgent: 3, Timeout: 10 * time.Minute, Extend: 1.5, MaxAgents: 64, Step: 1, Relative: 0.02, Retests: 1,
	}
}

func (s truthSet) plan(t *testing.T) agent.Plan {
	return agent.Plan{
		Trajectories: s.sessions.make(t), Seed: 1, Run: "truth of " + s.name, StartTurns: truthProfile().StartTurns,
		Tools: agent.ToolTime{Mode: agent.Sampled, Default: agent.DefaultDistribution},
	}
}

// known returns each tier's capacity by the model, with the level there.
func (s truthSet) known(t *testing.T, plan agent.Plan) (edges []model.Edge, levels []model.Level) {
	t.Helper()
	limit := func(u trajectory.Turn) int { return u.Output }
	load := func(n int) []model.Agent { return modelled(plan, limit, n, 250*time.Millisecond) }
	levels = model.Levels(s.params, load, model.Window{Begin: time.Minute, End: knownWindow}, 22)
	for _, tier := range s.tiers {
		e := model.Capacity(levels, tier)
		if e.Sure == 0 || e.Sure != e.Most || e.Most == len(levels) {
			t.Fatalf("tier %s: every N up to %d meets it and none above %d: the set has no known capacity", tier.Name, e.Sure, e.Most)
		}
		edges = append(edges, e)
	}
	return edges, levels
}

// TestGroundTruthOfTheSearch runs whole searches in virtual time: engine, HTTP, client, agents, fleet, phases, run directory,
// power and result. What they find must be what the model knows.
func TestGroundTruthOfTheSearch(t *testing.T) {
	for _, set := range truthSets() {
		t.Run(set.name, func(t *testing.T) {
			t.Parallel()
			plan := set.plan(t)
			edges, levels := set.known(t, plan)
			found := set.search(t, plan)
			var table strings.Builder
			fmt.Fprintf(&table, "%s: %d phases, %v virtual in %v\n", set.name, len(found.result.Phases),
				found.course.Until.Round(time.Second), found.took.Round(time.Millisecond))
			fmt.Fprintf(&table, "%-7s %7s %7s %9s %12s %12s %12s %9s %8s\n", "tier", "known N", "found N", "bracket", "steady W", "window W", "measured W", "error", "U (k=2)")
			for i, tier := range found.result.Tiers {
				found.check(t, &table, set.name, tier, edges[i].Sure, levels[edges[i].Sure-1])
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
			Experiment: x, Plan: plan, Dir: d, Clock: f.system.clock, Limit: f.system.client.Cap,
			Power: &Power{Dir: d, Now: f.system.clock.Now},
			Open:  func() agent.Lane { return &loggedLane{Lane: f.system.client.Lane(), sent: sent} },
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

// check compares a tier's answer with the truth and adds a line to the table.
func (f found) check(t *testing.T, table *strings.Builder, set string, tier bench.TierResult, known int, level model.Level) {
	t.Helper()
	name := set + "/" + tier.Tier.Name
	p := truthProfile()
	resolution := max(p.Step, int(p.Relative*float64(known)))
	if off := tier.Agents - known; off < -resolution || off > resolution {
		t.Errorf("%s: found %d agents, the model knows %d", name, tier.Agents, known)
	}
	if !tier.Complete || len(tier.Figures) != 1 || tier.FirstFail == 0 {
		t.Fatalf("%s: complete %v, %d figures, first fail %d, notes %q", name, tier.Complete, len(tier.Figures), tier.FirstFail, tier.Notes)
	}
	figure := tier.Figures[0]
	i := slices.IndexFunc(f.result.Phases, func(p bench.Phase) bool { return p.Index == tier.Phase })
	phase := f.result.Phases[i]
	w, watts := phase.Window(), phase.Power[0]
	begin, end := w.Begin.Sub(f.system.start), w.End.Sub(f.system.start)
	truth := f.course.Energy(end) - f.course.Energy(begin)
	expanded := watts.Uncertainty.Expanded()
	off := float64(watts.Energy-truth) / float64(truth)
	fmt.Fprintf(table, "%-7s %7d %7d %4d..%-3d %12.2f %12.2f %12.2f %8.3f%% %7.3f%%\n", tier.Tier.Name, known, tier.Agents, tier.Agents, tier.FirstFail,
		level.Mean.Watts(), f.course.Mean(begin, end).Watts(), watts.Mean.Watts(), 100*off, 100*expanded)
	if math.Abs(off) > expanded || expanded > 0.01 {
		t.Errorf("%s: window energy %v J, truth %v J: off by %.4f %%, stated uncertainty %.4f %%, limit 1 %%", name, watts.Energy.Joules(), truth.Joules(), 100*off, 100*expanded)
	}
	want := float64(tier.Agents) / (f.course.Mean(begin, end).Watts() / 1e6)
	if math.Abs(figure.AgentsPerMegawatt/want-1) > expanded {
		t.Errorf("%s: %v agents/MW, want %v", name, figure.AgentsPerMegawatt, want)
	}
	if figure.Standing != bench.Valid && tier.Monotone || !figure.Simulated || figure.Scope != power.Accelerator {
		t.Errorf("%s: figure is %s %q, simulated %v, scope %s", name, figure.Standing, figure.Reasons, figure.Simulated, figure.Scope)
	}
	if tier.Agents == known && math.Abs(watts.Mean.Watts()/level.Mean.Watts()-1) > 0.1 {
		t.Errorf("%s: %.1f W in the window, the steady state draws %.1f W", name, watts.Mean.Watts(), level.Mean.Watts())
	}
}

// sent is what all lanes of a run sent, and what came back.
type sent struct {
	mu    sync.Mutex
	turns []sentTurn
}

type sentTurn struct {
	play  trajectory.Play
	turn  int
	reply bench.Reply
}

// loggedLane notes what it carries. Records of requests that span two phases are not in the run directory; here they are.
type loggedLane struct {
	agent.Lane
	sent *sent
}

func (l *loggedLane) Send(ctx context.Context, p trajectory.Play, k int) bench.Reply {
	r := l.Lane.Send(ctx, p, k)
	l.sent.mu.Lock()
	defer l.sent.mu.Unlock()
	l.sent.turns = append(l.sent.turns, sentTurn{p, k, r})
	return r
}

// replay gives the model the same requests at the same times and checks that every one of them was answered as the model
// says: through ramps, shrinking fleets and requests that were cut off.
func (s *sent) replay(t *testing.T, sys *system, p simulate.Params) *model.Course {
	t.Helper()
	slices.SortFunc(s.turns, func(a, b sentTurn) int {
		return cmp.Or(cmp.Compare(a.reply.WriteBegin, b.reply.WriteBegin), cmp.Compare(a.play.Salt, b.play.Salt))
	})
	var load []model.Agent
	want := make([]answer, len(s.turns))
	for i, x := range s.turns {
		r := asked(x.play, x.turn, sys.client.Cap)
		if x.reply.Failure != "" {
			r.Quit = x.reply.Done.Sub(sys.start)
		}
		load = append(load, once(x.reply.WriteBegin.Sub(sys.start), r))
		want[i] = seen(sys, bench.Record{Agent: i, Reply: x.reply})
	}
	course := model.Run(p, load, sys.clock.Now().Sub(sys.start))
	bad := 0
	for _, r := range course.Requests {
		got := answer{r.Agent, r.Arrived, r.First, r.Last, r.Prompt, r.Cached, r.Output, r.FirstTokens}
		if s.turns[r.Agent].reply.Failure == bench.Cancelled {
			continue
		}
		if d := gocmp.Diff(want[r.Agent], got); d != "" && bad < 3 {
			bad++
			t.Errorf("turn %d of %s at %v, failure %q (-engine +model):\n%s", s.turns[r.Agent].turn, s.turns[r.Agent].play.ID, r.Arrived, s.turns[r.Agent].reply.Failure, d)
		}
	}
	if len(course.Requests) != len(s.turns) {
		t.Errorf("%d requests, the model saw %d", len(s.turns), len(course.Requests))
	}
	sameEnergy(t, sys, course)
	return course
}

// once is an agent with one request.
func once(at time.Duration, r model.Request) model.Agent {
	asked := false
	return model.Agent{Spawn: at, Next: func() (model.Request, bool) {
		first := !asked
		asked = true
		return r, first
	}}
}
