package endpoint

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// Caller is one agent's way to the endpoint, for requests one after the other, that nobody waits on.
type Caller interface {
	// Send plays one turn when it is due, and calls done with the reply from a goroutine of its own, exactly once. The
	// connection is made ready before, outside the request's time. It never retries. The next Send comes after done was called.
	Send(due clock.Stamp, play trajectory.Play, turn int, done func(bench.Reply))
	// Progress returns when the request was begun to be written, and when the first byte of its answer came; zero: not yet.
	Progress() (begun, answering clock.Stamp)
	// Close ends what is under way: its reply says that it was cancelled. So do those of later requests.
	Close()
}

// Engine sends the requests of many agents. Over plain TCP on Linux a few loops do all the waiting, writing and reading, and an
// agent costs no goroutine; elsewhere, and through TLS, each request has one while it is under way. The stamps are the
// kernel's in both cases.
type Engine struct {
	c     *Client
	loops []*loop
	next  atomic.Uint32
	wg    sync.WaitGroup // loops, and requests whose reply has not been given
	alive context.Context
	stop  context.CancelFunc

	mu    sync.Mutex
	ended bool
}

// mostLoops bounds the loops of an engine: each can do about 100,000 events a second.
const mostLoops = 16

// Engine starts an engine with so many loops; 0: one for every two processors, 16 at most.
func (c *Client) Engine(loops int) (*Engine, error) {
	if loops <= 0 {
		loops = min(max(runtime.GOMAXPROCS(0)/2, 1), mostLoops)
	}
	e := &Engine{c: c}
	e.alive, e.stop = context.WithCancel(context.Background())
	if c.opt.Dial != nil || c.url.Scheme == "https" || !loopsExist {
		return e, nil
	}
	for range loops {
		l, err := newLoop(e)
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("start the client's event loop: %w", err)
		}
		e.loops = append(e.loops, l)
		e.wg.Go(l.run)
	}
	return e, nil
}

// Caller returns a new caller.
func (e *Engine) Caller() Caller {
	if len(e.loops) == 0 {
		return newWaiter(e)
	}
	return newLine(e.loops[int(e.next.Add(1))%len(e.loops)])
}

// enter counts one more request that Close waits for. It reports false if the engine is closed.
func (e *Engine) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.wg.Add(1)
	}
	return !e.ended
}

// refuse gives the reply to a request that came after Close.
func (e *Engine) refuse(done func(bench.Reply)) {
	r := newReply()
	e.c.fail(&r, errEnded, bench.Cancelled, errEnded.Error())
	go done(r)
}

// Close ends whatever is under way and returns when every reply to it has been given.
func (e *Engine) Close() {
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	e.stop()
	for _, l := range e.loops {
		l.close()
	}
	e.wg.Wait()
}

// errEnded is why a request is cancelled.
var errEnded = errors.New("the run ended")
