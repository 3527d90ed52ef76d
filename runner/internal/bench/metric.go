package bench

import (
	"math"

	"agentwatt/shared/clock"
)

// Metric names a per-request figure that an objective can limit. METHOD 3 defines each.
type Metric string

// The metrics. Speeds are in tokens per second and higher is better; all others are in seconds and lower is better.
const (
	OutputSpeed Metric = "output_speed" // tokens per second after the first chunk
	E2ESpeed    Metric = "e2e_speed"    // tokens per second over the whole request, the wait for the first token included
	TTFT        Metric = "ttft"         // time to first output
	TTFTAnswer  Metric = "ttft_answer"  // time to the first output that is not reasoning
	TTFTSched   Metric = "ttft_sched"   // from when the request was due to its first output
	InterToken  Metric = "inter_token"  // seconds per token after the first chunk
	Duration    Metric = "duration"     // from the first byte written to the drained stream
	Lag         Metric = "lag"          // how late the request was written; of the client, not of the system: no objective
)

// Metrics lists what an objective can limit.
func Metrics() []Metric {
	return []Metric{OutputSpeed, E2ESpeed, TTFT, TTFTAnswer, TTFTSched, InterToken, Duration}
}

// HigherIsBetter gives the direction of the metric.
func (m Metric) HigherIsBetter() bool { return m == OutputSpeed || m == E2ESpeed }

// Unit returns the metric's base unit as it is printed: "tok/s", "s/tok" or "s".
func (m Metric) Unit() string {
	switch {
	case m.HigherIsBetter():
		return "tok/s"
	case m == InterToken:
		return "s/tok"
	}
	return "s"
}

// Worst is the value of a failed request: it stays in every denominator (METHOD 3).
func (m Metric) Worst() float64 {
	if m.HigherIsBetter() {
		return 0
	}
	return math.Inf(1)
}

// wait reports whether the metric is a time until the first output: a request in flight without output bounds it from below.
func (m Metric) wait() bool { return m == TTFT || m == TTFTAnswer || m == TTFTSched }

// Of returns the metric of a request that is no longer in flight, in its base unit. A failed request has the worst value.
// ok is false where the metric does not exist for this request (a one-chunk answer has no output speed, an answer
// without usage has no speed at all): it is then excluded from the percentile and counted.
func (m Metric) Of(r Record) (v float64, ok bool) { return m.of(&r) }

func (m Metric) of(r *Record) (v float64, ok bool) {
	if m == Lag {
		return r.Lag().Seconds(), r.WriteBegin != 0 && r.Sched != 0
	}
	if r.failed() {
		return m.Worst(), true
	}
	switch m {
	case OutputSpeed:
		return r.OutputSpeed()
	case E2ESpeed:
		return r.E2ESpeed()
	case InterToken:
		v, ok = r.OutputSpeed()
		return 1 / v, ok
	case TTFT:
		return seconds(r.WriteBegin, r.FirstOutput)
	case TTFTAnswer:
		return seconds(r.WriteBegin, r.FirstAnswer)
	case TTFTSched:
		return seconds(r.Sched, r.FirstOutput)
	case Duration:
		return seconds(r.WriteBegin, r.Done)
	}
	return 0, false
}

// seconds returns the time between two stamps; ok is false where one of them did not happen.
func seconds(from, to clock.Stamp) (v float64, ok bool) {
	if from == 0 || to == 0 {
		return 0, false
	}
	return to.Sub(from).Seconds(), true
}
