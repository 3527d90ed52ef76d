package search

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/clock"
)

// phase is one phase under way.
type phase struct {
	*running
	facts   bench.PhaseFacts
	cost    meterSelf
	tally   *bench.Tally // of the tiers that asked
	counted int          // records of the log that the tally has seen
	told    clock.Stamp  // last progress
}

// errPhaseTimeout ends the wait for a fleet that does not come together.
var errPhaseTimeout = errors.New("phase timeout")

// probe runs one phase; bench.Search calls it.
func (r *running) probe(ctx context.Context, ask bench.Ask) (bench.Phase, error) {
	r.phases++
	p := &phase{running: r, cost: startCost(), tally: bench.NewTally(ask.Tiers)}
	p.facts = bench.PhaseFacts{Index: r.phases, Agents: ask.Agents, Purpose: ask.Purpose, Begin: r.Clock.Now()}
	r.log.start(p.facts.Index, p.facts.Begin)
	if r.Power != nil {
		r.Power.Forget(p.facts.Begin)
	}
	if r.crew != nil {
		r.crew.Costs(ctx) // those of before the phase
	}
	p.facts.Reason = p.run(ctx)
	return p.close(ctx)
}

// run takes the fleet to N, opens the window and keeps it open until a reason to end it. It sets the facts' stamps.
func (p *phase) run(ctx context.Context) bench.EndReason {
	profile := p.Experiment.Profile
	limit, cancel := context.WithTimeoutCause(ctx, profile.Timeout, errPhaseTimeout)
	defer cancel()
	full, err := p.gather(limit)
	if err != nil {
		return p.reasonOf(ctx)
	}
	p.facts.Full = full
	p.facts.WindowBegin = bench.WindowBegins(p.facts, profile)
	for now := p.Clock.Now(); now < p.facts.WindowBegin; now = p.Clock.Now() {
		p.watch("settling", p.facts.WindowBegin.Sub(now))
		if !clock.Sleep(limit, min(p.tick(), p.facts.WindowBegin.Sub(now))) || p.lost() {
			p.facts.WindowBegin = 0
			return p.reasonOf(ctx)
		}
	}
	return p.window(ctx)
}

// gather brings the fleet to N agents, telling how far it is.
func (p *phase) gather(ctx context.Context) (clock.Stamp, error) {
	done := make(chan struct{})
	var full clock.Stamp
	var err error
	go func() {
		defer close(done)
		full, err = p.fleet.Resize(ctx, p.lifetime, p.facts.Agents)
	}()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return full, err
		case <-tick.C:
			p.watch("growing", 0)
		}
	}
}

// reasonOf tells a phase that ran out of time from one that was interrupted or lost a part of its load.
func (p *phase) reasonOf(ctx context.Context) bench.EndReason {
	switch {
	case ctx.Err() != nil:
		return bench.EndInterrupted
	case p.lost():
		return bench.EndLost
	}
	return bench.EndTimeout
}

// window waits for a reason to end the window and sets its end.
func (p *phase) window(ctx context.Context) (reason bench.EndReason) {
	profile := p.Experiment.Profile
	var stopped, judged clock.Stamp // when the stop rule was first met, and the verdicts last looked at
	for reason == "" {
		alive := clock.Sleep(ctx, p.tick())
		now := p.Clock.Now()
		p.facts.WindowEnd = now
		p.count(now)
		completed := p.tally.Completed(p.facts.Agents)
		switch {
		case !alive:
			return bench.EndInterrupted
		case p.lost():
			return bench.EndLost
		case p.tally.FailureCertain(p.facts, profile, now, p.waiting()):
			return bench.EndCertain
		case bench.StopRule(profile, p.facts.WindowBegin, now, completed):
			if stopped == 0 {
				stopped = now
			}
			// Looking at the verdicts costs a bootstrap: only when the window has grown by a tenth.
			if judged == 0 || now.Sub(judged) >= judged.Sub(p.facts.WindowBegin)/10 {
				judged = now
				if !bench.Extend(p.facts, profile, stopped, now, p.soFar(now)) {
					return bench.EndStopRule
				}
			}
		case bench.TimedOut(p.facts, profile, now):
			return bench.EndTimeout
		}
		p.watch("window", p.facts.WindowBegin.Add(profile.MinWindow).Sub(now))
	}
	return reason
}

// tick is how often a phase is looked at: fine beside its window, coarse enough to cost nothing.
func (p *phase) tick() time.Duration {
	return min(max(p.Experiment.Profile.MinWindow/200, 20*time.Millisecond), time.Second)
}

// count gives the tally the records of the window that came in since the last time.
func (p *phase) count(now clock.Stamp) {
	records := p.log.snapshot()
	w := bench.Window{Begin: p.facts.WindowBegin, End: now}
	for _, r := range records[p.counted:] {
		if w.Holds(r) {
			p.tally.Add(r)
		}
	}
	p.counted = len(records)
}

// soFar judges the window as if it ended now.
func (p *phase) soFar(now clock.Stamp) []bench.Verdict {
	facts := p.facts
	facts.WindowEnd, facts.End, facts.Reason = now, now, bench.EndStopRule
	return bench.Evaluate(facts, p.log.snapshot(), p.Experiment).Verdicts
}

// close drains what began in the window, writes the phase down and evaluates it. The window is in run.json before the
// power is looked at.
func (p *phase) close(ctx context.Context) (bench.Phase, error) {
	if err := p.note(); err != nil {
		return bench.Phase{}, err
	}
	p.drain(ctx)
	p.facts.End = p.Clock.Now()
	p.costs(ctx)
	open := p.unfinished()
	records := p.log.take()
	records = slices.Concat(records, without(open, records))
	if p.lost() && p.facts.Reason == bench.EndStopRule {
		p.facts.Reason = bench.EndLost // noticed only now: not all that the window holds is here
	}
	if err := p.Dir.WritePhase(p.facts.Index, records); err != nil {
		return bench.Phase{}, err
	}
	if err := p.note(); err != nil {
		return bench.Phase{}, err
	}
	out := bench.Evaluate(p.facts, records, p.Experiment)
	if w := p.facts.Window(); p.Power != nil && w.Length() > 0 && ctx.Err() == nil {
		p.watch("power", 0)
		p.Power.Await(ctx, w.End.Add(edgeMargin), powerWait)
		out.Power, _ = bench.Join(w, p.Power.Batches(), p.Experiment.Power, p.host())
	}
	p.tell(Progress{Stage: "done", Phase: p.facts.Index, Agents: p.facts.Agents, Purpose: p.facts.Purpose, Done: &out})
	switch {
	case ctx.Err() != nil:
		return out, context.Cause(ctx)
	case p.lost():
		return out, fmt.Errorf("%w: phase %d: %s", ErrInvalid, p.facts.Index, p.facts.Lost)
	}
	return out, nil
}

// edgeMargin is how far past the window's end power is waited for: the value after the edge, and half the window and the
// delay of a sensor that averages over a second. What comes later is still in the result, which is computed at the end.
const edgeMargin = time.Second

// host says whose clock the windows are on.
func (r *running) host() bench.HostClock {
	h := bench.HostClock{Host: r.Experiment.Host, Boot: r.Experiment.Boot, Epoch: r.Experiment.Epoch}
	if r.Power != nil {
		h.Others = r.Power.Exchanges()
	}
	return h
}

// note writes the phase's facts to run.json, in place of an earlier version of them.
func (p *phase) note() error {
	return p.Dir.Update(func(m *rundir.Manifest) {
		m.Anchors = append(m.Anchors, p.anchor())
		for i := range m.Phases {
			if m.Phases[i].Index == p.facts.Index {
				m.Phases[i] = p.facts
				return
			}
		}
		m.Phases = append(m.Phases, p.facts)
	})
}

// drain waits until every request begun in the window is over; the client's own deadlines bound that. The fleet plays on
// meanwhile, so the load on the server stays what it was. A phase that cannot pass anyway is not drained.
func (p *phase) drain(ctx context.Context) {
	if p.facts.Reason != bench.EndStopRule {
		return
	}
	for len(p.unfinished()) > 0 {
		p.watch("draining", 0)
		if !clock.Sleep(ctx, p.tick()) || p.lost() {
			return
		}
	}
}

// unfinished returns the requests of the window that are still in flight.
func (p *phase) unfinished() (out []bench.Record) {
	w := p.facts.Window()
	for _, r := range p.fleet.InFlight() {
		if w.Holds(r) {
			r.Phase, r.Failure = p.facts.Index, bench.InFlight
			r.Prompt, r.Cached, r.Output, r.Reasoning = bench.Unknown, bench.Unknown, bench.Unknown, bench.Unknown
			out = append(out, r)
		}
	}
	return out
}

// waiting returns when the requests of the window began whose answer has not begun to come.
func (p *phase) waiting() (begun []clock.Stamp) {
	for _, r := range p.unfinished() {
		if r.FirstByte == 0 {
			begun = append(begun, r.Start())
		}
	}
	return begun
}

// watch tells the progress of the phase, at most once a second.
func (p *phase) watch(stage string, left time.Duration) {
	now := p.Clock.Now()
	if p.Watch == nil || now.Sub(p.told) < time.Second {
		return
	}
	p.told = now
	t := Progress{
		Stage: stage, Phase: p.facts.Index, Agents: p.facts.Agents, Purpose: p.facts.Purpose,
		Active: p.fleet.Active(), Elapsed: now.Sub(p.facts.Begin), Left: max(0, left),
		Need: max(p.Experiment.Profile.MinTrajectories, p.Experiment.Profile.MinPerAgent*p.facts.Agents),
	}
	if p.facts.WindowBegin != 0 {
		t.fill(p.log.snapshot(), bench.Window{Begin: p.facts.WindowBegin, End: now})
	}
	p.tell(t)
}
