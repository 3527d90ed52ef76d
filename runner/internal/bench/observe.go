package bench

import "math"

// fewestPlays is the number of trajectory plays below which an interval decides nothing: with k independent plays even the
// range of their medians misses the true median with probability 2^(1-k), which is below 5 % from k = 6.
const fewestPlays = 6

// decided reports whether the interval exists and rests on enough plays to be believed.
func (o Observed) decided() bool { return o.N > 0 && o.Plays >= fewestPlays }

// intervalKey is what an observation depends on beside the records. Tiers often differ in their limits only.
type intervalKey struct {
	metric   Metric
	quantile float64
	patience float64 // seconds after which a request in flight is a violation; 0 where none is in flight
}

// observe gives the objective's percentile with its interval.
func (e *evaluation) observe(o Objective, t Tier) Observed {
	k := intervalKey{metric: o.Metric, quantile: o.Quantile}
	if limit, ok := t.TTFTLimit(); ok && e.inFlight > 0 {
		k.patience = limit
	}
	seen, ok := e.intervals[k]
	if !ok {
		values, plays := e.values(o.Metric, k.patience)
		seen = Observed{Value: Quantile(values, o.Quantile), N: len(values)}
		seen.Low, seen.High, seen.Plays = interval(values, plays, o.Quantile, uint64(e.facts.Index))
		e.intervals[k] = seen
	}
	seen.Objective, seen.Met = o, o.Met(seen.Value)
	return seen
}

// play identifies one pass of an agent through a trajectory: its turns are correlated.
type play struct{ agent, play int }

// values returns the members' values of a metric and the play of each.
func (e *evaluation) values(m Metric, patience float64) ([]float64, []play) {
	values, plays := make([]float64, 0, len(e.members)), make([]play, 0, len(e.members))
	for _, r := range e.members {
		if v, ok := e.value(m, r, patience); ok {
			values, plays = append(values, v), append(plays, play{r.Agent, r.Play})
		}
	}
	return values, plays
}

// value returns a request's value of a metric. A request in flight when the phase was closed is a violation if it has
// waited longer than patience and nothing of its answer has come. Else what is already known of it counts, and for the rest
// it is excluded: that an answer has begun says neither when its first output came nor how fast it is. Patience 0 has no
// limit.
func (e *evaluation) value(m Metric, r *Record, patience float64) (v float64, ok bool) {
	if r.Failure != InFlight || m == Lag {
		return m.of(r)
	}
	if r.FirstOutput == 0 {
		late := r.FirstByte == 0 && patience > 0 && e.facts.End.Sub(r.Start()).Seconds() > patience
		return m.Worst(), late
	}
	if !m.wait() || m == TTFTAnswer && r.FirstAnswer == 0 {
		return math.NaN(), false
	}
	answered := *r // its waits are known like an answered request's
	answered.Failure, answered.Output = "", Unknown
	return m.of(&answered)
}
