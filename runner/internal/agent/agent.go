package agent

import (
	"sync"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// Lane is a way to the endpoint for the requests of one conversation, one after the other.
type Lane interface {
	// Send plays one turn when it is due and calls done with the reply, from another goroutine, exactly once. Failures are
	// in the reply. Dialling is no part of its time.
	Send(due clock.Stamp, play trajectory.Play, turn int, done func(bench.Reply))
	// Progress returns when the request was begun to be written and when its answer began to come; zero: not yet.
	Progress() (begun, answering clock.Stamp)
	// Close ends what is under way: its reply says cancelled, as do later ones.
	Close()
}

// failureRest keeps an agent whose turn failed from hammering a server that is down. It is a wait like a tool's.
const failureRest = time.Second

// agent is one closed loop: a trajectory after the other, each a tree of conversations. It has no goroutine: it is moved on by
// the replies.
type agent struct {
	slot  int
	plan  Plan
	open  func() Lane
	now   func() clock.Stamp
	limit func(trajectory.Turn) int // tokens that a turn's request allows; for the record
	emit  func(bench.Record)
	leave func(next int) bool // asked at every trajectory boundary, with the next play: true ends the agent
	over  func()              // called once, when the agent has ended

	mu     sync.Mutex
	closed bool
	play   int
	talks  []*talk // conversations of the play under way: the main one, then its sub-agents in the order of the tree
	left   int     // those that have not ended
	broken bool    // a turn of the play failed: no further one is sent
	spare  []Lane  // open, unused
}

// wait is the time before a request.
type wait struct {
	tool    string
	planned time.Duration
	since   clock.Stamp // end of the answer before; zero: none
}

// start begins the agent's first play.
func (a *agent) start(first int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.begin(first, a.plan.StartTurn(a.slot, first), a.now(), wait{})
}

// begin begins a play at a turn of its main conversation. a.mu is held.
func (a *agent) begin(play, turn int, due clock.Stamp, w wait) {
	a.play, a.broken = play, false
	a.talks = tree(a, a.plan.Play(a.slot, play))
	a.left = len(a.talks)
	main := a.talks[0]
	main.turn = turn
	for _, sub := range main.subs {
		if turn > 0 && sub.fork < turn {
			sub.skip() // it was started before the turn at which we begin
		}
	}
	main.start(due, w)
}

// rest ends a play and begins the next one, or the agent's end. a.mu is held.
func (a *agent) rest(due clock.Stamp, w wait) (ended bool) {
	a.spare = append(a.spare, a.lanes()...)
	a.talks = nil
	if a.closed || a.leave(a.play+1) {
		a.end()
		return true
	}
	a.begin(a.play+1, 0, due, w)
	return false
}

// lanes takes the lanes from the conversations.
func (a *agent) lanes() (lanes []Lane) {
	for _, t := range a.talks {
		if t.lane != nil {
			lanes = append(lanes, t.lane)
			t.lane = nil
		}
	}
	return lanes
}

// end closes the lanes.
func (a *agent) end() {
	a.closed = true
	for _, l := range append(a.spare, a.lanes()...) {
		l.Close()
	}
	a.spare = nil
}

// close ends the agent soon: what is under way is cancelled.
func (a *agent) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, t := range a.talks {
		if t.lane != nil {
			t.lane.Close()
		}
	}
}

// lane returns a lane that nobody uses. a.mu is held.
func (a *agent) lane() Lane {
	if n := len(a.spare); n > 0 {
		l := a.spare[n-1]
		a.spare = a.spare[:n-1]
		return l
	}
	l := a.open()
	if a.closed {
		l.Close()
	}
	return l
}

// inFlight returns what is known of the requests under way: those begun, and those that are due.
func (a *agent) inFlight() (out []bench.Record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	for _, t := range a.talks {
		if !t.sending {
			continue
		}
		rec := t.rec
		if rec.WriteBegin, rec.FirstByte = t.lane.Progress(); rec.WriteBegin != 0 || rec.Sched <= now {
			out = append(out, rec)
		}
	}
	return out
}
