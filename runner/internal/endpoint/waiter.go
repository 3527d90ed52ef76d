package endpoint

import (
	"context"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// prepareLead is how long before a request its connection is looked after: enough for a TLS handshake across a
// continent, short enough that the server's idle limit does not strike in between.
const prepareLead = 250 * time.Millisecond

// waiter is a Caller made of a Lane and a goroutine that waits on it while a request is under way.
type waiter struct {
	Lane
	e     *Engine
	alive context.Context
	stop  context.CancelFunc
}

func newWaiter(e *Engine) *waiter {
	w := &waiter{Lane: Lane{c: e.c}, e: e}
	w.alive, w.stop = context.WithCancel(e.alive)
	return w
}

// Send implements Caller.
func (w *waiter) Send(due clock.Stamp, play trajectory.Play, turn int, done func(bench.Reply)) {
	if !w.e.enter() {
		w.e.refuse(done)
		return
	}
	go func() {
		defer w.e.wg.Done()
		now := w.c.opt.Clock.Now
		if clock.Sleep(w.alive, due.Sub(now())-prepareLead) {
			// A failed Prepare is not the request's failure yet: Send tries once more and then says so.
			_ = w.Prepare(w.alive)
		}
		clock.Sleep(w.alive, due.Sub(now()))
		reply := w.Lane.Send(w.alive, play, turn)
		if w.alive.Err() != nil {
			w.drop()
		}
		done(reply)
	}()
}

// Close implements Caller.
func (w *waiter) Close() { w.stop() }
