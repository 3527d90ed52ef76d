package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"agentwatt/shared/clock"
)

// The limits of METHOD 3 on the measurement itself. Beyond them a phase is invalid, not failed.
const (
	lagFloor       = 5 * time.Millisecond // P99 lag is allowed this or 1 % of the TTFT limit, whichever is more
	lagShare       = 0.01
	lateRead       = 2 * time.Millisecond // a read this late after its bytes arrived is no tick: the client was held up
	mostLateFirsts = 0.01                 // share of first outputs without a stamp of their own because the client was held up
	mostUnmeasured = 0.05                 // share of one-chunk answers, and of requests without a value for an objective
)

// Evaluate judges a phase of an experiment for every tier and describes it: everything of a Phase but its power. records are
// those that began during the phase, in any order. The result is a pure function of its arguments; the bootstrap is seeded by the
// phase's index.
func Evaluate(f PhaseFacts, records []Record, x Experiment) Phase {
	e := newEvaluation(f, records)
	phase := Phase{PhaseFacts: f, Requests: len(e.members), Failures: e.failures()}
	for _, r := range e.members {
		if e.singleChunk(r) {
			phase.SingleChunk++
		}
		if r.Output == Unknown && !r.failed() {
			phase.NoUsage++
		}
		if r.FirstOutput != 0 && !r.FirstKnown {
			phase.FirstAssumed++
		}
		if e.completed(r) {
			phase.Trajectories++
		}
	}
	e.describe(&phase)
	invalid := e.invalid(phase, x)
	for _, t := range x.Tiers {
		phase.Verdicts = append(phase.Verdicts, e.judge(t, x.Profile, invalid))
	}
	phase.Warnings = e.warnings(phase)
	return phase
}

// evaluation holds what all tiers share.
type evaluation struct {
	facts     PhaseFacts
	window    Window
	all       []Record  // of the phase
	members   []*Record // those that began inside the window and were not cancelled, by agent, play and turn
	cancelled int       // those that began inside the window and were
	inFlight  int       // members not finished when the phase was closed
	lagP99    float64   // seconds; NaN if unknown
	intervals map[intervalKey]Observed
}

func newEvaluation(f PhaseFacts, records []Record) *evaluation {
	e := &evaluation{facts: f, window: f.Window(), all: records, intervals: map[intervalKey]Observed{}}
	for i := range records {
		r := &records[i]
		switch {
		case !e.window.Holds(*r):
		case r.Failure == Cancelled:
			e.cancelled++
		default:
			e.members = append(e.members, r)
			if r.Failure == InFlight {
				e.inFlight++
			}
		}
	}
	// One order, so that the bootstrap draws the same plays whatever the order of the records.
	slices.SortFunc(e.members, func(a, b *Record) int {
		return cmp.Or(cmp.Compare(a.Agent, b.Agent), cmp.Compare(a.Play, b.Play),
			cmp.Compare(a.Conversation, b.Conversation), cmp.Compare(a.Turn, b.Turn))
	})
	lags, _ := e.values(Lag, 0)
	e.lagP99 = Quantile(lags, 0.99)
	return e
}

// failures counts the members' failures by kind; those without output that the client did not call failures are empty.
func (e *evaluation) failures() map[Failure]int {
	counts := map[Failure]int{}
	for _, r := range e.members {
		switch {
		case r.Failure != "":
			counts[r.Failure]++
		case r.failed():
			counts[FailEmpty]++
		}
	}
	if e.cancelled > 0 {
		counts[Cancelled] = e.cancelled
	}
	return counts
}

// singleChunk reports an answer that has no output speed because all of it carries one stamp.
func (e *evaluation) singleChunk(r *Record) bool {
	_, ok := r.OutputSpeed()
	return !ok && !r.failed() && r.Output != Unknown
}

// completed reports whether the record completes a trajectory inside the window: its last turn began in it and was answered
// before it ended. The moment of the last answer may itself be the end, since the stop rule waits for it.
func (e *evaluation) completed(r *Record) bool { return r.Completed() && r.Done <= e.window.End }

// invalid lists the reasons that make the phase invalid for every tier.
func (e *evaluation) invalid(phase Phase, x Experiment) (reasons []string) {
	add := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }
	if e.facts.Reason == EndInterrupted {
		add("the phase was interrupted")
	}
	if e.facts.Lost != "" {
		add("a part of the load was lost: %s", e.facts.Lost)
	}
	if e.window == (Window{}) {
		add("the window never began: not all %d agents became active and stayed so", e.facts.Agents)
		return reasons
	}
	if len(e.members) == 0 && e.facts.Reason != EndTimeout {
		add("no request began inside the window")
	}
	if answers := e.answers(); float64(phase.SingleChunk) > mostUnmeasured*float64(answers) {
		add("%d of %d answers came in one chunk and have no output speed (limit %.0f %%)", phase.SingleChunk, answers, 100*mostUnmeasured)
	}
	if rate := phase.Reading.PerSecond; x.Calibration.unproven(rate) {
		add("the client read %.0f chunks/s and was seen to keep up with %.0f before the run (needed: %.1f times the phase's)", rate, x.Calibration.Proven, headroom)
	}
	if n := phase.Reading.LateFirsts; float64(n) > mostLateFirsts*float64(len(e.members)) {
		add("the client was late: it read %d of %d first outputs together with later ones, more than %v after they came (limit %.0f %%)", n, len(e.members), lateRead, 100*mostLateFirsts)
	}
	if e.facts.Reason == EndStopRule {
		completed := NewTally(nil)
		for _, r := range e.members {
			if e.completed(r) {
				completed.Add(*r)
			}
		}
		if !StopRule(x.Profile, e.window.Begin, e.window.End, completed.Completed(e.facts.Agents)) {
			add("the records do not bear out the stop rule: %d trajectories completed in %v", phase.Trajectories, e.window.Length())
		}
	}
	return reasons
}

// answers counts the members that were answered.
func (e *evaluation) answers() (n int) {
	for _, r := range e.members {
		if !r.failed() {
			n++
		}
	}
	return n
}

// judge gives the verdict for one tier. A phase that ended early because a failure was certain has failed for the tiers for
// which it was, and for those whose interval says so; it was not long enough to say anything about the others.
func (e *evaluation) judge(t Tier, p Profile, invalid []string) Verdict {
	v := Verdict{Tier: t.Name, Confidence: Undecided, Reasons: slices.Clone(invalid)}
	missed, surelyMissed, surelyMet := false, false, true
	for _, o := range t.Objectives {
		seen := e.observe(o, t)
		v.Observed = append(v.Observed, seen)
		missed = missed || !seen.Met
		surelyMissed = surelyMissed || seen.decided() && !o.Met(seen.Low) && !o.Met(seen.High)
		surelyMet = surelyMet && seen.decided() && o.Met(seen.Low) && o.Met(seen.High)
		v.Reasons = append(v.Reasons, e.unmeasured(seen)...)
	}
	v.Reasons = append(v.Reasons, e.tooLate(t)...)
	switch {
	case len(v.Reasons) > 0:
		v.Outcome = Invalid
		return v
	case e.facts.Reason == EndTimeout:
		v.Outcome = Fail
		v.Reasons = []string{"timeout: the stop rule was not met in time, which is never a pass"}
	case missed && (e.facts.Reason == EndStopRule || surelyMissed || e.failureCertain(t, p)):
		v.Outcome = Fail
	case e.facts.Reason == EndStopRule:
		v.Outcome = Pass
	default:
		v.Outcome = Unjudged
		v.Reasons = []string{"the phase ended early because it had failed for other tiers"}
		return v
	}
	if v.Outcome == Fail && surelyMissed || v.Outcome == Pass && surelyMet {
		v.Confidence = Confident
	}
	return v
}

// failureCertain repeats for one tier what ended the phase early.
func (e *evaluation) failureCertain(t Tier, p Profile) bool {
	tally := NewTally([]Tier{t})
	var waiting []clock.Stamp
	for _, r := range e.members {
		switch {
		case r.Failure != InFlight && r.Done <= e.window.End:
			tally.Add(*r)
		case r.Failure == InFlight && r.FirstByte == 0:
			waiting = append(waiting, r.Start())
		}
	}
	return tally.FailureCertain(e.facts, p, e.window.End, waiting)
}

// unmeasured gives the reason that makes an objective invalid if too many requests have no value for it. Requests in flight
// count only where the phase had time to drain them.
func (e *evaluation) unmeasured(o Observed) []string {
	without := len(e.members) - o.N
	if e.facts.Reason != EndStopRule {
		without -= e.inFlight
	}
	if float64(without) <= mostUnmeasured*float64(len(e.members)) {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d requests have no %s (limit %.0f %%)", without, len(e.members), o.Objective.Metric, 100*mostUnmeasured)}
}

// tooLate gives the reason that makes the tier's verdict invalid if the client was the bottleneck.
func (e *evaluation) tooLate(t Tier) []string {
	limit := lagFloor.Seconds()
	if ttft, ok := t.TTFTLimit(); ok {
		limit = max(limit, lagShare*ttft)
	}
	if math.IsNaN(e.lagP99) || e.lagP99 <= limit {
		return nil
	}
	return []string{fmt.Sprintf("the client was late: P99 of lag is %.1f ms (limit %.1f ms)", 1000*e.lagP99, 1000*limit)}
}
