package model

import (
	"math"
	"slices"
	"time"

	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/power"
)

// Window is the stretch of a course over which it is judged: requests belong to it by their arrival.
type Window struct{ Begin, End time.Duration }

// Level is the service that N agents got, and what it took.
type Level struct {
	Agents   int
	Requests int         // of the window, all answered
	Speed    float64     // P25 of output speed, tokens per second
	TTFT     float64     // P95 of the time to first token, seconds
	Mean     power.Power // over the window, all devices
}

// Meets reports whether the level meets a tier.
func (l Level) Meets(t Tier) bool { return l.Speed >= t.Speed && l.TTFT <= t.TTFT }

// Tier is the pair of limits of METHOD 4.
type Tier struct {
	Name  string
	Speed float64 // least P25 of output speed, tokens per second
	TTFT  float64 // most P95 of the time to first token, seconds
}

// Edge is a tier's capacity: every N up to Sure meets it, and none above Most does. They differ where the load is
// not monotone. The model knows the capacity where they are equal.
type Edge struct{ Sure, Most int }

// Levels runs n agents for each n of 1 to most.
func Levels(p simulate.Params, load func(n int) []Agent, w Window, most int) []Level {
	levels := make([]Level, most)
	for i := range levels {
		levels[i] = Run(p, load(i+1), w.End+w.End/4).Level(i+1, w)
	}
	return levels
}

// Capacity finds a tier's edge among levels, those of 1, 2, 3 ... agents.
func Capacity(levels []Level, t Tier) Edge {
	var e Edge
	for i, l := range levels {
		if l.Meets(t) {
			e.Most = l.Agents
			if e.Sure == i {
				e.Sure = l.Agents
			}
		}
	}
	return e
}

// Level judges the course in a window by METHOD 3 and 4: nearest-rank percentiles over all requests that began in it. A
// request that was not answered when the course ended counts as what the client says of a failure: no speed, no first token.
func (c *Course) Level(n int, w Window) Level {
	var speeds, waits []float64
	for _, r := range c.Requests {
		switch {
		case r.Arrived < w.Begin || r.Arrived >= w.End:
			continue
		case !r.Done:
			speeds, waits = append(speeds, 0), append(waits, math.Inf(1))
			continue
		}
		waits = append(waits, (r.First - r.Arrived).Seconds())
		if r.Last > r.First {
			speeds = append(speeds, float64(r.Output-r.FirstTokens)/(r.Last-r.First).Seconds())
		}
	}
	return Level{Agents: n, Requests: len(waits), Speed: nearestRank(speeds, 25), TTFT: nearestRank(waits, 95), Mean: c.Mean(w.Begin, w.End)}
}

// nearestRank returns the smallest value that at least percent of the values do not exceed; NaN of none.
func nearestRank(values []float64, percent int) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return values[max(1, (percent*len(values)+99)/100)-1]
}
