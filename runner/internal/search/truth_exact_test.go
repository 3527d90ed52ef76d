package search

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/simulate"
	"agentwatt/runner/internal/simulate/model"
	"agentwatt/runner/internal/trajectory"
	gocmp "github.com/google/go-cmp/cmp"
)

// TestEngineIsTheModel plays the same load through engine, HTTP, client and fleet, and through the model that was written
// from docs/simulate.md alone. Every stamp, every token and every microjoule must be the same.
func TestEngineIsTheModel(t *testing.T) {
	small := sessions{count: 9, turns: [2]int{1, 5}, system: [2]int{900, 900}, more: [2]int{100, 6000}, output: [2]int{0, 70}}
	trajectories := small.make(t)
	tools := map[string]agent.ToolTime{
		"sampled":  {Mode: agent.Sampled, Default: agent.DefaultDistribution},
		"recorded": {Mode: agent.Recorded}, // quarters of a second: requests of one instant
		"none":     {Mode: agent.NoTools},  // the next request comes with the last token
	}
	for _, preset := range []string{"decode-bound", "prefill-bound", "cache-bound", "speculative"} {
		p, err := simulate.Preset(preset)
		if err != nil {
			t.Fatal(err)
		}
		if preset == "cache-bound" { // these sessions are short: only a smaller cache is too small for them
			p.CacheTokens, p.MaxContext = 1<<14, 1<<14
		}
		for mode, times := range tools {
			for _, n := range []int{1, 4, 13, 30} {
				plan := agent.Plan{Trajectories: trajectories, Seed: uint64(n), Run: preset + mode, StartTurns: 3, SaltAfter: n%4 == 0, Tools: times}
				t.Run(fmt.Sprintf("%s/%s/%d", preset, mode, n), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { sameCourse(t, p, plan, n) })
				})
			}
		}
	}
}

// sameCourse compares n agents for some time.
func sameCourse(t *testing.T, p simulate.Params, plan agent.Plan, n int) {
	const interval = 50 * time.Millisecond
	until := time.Duration(float64(20*time.Second) * exactShare)
	s := serve(t, p)
	defer s.stop()
	records := playFleet(t, s, plan, n, float64(time.Second/interval), until)
	course := model.Run(p, modelled(plan, s.client.Cap, n, interval), until)

	var want, got []answer
	for _, r := range course.Requests {
		if r.Done && r.Last < until {
			want = append(want, answer{r.Agent, r.Arrived, r.First, r.Last, r.Prompt, r.Cached, r.Output, r.FirstTokens})
		}
	}
	for _, r := range records {
		if r.Failure == "" && r.Done < s.at(until) {
			got = append(got, seen(s, r))
		}
	}
	if d := gocmp.Diff(want, got); d != "" {
		t.Errorf("%d answers by the model, %d by the engine (-model +engine):\n%.2000s", len(want), len(got), d)
	}
	if len(want) == 0 {
		t.Errorf("no answer of %d agents", n)
	}
	sameEnergy(t, s, course)
}

// answer is what the model foretells of an answered request.
type answer struct {
	Agent                int
	Arrived, First, Last time.Duration
	Prompt, Cached       int
	Output, First1       int
}

func seen(s *system, r bench.Record) answer {
	return answer{r.Agent, r.WriteBegin.Sub(s.start), r.FirstOutput.Sub(s.start), r.LastOutput.Sub(s.start), r.Prompt, r.Cached, r.Output, r.FirstChunk}
}

// sameEnergy compares the energy of many windows, to the microjoule.
func sameEnergy(t *testing.T, s *system, course *model.Course) {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		a, b := rng.Int64N(int64(course.Until)), rng.Int64N(int64(course.Until))
		begin, end := time.Duration(min(a, b)), time.Duration(max(a, b))
		want := course.Energy(end) - course.Energy(begin)
		if got := s.history.Energy(s.at(begin).Time(), s.at(end).Time()); got != want {
			t.Fatalf("energy of [%v, %v): %d µJ by the engine, %d by the model", begin, end, got, want)
		}
	}
}

// playFleet lets n agents play until the given time and returns their records in the order of their start.
func playFleet(t *testing.T, s *system, plan agent.Plan, n int, spawn float64, until time.Duration) []bench.Record {
	t.Helper()
	var mu sync.Mutex
	var records []bench.Record
	fleet := &agent.Fleet{
		Plan: plan, Open: func() agent.Lane { return s.engine.Caller() }, Limit: func(u trajectory.Turn) int { return s.client.Cap(u) },
		Now: s.clock.Now, Spawn: spawn,
		Emit: func(r bench.Record) {
			mu.Lock()
			defer mu.Unlock()
			records = append(records, r)
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := fleet.Resize(ctx, ctx, n); err != nil {
		t.Fatal(err)
	}
	time.Sleep(s.at(until).Sub(s.clock.Now()))
	cancel()
	fleet.Wait()
	slices.SortStableFunc(records, func(a, b bench.Record) int {
		return cmp.Or(cmp.Compare(a.WriteBegin, b.WriteBegin), cmp.Compare(a.Agent, b.Agent))
	})
	return records
}
