//go:build linux && cgo

package amdsmi

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"time"
)

// thread is one thread of the operating system that makes the calls into the library, one after the other. It is used by one
// goroutine at a time.
type thread struct {
	work  chan func()
	done  chan struct{}
	busy  bool // work was given and done has not come yet
	timer *time.Timer
}

// calling is held during every call: two sources in one process may have loaded the same library.
var calling sync.Mutex

var errStuck = errors.New("the library does not return")

func startThread() *thread {
	t := &thread{work: make(chan func()), done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	t.timer.Stop()
	go t.run()
	return t
}

func (t *thread) run() {
	runtime.LockOSThread() // and never unlocked: the library may keep something of its own in the thread, so it ends with it
	for f := range t.work {
		calling.Lock()
		f()
		calling.Unlock()
		t.done <- struct{}{}
	}
}

// do runs f on the thread and waits for it. If f does not return within limit, or ctx ends before, do returns without it: f goes
// on, and what it writes must be left alone until the next do has returned nil. It does not allocate.
func (t *thread) do(ctx context.Context, limit time.Duration, f func()) error {
	t.timer.Reset(limit)
	defer t.timer.Stop()
	if t.busy {
		if err := t.wait(ctx); err != nil {
			return err
		}
	}
	t.busy = true
	t.work <- f // the thread is idle
	return t.wait(ctx)
}

func (t *thread) wait(ctx context.Context) error {
	select {
	case <-t.done:
		t.busy = false
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.timer.C:
		return errStuck
	}
}

// stop ends the thread after its present work, without waiting for it.
func (t *thread) stop() { close(t.work) }
