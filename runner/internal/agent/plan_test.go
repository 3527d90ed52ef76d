package agent

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"agentwatt/runner/internal/trajectory"
)

func TestAssignmentGoesThroughTheWholeSet(t *testing.T) {
	p := Plan{Trajectories: dataset(7, 2, 0), Seed: 42}
	first := map[int]bool{}
	for agent := range 20 {
		for pass := range 3 {
			var got []int
			for i := range 7 {
				got = append(got, p.Assigned(agent, pass*7+i))
			}
			first[got[0]] = true
			slices.Sort(got)
			if want := []int{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
				t.Fatalf("agent %d pass %d plays %v, want each once", agent, pass, got)
			}
		}
	}
	if len(first) < 4 {
		t.Errorf("60 passes begin with only %d different trajectories", len(first))
	}
	if again := (Plan{Trajectories: p.Trajectories, Seed: 42}); again.Assigned(3, 5) != p.Assigned(3, 5) {
		t.Error("the same seed assigns differently")
	}
}

func TestSampledToolTimeHasTheStatedDistribution(t *testing.T) {
	tt := ToolTime{Mode: Sampled, Default: DefaultDistribution,
		PerTool: map[string]Distribution{"ls": {Median: 200 * time.Millisecond, Sigma: 0.3, Min: 100 * time.Millisecond, Max: time.Second}}}
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		tool string
		want Distribution
	}{{"bash", DefaultDistribution}, {"ls", tt.PerTool["ls"]}} {
		var all []time.Duration
		for range 20000 {
			d, tool := tt.after(trajectory.Turn{Calls: []trajectory.Call{{Tool: c.tool, Duration: time.Hour}}}, r)
			if tool != c.tool || d < c.want.Min || d > c.want.Max {
				t.Fatalf("%s: drew %v for %q, want within %v-%v", c.tool, d, tool, c.want.Min, c.want.Max)
			}
			all = append(all, d)
		}
		slices.Sort(all)
		if got := all[len(all)/2].Seconds() / c.want.Median.Seconds(); got < 0.97 || got > 1.03 {
			t.Errorf("%s: median is %.3f of the stated one", c.tool, got)
		}
	}
}

func TestToolTimeModes(t *testing.T) {
	turn := trajectory.Turn{Calls: []trajectory.Call{{Tool: "a", Duration: time.Second}, {Tool: "b", Duration: 3 * time.Second}}}
	for _, c := range []struct {
		tt   ToolTime
		want time.Duration
	}{
		{ToolTime{Mode: Recorded}, 4 * time.Second},
		{ToolTime{Mode: Scaled, Scale: 0.5}, 2 * time.Second},
		{ToolTime{Mode: NoTools}, 0},
	} {
		if got, tool := c.tt.after(turn, nil); got != c.want || c.want > 0 && tool != "b" {
			t.Errorf("%s: got %v after %q, want %v after \"b\"", c.tt.Mode, got, tool, c.want)
		}
	}
}

func TestWaitFollowsEveryTurnButTheLast(t *testing.T) {
	p := Plan{Trajectories: dataset(1, 3, time.Second), Tools: ToolTime{Mode: Recorded}}
	for k, want := range []time.Duration{time.Second, time.Second, 0} {
		if got, _ := p.Wait(0, 0, 0, k); got != want {
			t.Errorf("turn %d: wait %v, want %v", k, got, want)
		}
	}
}
