// Package search is the live capacity search: it takes a fleet through phases, fixes their windows, gathers records and
// power in the run directory, and lets bench decide what to try next. What it found is then computed from the directory
// alone, by the same code that `runner report` uses.
package search

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/clock"
)

// Fleet is the agents of a run.
type Fleet interface {
	// Resize brings the fleet to n agents and blocks until exactly n are active and none is about to leave. It returns the stamp of that
	// moment. ctx bounds the wait; agents live until lifetime ends.
	Resize(ctx, lifetime context.Context, n int) (full clock.Stamp, err error)
	// InFlight returns what is known of the requests under way. The records of all that ended before have been emitted by then.
	InFlight() []bench.Record
	Active() int // agents that are live, leaving ones included
	Wait()       // until every agent has ended; their lifetime has
}

// Search is one run.
type Search struct {
	Experiment bench.Experiment
	Fleet      func(ctx context.Context, emit func(bench.Record)) (Fleet, error) // emit may be called from any goroutine
	Dir        *rundir.Dir
	Clock      *clock.Clock
	Power      *Power         // nil: nothing is metered
	Watch      func(Progress) // called about once a second and at every change; may be nil
}

// powerWait is how long a phase waits for the power of its window: a few flush intervals of meterd and the bus.
const powerWait = 10 * time.Second

// Run searches until every tier has its answer, ctx ends, or something fails. Whatever it measured is in the run
// directory in each case; the manifest's outcome says how it ended.
func (s *Search) Run(ctx context.Context) error {
	lifetime, stop := context.WithCancel(ctx)
	var anchors sync.WaitGroup
	defer anchors.Wait()
	defer stop()
	anchors.Go(func() { s.keepAnchors(lifetime) })
	r := &running{Search: s, lifetime: lifetime}
	var err error
	if r.fleet, err = s.Fleet(ctx, r.log.add); err != nil {
		return errors.Join(err, s.conclude(ctx, err))
	}
	r.crew, _ = r.fleet.(Crew)

	err = r.idle(ctx, "idle before", func(m *rundir.Manifest, sp rundir.Span) { m.IdleBefore = &sp })
	if err == nil {
		err = r.search(ctx)
	}
	stop()
	r.fleet.Wait()
	if err == nil || errors.Is(err, ErrInvalid) {
		// A sensor that averages still shows the load for a while: not the idle power of the system.
		r.tell(Progress{Stage: "cooling down"})
		clock.Sleep(ctx, min(s.Experiment.Power.Idle/2, longestCool))
		err = errors.Join(err, r.idle(ctx, "idle after", func(m *rundir.Manifest, sp rundir.Span) { m.IdleAfter = &sp }))
	}
	return errors.Join(err, s.conclude(ctx, err))
}

// longestCool is how long after the load idle power is not looked at, at most.
const longestCool = 10 * time.Second

// ErrInvalid is wrapped when phases took place but could not be judged, so that the search had to stop.
var ErrInvalid = errors.New("the measurement, not the system, failed")

// search runs the phases. What bench says without a phase having failed to run is that phases were invalid.
func (r *running) search(ctx context.Context) error {
	if f := r.Experiment.Fixed; f != nil {
		return bench.Replay(ctx, *f, r.probe)
	}
	var failed error
	_, err := bench.Search(ctx, r.Experiment.Profile.Bounds(), r.Experiment.Tiers, nil, func(ctx context.Context, ask bench.Ask) (bench.Phase, error) {
		p, err := r.probe(ctx, ask)
		failed = err
		return p, err
	})
	if err != nil && failed == nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

// conclude notes in the manifest how the search ended.
func (s *Search) conclude(ctx context.Context, err error) error {
	outcome := rundir.Found
	switch {
	case ctx.Err() != nil:
		outcome = "interrupted"
	case err != nil:
		outcome = err.Error()
	}
	return s.Dir.Update(func(m *rundir.Manifest) {
		m.Outcome = outcome
		m.Anchors = append(m.Anchors, s.anchor())
		if s.Power != nil {
			m.Notes = append(m.Notes, s.Power.Warnings()...)
		}
	})
}

// anchor ties the process's clock to the wall clock now.
func (s *Search) anchor() rundir.Anchor {
	return rundir.Anchor{Stamp: s.Clock.Now(), Wall: clock.Stamp(time.Now().UnixNano()), Error: int64(s.Clock.Error())}
}

// keepAnchors ties the clocks together at the start and every minute until ctx ends (METHOD 3); phases do at their edges.
// A manifest that cannot be written stops the next phase, so that is not reported here.
func (s *Search) keepAnchors(ctx context.Context) {
	for {
		_ = s.Dir.Update(func(m *rundir.Manifest) { m.Anchors = append(m.Anchors, s.anchor()) })
		if !clock.Sleep(ctx, time.Minute) {
			return
		}
	}
}

// running is the state of a search under way.
type running struct {
	*Search
	lifetime context.Context // of the agents
	fleet    Fleet
	crew     Crew // nil: the load is made here
	log      log
	phases   int
}

// idle measures the system without load for as long as the plan says.
func (r *running) idle(ctx context.Context, stage string, note func(*rundir.Manifest, rundir.Span)) error {
	d := r.Experiment.Power.Idle
	if r.Power == nil || d <= 0 {
		return nil
	}
	sp := rundir.Span{Begin: r.Clock.Now()}
	sp.End = sp.Begin.Add(d)
	for now := sp.Begin; now < sp.End; now = r.Clock.Now() {
		r.tell(Progress{Stage: stage, Left: sp.End.Sub(now)})
		if !clock.Sleep(ctx, min(time.Second, sp.End.Sub(now))) {
			return fmt.Errorf("measure %s: %w", stage, context.Cause(ctx))
		}
	}
	if err := r.Dir.Update(func(m *rundir.Manifest) { note(m, sp) }); err != nil {
		return err
	}
	r.Power.Await(ctx, sp.End, powerWait)
	return nil
}
