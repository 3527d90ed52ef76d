package report

import (
	"fmt"
	"math"
	"slices"

	"agentwatt/runner/internal/bench"
)

// symbol says what a phase showed, over all tiers of the run.
type symbol int

const (
	passesAll symbol = iota
	passesSome
	passesNone
	saysNothing
)

func (s symbol) class() string { return [...]string{"all", "some", "none", "void"}[s] }

func (s symbol) String() string {
	return [...]string{"passes every tier", "passes some tiers", "fails every tier judged", "invalid or not judged"}[s]
}

// symbolOf sums up a phase's verdicts. Tiers that the phase says nothing about do not count.
func symbolOf(p bench.Phase) symbol {
	passed, failures := 0, 0
	for _, v := range p.Verdicts {
		switch v.Outcome {
		case bench.Pass:
			passed++
		case bench.Fail:
			failures++
		}
	}
	switch {
	case passed == 0 && failures == 0:
		return saysNothing
	case passed == 0:
		return passesNone
	case failures > 0 || passed < len(p.Verdicts):
		return passesSome
	}
	return passesAll
}

// panel is one percentile over the number of agents.
type panel struct {
	metric   bench.Metric
	quantile float64
}

func (p panel) title() string {
	return fmt.Sprintf("%s %s, %s", percentile(p.quantile), metricName(p.metric), p.metric.Unit())
}

func (p panel) of(o bench.Objective) bool { return o.Metric == p.metric && o.Quantile == p.quantile }

// panels lists the percentiles to draw: the two of the published tiers, then any other that a tier limits.
func panels(tiers []bench.Tier) []panel {
	list := []panel{{bench.OutputSpeed, 0.25}, {bench.TTFT, 0.95}}
	for _, t := range tiers {
		for _, o := range t.Objectives {
			if p := (panel{o.Metric, o.Quantile}); !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
	}
	return list
}

// point is one phase in one panel; low and high are NaN where no interval was computed.
type point struct {
	phase            bench.Phase
	value, low, high float64
}

// points gives the phases that have a value, ordered by agents. An objective's own value and interval are preferred to the
// summary's percentile.
func (p panel) points(phases []bench.Phase) (list []point) {
	for _, ph := range phases {
		pt := point{ph, at(ph.Metrics[string(p.metric)], p.quantile), math.NaN(), math.NaN()}
		for _, v := range ph.Verdicts {
			for _, o := range v.Observed {
				if p.of(o.Objective) && o.N > 0 && math.IsNaN(pt.low) {
					pt.value, pt.low, pt.high = o.Value, o.Low, o.High
				}
			}
		}
		if !math.IsNaN(pt.value) && ph.Agents > 0 {
			list = append(list, pt)
		}
	}
	slices.SortStableFunc(list, func(a, b point) int { return a.phase.Agents - b.phase.Agents })
	return list
}

// describe says one point in words.
func (p panel) describe(pt point, s symbol) string {
	d := fmt.Sprintf("phase %d, %s: %s %s %s", pt.phase.Index, plural(pt.phase.Agents, "agent"), percentile(p.quantile),
		metricName(p.metric), quantity(pt.value, p.metric.Unit()))
	if !math.IsNaN(pt.low) && !math.IsNaN(pt.high) {
		d += fmt.Sprintf(" (95 %% interval %s to %s)", quantity(pt.low, p.metric.Unit()), quantity(pt.high, p.metric.Unit()))
	}
	return d + ", " + s.String()
}
