// Package report shows a result: as text that is understood at once, as JSON and CSV for machines, and as one HTML page with
// pictures that needs nothing but itself. It computes nothing: every number comes from bench.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Run is what a report is made of.
type Run struct {
	Result   bench.Result
	Timeline Timeline
}

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

// timelineBins is as many as a wide screen can tell apart.
const timelineBins = 400

// NewTimeline draws the power of a recording over a span.
func NewTimeline(r *bench.Recording, span bench.Window, plan bench.PowerPlan) Timeline {
	t := Timeline{Span: span}
	width := span.Length() / timelineBins
	if width <= 0 {
		return t
	}
	at := map[power.Scope]int{}
	for i := range timelineBins {
		begin := span.Begin.Add(time.Duration(i) * width)
		for _, p := range r.Join(bench.Window{Begin: begin, End: begin.Add(width)}, plan) {
			if !p.Scope.Headline() {
				continue
			}
			k, ok := at[p.Scope]
			if !ok {
				k = len(t.Scopes)
				at[p.Scope] = k
				t.Scopes = append(t.Scopes, Course{Scope: p.Scope, Watts: gaps(timelineBins)})
			}
			if p.Valid {
				t.Scopes[k].Watts[i] = p.Mean.Watts()
			}
		}
	}
	return t
}

// JSON writes the result with indentation.
func JSON(w io.Writer, r bench.Result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	return nil
}

func gaps(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = math.NaN()
	}
	return out
}

// number writes v for machines: shortest form that reads back, "inf" for infinity, empty for NaN.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case math.IsInf(v, 1):
		return "inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// at returns a stamp's distance from the begin of the run, as people write it: "12:34".
func at(begin, s clock.Stamp) string {
	d := int(s.Sub(begin).Seconds())
	if d >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", d/3600, d/60%60, d%60)
	}
	return fmt.Sprintf("%d:%02d", d/60, d%60)
}
