package agent

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// Lane is one agent's way to the endpoint: requests one after the other.
type Lane interface {
	// Prepare makes the connection ready before the next request is due, so that dialling is no part of its time.
	Prepare(ctx context.Context) error
	// Send plays one turn and drains the whole answer. Failures are in the reply.
	Send(ctx context.Context, play trajectory.Play, turn int) bench.Reply
	// Answering returns when the first byte of the answer under way came; zero: not yet. It is called from other goroutines.
	Answering() clock.Stamp
	Close() error
}

const (
	// prepareLead is how long before a request its connection is looked after: enough for a TLS handshake across a
	// continent, short enough that the server's idle limit does not strike in between.
	prepareLead = 250 * time.Millisecond
	// failureRest keeps an agent whose turn failed from hammering a server that is down. It is a wait like a tool's.
	failureRest = time.Second
)

// agent is one closed loop.
type agent struct {
	slot   int
	plan   Plan
	lane   Lane
	now    func() clock.Stamp
	limit  func(trajectory.Turn) int // tokens that a turn's request allows; for the record
	emit   func(bench.Record)
	leave  func(next int) bool          // asked at every trajectory boundary, with the next play: true ends the agent
	flight atomic.Pointer[bench.Record] // the request under way, for who closes a phase
}

// run plays trajectories until it is asked to leave or ctx ends. Play numbers start at first.
func (a *agent) run(ctx context.Context, first int) {
	defer a.lane.Close()
	due := a.now()
	var wait wait
	start := a.plan.StartTurn(a.slot, first)
	for play := first; ; play++ {
		due, wait = a.play(ctx, play, start, due, wait)
		if ctx.Err() != nil || a.leave(play+1) {
			return
		}
		start = 0
	}
}

// wait is the tool time before a request.
type wait struct {
	tool    string
	planned time.Duration
	since   clock.Stamp // end of the answer before; zero: none
}

// play goes once through a trajectory from turn start, or up to the first failure. It returns when the next request is due, and why then.
func (a *agent) play(ctx context.Context, play, start int, due clock.Stamp, w wait) (clock.Stamp, wait) {
	p := a.plan.Play(a.slot, play)
	for k := start; k < len(p.Turns); k++ {
		if !a.until(ctx, due) {
			return due, w
		}
		rec := a.record(p, play, k, k > start, due, w)
		rec.Reply = a.send(ctx, p, k, rec)
		if w.since != 0 && rec.WriteBegin != 0 {
			rec.ToolActual = rec.WriteBegin.Sub(w.since)
		}
		a.emit(rec)

		w = wait{since: rec.Done}
		w.planned, w.tool = a.plan.Wait(a.slot, play, k)
		if rec.Failure != "" {
			w.planned, w.tool = failureRest, ""
		}
		due = rec.Done.Add(w.planned)
		if rec.Failure != "" {
			break
		}
	}
	return due, w
}

func (a *agent) send(ctx context.Context, p trajectory.Play, k int, rec bench.Record) bench.Reply {
	rec.WriteBegin = a.now()
	a.flight.Store(&rec)
	defer a.flight.Store(nil)
	return a.lane.Send(ctx, p, k)
}

// record fills what is known before the request is sent. sent says whether the turn before was sent in this play.
func (a *agent) record(p trajectory.Play, play, k int, sent bool, due clock.Stamp, w wait) bench.Record {
	rec := bench.Record{
		Agent: a.slot, Play: play, Trajectory: p.ID, Turn: k, Turns: len(p.Turns), Salt: p.Salt,
		Sched: due, ToolTool: w.tool, ToolPlanned: w.planned,
		Recorded: p.Turns[k].Output, Requested: a.limit(p.Turns[k]), Messages: len(p.Turns[k].Tools) + p.Turns[k].End + len(p.Salt),
	}
	if !sent {
		// The tools carry no salt: whether other plays share them depends on where the server's template puts them.
		rec.Shared = len(p.Turns[k].Tools)
	} else if rec.Shared = len(p.Turns[k].Tools) + p.Turns[k-1].End + len(p.Salt); !bytes.Equal(p.Turns[k].Tools, p.Turns[k-1].Tools) {
		rec.Shared = 0
	}
	return rec
}

// until waits for due and prepares the lane shortly before. It reports false if ctx ended first.
func (a *agent) until(ctx context.Context, due clock.Stamp) bool {
	if !clock.Sleep(ctx, due.Sub(a.now())-prepareLead) {
		return false
	}
	// A failed Prepare is not the request's failure yet: Send tries once more and then says so.
	_ = a.lane.Prepare(ctx)
	return clock.Sleep(ctx, due.Sub(a.now()))
}
