package agent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// Fleet is N agents at once. N changes between phases: new agents are spawned one after the other, surplus ones leave at
// the next trajectory boundary that any of them reaches. Nothing is drained in between.
type Fleet struct {
	Plan  Plan
	Open  func() Lane               // a new agent's lane
	Limit func(trajectory.Turn) int // output tokens that a turn's request allows, for the record; nil: not known
	Now   func() clock.Stamp        // the process's clock
	Spawn float64                   // agents started per second; 0: all at once
	Emit  func(bench.Record)        // called from the agents' goroutines when a turn is over; must be quick

	// The agents' numbers are First, First+Step, First+2*Step, ...: several fleets that are one have different ones. Step 0 is 1.
	First, Step int

	mu      sync.Mutex
	target  int
	slots   []*slot       // by agent number
	active  int           // agents running, leaving ones included
	changed chan struct{} // closed and replaced when active changes
	wg      sync.WaitGroup
}

// slot is an agent number: it keeps counting plays when an agent leaves and another takes its place, so that no
// assignment and no salt is ever used twice.
type slot struct {
	next  int    // next play
	agent *agent // nil: nobody
}

// Resize tells the fleet to be n agents and blocks until exactly n are active and none is about to leave. It returns the
// stamp of that moment. ctx bounds the wait only; agents live until Close.
func (f *Fleet) Resize(ctx, lifetime context.Context, n int) (full clock.Stamp, err error) {
	f.mu.Lock()
	f.target = n
	f.mu.Unlock()
	due := time.Now()
	for {
		f.mu.Lock()
		missing, surplus, changed := n-f.active, f.active-n, f.signal()
		f.mu.Unlock()
		switch {
		case missing > 0:
			if !clock.Sleep(ctx, time.Until(due)) {
				return 0, fmt.Errorf("grow the fleet to %d agents: %w", n, context.Cause(ctx))
			}
			f.spawn(lifetime)
			if f.Spawn > 0 {
				due = due.Add(time.Duration(float64(time.Second) / f.Spawn))
			}
		case surplus > 0:
			select {
			case <-changed:
			case <-ctx.Done():
				return 0, fmt.Errorf("shrink the fleet to %d agents, %d still playing: %w", n, n+surplus, context.Cause(ctx))
			}
		default:
			return f.Now(), nil
		}
	}
}

// signal returns a channel that is closed at the next change of active. f.mu is held.
func (f *Fleet) signal() <-chan struct{} {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}

// count changes active by d and wakes who waits for it. f.mu is held.
func (f *Fleet) count(d int) {
	f.active += d
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// spawn starts one agent on the lowest free number.
func (f *Fleet) spawn(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	number := 0
	for number < len(f.slots) && f.slots[number].agent != nil {
		number++
	}
	if number == len(f.slots) {
		f.slots = append(f.slots, &slot{})
	}
	s := f.slots[number]
	a := &agent{slot: f.First + number*max(f.Step, 1), plan: f.Plan, open: f.Open, now: f.Now, limit: f.Limit, emit: f.Emit}
	if a.limit == nil {
		a.limit = func(trajectory.Turn) int { return 0 }
	}
	a.leave = func(next int) bool { return f.leave(s, next) }
	stop := context.AfterFunc(ctx, a.close)
	f.wg.Add(1)
	a.over = func() {
		stop()
		f.gone(s, a)
		f.wg.Done()
	}
	s.agent = a
	f.count(+1)
	first := s.next
	go a.start(first) // not here: it may lead to leave, which takes our lock
}

// gone takes an agent that ended without leaving, because its lifetime did, from its number: nobody follows.
func (f *Fleet) gone(s *slot, a *agent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if s.agent == a {
		s.agent = nil
		f.count(-1)
	}
}

// leave decides at a trajectory boundary whether the agent of s goes: the first to get there go, so that shrinking takes
// as long as the shortest rest of a trajectory, not the longest.
func (f *Fleet) leave(s *slot, next int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	s.next = next
	if f.active <= f.target {
		return false
	}
	s.agent = nil
	f.count(-1)
	return true
}

// InFlight returns what is known of the requests under way: WriteBegin is when each was begun to be written, zero if it is due
// and waits for its connection; FirstByte when its answer began to come.
func (f *Fleet) InFlight() (out []bench.Record) {
	f.mu.Lock()
	agents := make([]*agent, 0, f.active)
	for _, s := range f.slots {
		if s.agent != nil {
			agents = append(agents, s.agent)
		}
	}
	f.mu.Unlock()
	for _, a := range agents {
		out = append(out, a.inFlight()...)
	}
	return out
}

// Wait blocks until every agent has ended; the caller cancels their lifetime first.
func (f *Fleet) Wait() { f.wg.Wait() }

// Active returns how many agents are live, leaving ones included.
func (f *Fleet) Active() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active
}
