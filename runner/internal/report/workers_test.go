package report

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
)

// Who made the load is told with what is known of their clocks, and that nothing is known where that is so.
func TestWorkers(t *testing.T) {
	facts := func(name string, c bench.WorkerClock) bench.WorkerFacts {
		return bench.WorkerFacts{Name: name, Clock: c}
	}
	r := bench.Result{Run: bench.Experiment{Workers: []bench.Worker{{Name: "a", Host: "h"}, {Name: "b", Host: "far"}, {Name: "c", Host: "dark"}}}, Phases: []bench.Phase{
		{PhaseFacts: bench.PhaseFacts{Workers: []bench.WorkerFacts{
			facts("a", bench.WorkerClock{Measurements: 1, SameBoot: true, Within: time.Second}), facts("b", bench.WorkerClock{Measurements: 1, Within: time.Second}),
		}}},
		{PhaseFacts: bench.PhaseFacts{Workers: []bench.WorkerFacts{facts("b", bench.WorkerClock{Measurements: 2, Within: 900 * time.Microsecond, Drift: 100 * time.Microsecond})}}},
	}}
	if got, want := workers(r), "a on h (the runner's own clock), b on far (clock within 1.00 ms), c on dark (clock not measured)"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The page of a replay does not read as if something had been searched for.
func TestReplayPage(t *testing.T) {
	var b bytes.Buffer
	run := Run{Result: bench.Result{Run: bench.Experiment{Fixed: &bench.Fixed{Agents: 4, Windows: 2}}, Complete: true, Tiers: []bench.TierResult{
		{Tier: bench.Tier{Name: "t"}, Fixed: &bench.Tried{Agents: 4, Passed: 1, Failed: 1}, Complete: true, Monotone: true},
	}}}
	if err := HTML(&b, run); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{"neither met nor missed by 4 agents", "not searched for", "none: a replay", "A replay has no answer of a search"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"none was found", "No tier was met"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page says %q", bad)
		}
	}
}
