package characterise

import (
	"flag"
	"maps"
	"math"
	"slices"
	"testing"
)

var seeds = flag.Uint64("seeds", 2, "recordings per sensor in the table of truths")

// a GPU's sensor with a 100 ms refresh; the rows of the table differ from it.
func gpu() rig {
	return rig{
		cycles: 12, busy: 2, idle: 2, low: 80, high: 400, rise: 0.02, wobble: 0.02,
		period: 0.1, jitter: 0.001, window: 0.1, delay: 0.06, gain: 0.95, offset: 2, noise: 0.5, quantum: 10, poll: 0.01,
		refStep: 0.01, refAccuracy: 0.005,
	}
}

// rigs are the sensors whose truth must be found again.
func rigs() map[string]rig {
	with := func(change func(*rig)) rig {
		g := gpu()
		change(&g)
		return g
	}
	return map[string]rig{
		"whole window":     gpu(),
		"part-time window": with(func(g *rig) { g.window, g.delay = 0.025, 0.0125 }),
		"1 s average":      with(func(g *rig) { g.window, g.delay, g.busy, g.idle = 1, 0.55, 4, 4 }),
		"fast":             with(func(g *rig) { g.period, g.window, g.delay, g.poll = 0.02, 0.01, 0.005, 0.005 }),
		"late":             with(func(g *rig) { g.delay = 0.6 }),
		"noisy":            with(func(g *rig) { g.noise = 5 }),
		"coarse count":     with(func(g *rig) { g.quantum = 1000; g.noise = 0.2 }),
		"reads too high":   with(func(g *rig) { g.gain, g.offset = 1.11, -18 }),
		"BMC": with(func(g *rig) {
			g.period, g.window, g.delay, g.poll, g.quantum, g.busy, g.idle = 1, 1, 1.2, 0.1, 1000, 8, 8
		}),
		"counter":      with(func(g *rig) { g.counter, g.delay, g.offset = true, 0.03, 0 }),
		"fast counter": with(func(g *rig) { g.counter, g.delay, g.period, g.poll, g.offset = true, 0.004, 0.02, 0.004, 0 }),
		"few cycles":   with(func(g *rig) { g.cycles = 4 }),
	}
}

// Of what is stated with k = 2, 95 in 100 must hold; over all rigs and seeds at most what chance explains may not.
func TestTheTruthIsWithinTheStatedUncertainty(t *testing.T) {
	t.Parallel()
	miss, all, width := map[string]int{}, map[string]int{}, map[string]float64{}
	for name, g := range rigs() {
		if raced && name != "whole window" && name != "counter" {
			continue
		}
		for seed := range *seeds {
			sensor, ref, marks := g.record(seed)
			r, err := Measure(sensor, &ref, marks, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []struct {
				what  string
				got   Estimate
				truth float64
			}{{"period", r.Period, g.period}, {"window", r.Window, g.window}, {"delay", r.Delay, g.delay}, {"gain", r.Gain, g.gain}, {"offset", r.Offset, g.offset}} {
				if g.counter && x.what == "window" {
					continue
				}
				if !x.got.Known() {
					t.Fatalf("%s, seed %d: %s: %s", name, seed, x.what, x.got.Reason)
				}
				all[x.what]++
				width[name+", "+x.what] += x.got.U / float64(*seeds)
				if math.Abs(x.got.Value-x.truth) > x.got.U {
					miss[x.what]++
					t.Logf("%s, seed %d: %s %.5g ± %.2g, true %.5g", name, seed, x.what, x.got.Value, x.got.U, x.truth)
				}
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(width)) {
		t.Logf("%s: mean U %.2g", what, width[what])
	}
	for what, n := range all {
		t.Logf("%s: outside %d times of %d", what, miss[what], n)
		if most := 0.05*float64(n) + 2.5*math.Sqrt(0.05*0.95*float64(n)); float64(miss[what]) > most {
			t.Errorf("%s: the truth is outside of the stated uncertainty %d times of %d", what, miss[what], n)
		}
	}
}
