package agent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"agentwatt/runner/internal/trajectory"
)

// ToolMode says where tool times come from (METHOD 2). It is part of a result's identity.
type ToolMode string

// The tool-time modes.
const (
	Sampled  ToolMode = "sampled"  // drawn per call from the tool's distribution
	Recorded ToolMode = "recorded" // as recorded
	Scaled   ToolMode = "scaled"   // as recorded, times ToolTime.Scale
	NoTools  ToolMode = "none"     // no wait at all
)

// Distribution is a log-normal distribution clipped to [Min, Max].
type Distribution struct {
	Median time.Duration
	Sigma  float64 // of the logarithm
	Min    time.Duration
	Max    time.Duration
}

// DefaultDistribution is METHOD's: median 1 s, clipped to 0.1-5 s. The width is ours: 9 in 10 calls between 0.27 and 3.7 s.
var DefaultDistribution = Distribution{Median: time.Second, Sigma: 0.8, Min: 100 * time.Millisecond, Max: 5 * time.Second}

func (d Distribution) draw(r *rand.Rand) time.Duration {
	t := time.Duration(float64(d.Median) * math.Exp(d.Sigma*r.NormFloat64()))
	return min(max(t, d.Min), d.Max)
}

// Validate reports a distribution that cannot be drawn from.
func (d Distribution) Validate() error {
	if d.Median <= 0 || d.Sigma < 0 || d.Min < 0 || d.Max < d.Min || d.Median < d.Min || d.Median > d.Max {
		return fmt.Errorf("distribution with median %v, sigma %g, clipped to %v-%v: want 0 <= min <= median <= max and sigma >= 0",
			d.Median, d.Sigma, d.Min, d.Max)
	}
	return nil
}

// ToolTime is the wait between an answer and the next request.
type ToolTime struct {
	Mode    ToolMode
	Scale   float64                 // Scaled
	Default Distribution            // Sampled, for tools not in PerTool
	PerTool map[string]Distribution // Sampled, by tool name
}

// after returns the wait after a turn that is not the last. Calls of one turn run one after the other. A turn without a
// recorded call is followed by one call of an unnamed tool where times are sampled: something made the agent go on.
func (t ToolTime) after(turn trajectory.Turn, r *rand.Rand) (sum time.Duration, longest string) {
	calls := turn.Calls
	if len(calls) == 0 && t.Mode == Sampled {
		calls = []trajectory.Call{{}}
	}
	var most time.Duration = -1
	for _, c := range calls {
		d := t.one(c, r)
		if sum += d; d > most {
			most, longest = d, c.Tool
		}
	}
	return sum, longest
}

// fork returns the time from an answer to the first request of a sub-agent that it starts. No tool runs in it, so it is not drawn.
func (t ToolTime) fork(recorded time.Duration) time.Duration {
	switch t.Mode {
	case Scaled:
		return time.Duration(float64(recorded) * t.Scale)
	case NoTools:
		return 0
	}
	return recorded
}

func (t ToolTime) one(c trajectory.Call, r *rand.Rand) time.Duration {
	switch t.Mode {
	case Sampled:
		d, ok := t.PerTool[c.Tool]
		if !ok {
			d = t.Default
		}
		return d.draw(r)
	case Recorded:
		return c.Duration
	case Scaled:
		return time.Duration(float64(c.Duration) * t.Scale)
	}
	return 0
}
