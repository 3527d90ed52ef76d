package bench

import (
	"time"

	"agentwatt/shared/clock"
)

// Tally counts a running phase for the two questions that end it: is the stop rule met, is a failure already certain.
// It sees each request of the window once and costs a few comparisons for it.
type Tally struct {
	tiers     []Tier
	counts    [][]count // by tier and objective
	completed map[int]int
	finished  int
	played    float64 // trajectories' worth of turns finished: each turn is its share of its trajectory
}

// count is one objective's view of the requests so far.
type count struct{ requests, violations int }

// NewTally begins to count for the tiers that the phase was asked for.
func NewTally(tiers []Tier) *Tally {
	t := &Tally{tiers: tiers, completed: map[int]int{}}
	for _, tier := range tiers {
		t.counts = append(t.counts, make([]count, len(tier.Objectives)))
	}
	return t
}

// Add counts a finished request that began in the window.
func (t *Tally) Add(r Record) {
	if r.Failure == Cancelled {
		return
	}
	t.finished++
	t.played += 1 / float64(max(1, r.Turns))
	if r.Completed() {
		t.completed[r.Agent]++
	}
	for i, tier := range t.tiers {
		for j, o := range tier.Objectives {
			if v, ok := o.Metric.of(&r); ok {
				c := &t.counts[i][j]
				c.requests++
				if !o.Met(v) {
					c.violations++
				}
			}
		}
	}
}

// Completed returns the trajectories completed in the window, one entry for each of n agents, as StopRule wants them.
// Agents that completed none come last: which slot an agent has does not matter.
func (t *Tally) Completed(n int) []int {
	list := make([]int, 0, n)
	for _, c := range t.completed {
		list = append(list, c)
	}
	for len(list) < n {
		list = append(list, 0)
	}
	return list
}

// horizonSafety widens the number of further requests that FailureCertain reckons with.
const horizonSafety = 2

// FailureCertain reports whether every tier of the tally has already failed whatever the rest of the phase brings: for at
// least one objective of each tier there are more violations than the percentile allows, even if every further request is
// good.
//
// The number of further requests is bounded by the rate of requests so far times the time to the end,
// times a safety of 2. That end is the end of the minimal window, or, if later, the moment when enough trajectories will
// have been played at the pace of turns so far, extended as an undecided phase would be; at most the phase's timeout, after
// which nothing passes anyway.
// waiting holds the starts of the window's requests in flight that have no output yet: those that have waited longer
// than a tier's limit on the first token are violations.
func (t *Tally) FailureCertain(f PhaseFacts, p Profile, now clock.Stamp, waiting []clock.Stamp) bool {
	elapsed := now.Sub(f.WindowBegin)
	if f.WindowBegin == 0 || elapsed <= 0 {
		return false
	}
	left := t.longestEnd(f, p, elapsed).Sub(now)
	rate := float64(t.finished+len(waiting)) / elapsed.Seconds()
	further := int(rate*max(0, left.Seconds())*horizonSafety) + 1
	for i, tier := range t.tiers {
		if !t.certain(i, further, late(tier, now, waiting)) {
			return false
		}
	}
	return len(t.tiers) > 0
}

// certain reports whether a tier fails although `further` good requests follow.
func (t *Tally) certain(tier, further, late int) bool {
	for j, o := range t.tiers[tier].Objectives {
		c := t.counts[tier][j]
		if o.missed(c.violations+late, c.requests+late+further) {
			return true
		}
	}
	return false
}

// late counts the requests that have waited for their first token longer than the tier allows.
func late(tier Tier, now clock.Stamp, waiting []clock.Stamp) (n int) {
	limit, ok := tier.TTFTLimit()
	if !ok {
		return 0
	}
	for _, start := range waiting {
		if now.Sub(start).Seconds() > limit {
			n++
		}
	}
	return n
}

// longestEnd returns the latest moment to which a phase may go on that meets the stop rule as soon as it can, at the pace
// so far.
func (t *Tally) longestEnd(f PhaseFacts, p Profile, elapsed time.Duration) clock.Stamp {
	timeout := f.Begin.Add(p.Timeout)
	end := f.WindowBegin.Add(p.MinWindow)
	// In float: with many agents and few turns the pace is longer than a Duration holds.
	need := float64(max(p.MinTrajectories, p.MinPerAgent*f.Agents))
	pace := float64(elapsed) * need / max(t.played, 1e-9)
	if pace >= float64(p.Timeout) {
		return timeout
	}
	end = max(end, f.WindowBegin.Add(time.Duration(pace)))
	// A pass that is undecided may be extended: a failure that is not certain yet gets the same time, else the search is
	// biased to fewer agents.
	longest := time.Duration(float64(end.Sub(f.WindowBegin)) * max(1, p.Extend))
	return min(f.WindowBegin.Add(longest), timeout)
}
