package report

import (
	"math"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// Timeline is the course of power over a run, for the picture. It is drawn, never counted.
type Timeline struct {
	Span   bench.Window
	Scopes []Course
}

// Course is the mean power of one scope in equal bins over the span; NaN where it is not covered.
type Course struct {
	Scope power.Scope
	Watts []float64
}

// A picture has as many bins as a wide screen can tell apart, but none so short that one missed read would leave it empty.
const (
	timelineBins = 400
	shortestBin  = time.Second
)

// NewTimeline draws the power of a recording over a span.
func NewTimeline(r *bench.Recording, span bench.Window, plan bench.PowerPlan) Timeline {
	t := Timeline{Span: span}
	bins := min(timelineBins, int(span.Length()/shortestBin))
	if bins <= 0 {
		return t
	}
	width := span.Length() / time.Duration(bins)
	at := map[power.Scope]int{}
	for i := range bins {
		begin := span.Begin.Add(time.Duration(i) * width)
		for _, p := range r.Join(bench.Window{Begin: begin, End: begin.Add(width)}, plan) {
			if !p.Scope.Headline() {
				continue
			}
			k, ok := at[p.Scope]
			if !ok {
				k = len(t.Scopes)
				at[p.Scope] = k
				t.Scopes = append(t.Scopes, Course{Scope: p.Scope, Watts: gaps(bins)})
			}
			if p.Valid {
				t.Scopes[k].Watts[i] = p.Mean.Watts()
			}
		}
	}
	return t
}

// gaps returns n bins without a value.
func gaps(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}
