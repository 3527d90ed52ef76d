package sampler

import (
	"context"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// pace waits for the ticks of a schedule.
type pace interface {
	// wait returns nil at due, or at once if that has passed, and ctx.Err() if ctx has ended by then.
	wait(ctx context.Context, due time.Time) error
	stop()
	String() string
}

// preciseLimit is the longest interval that gets a thread of its own. Go's timers are late by half a millisecond at the
// median, because the runtime's poller sleeps in whole milliseconds: 10 % of 5 ms.
const preciseLimit = 5 * time.Millisecond

// Precise reports whether a sampler with this interval keeps a thread, and with it one of the runtime's processors all the
// time. The caller sees to it that GOMAXPROCS leaves at least one more for everything else.
func Precise(interval time.Duration) bool { return interval <= preciseLimit }

// timerPace waits on a Go timer.
type timerPace struct{ timer *time.Timer }

func newTimerPace() timerPace {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return timerPace{t}
}

func (p timerPace) wait(ctx context.Context, due time.Time) error {
	if d := time.Until(due); d > 0 {
		p.timer.Reset(d)
		select {
		case <-ctx.Done():
		case <-p.timer.C:
		}
	}
	return ctx.Err() // both may have been ready: cancellation wins
}

func (p timerPace) stop()        { p.timer.Stop() }
func (timerPace) String() string { return "timer" }

// threadPace sleeps on the calling thread with clock_nanosleep and absolute deadlines, with a real-time priority if that is
// permitted. Cancellation is seen at the next tick.
type threadPace struct {
	origin time.Time // the same moment on Go's clock
	zero   int64     // and on CLOCK_MONOTONIC, in nanoseconds
	fifo   bool      // SCHED_FIFO was permitted
}

func newThreadPace() *threadPace {
	p := &threadPace{}
	// Any priority above 0 comes before all ordinary threads. Threads that this one starts must not inherit it.
	p.fifo = unix.SchedSetAttr(0, &unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 10, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
	}, 0) == nil
	p.origin, p.zero = anchor()
	return p
}

// anchor reads Go's clock and CLOCK_MONOTONIC together: of a few tries, the pair read in the shortest time.
func anchor() (origin time.Time, zero int64) {
	best := time.Hour
	for range 16 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			panic(err) // cannot happen: the clock exists on every Linux
		}
		if took := time.Since(before); took < best {
			best, origin, zero = took, before.Add(took/2), ts.Nano()
		}
	}
	return origin, zero
}

func (p *threadPace) wait(ctx context.Context, due time.Time) error {
	ts := unix.NsecToTimespec(p.zero + int64(due.Sub(p.origin)))
	for sleepUntil(&ts) == unix.EINTR {
	}
	return ctx.Err()
}

// sleepUntil sleeps until ts of CLOCK_MONOTONIC, or returns EINTR before. It keeps the runtime's processor: from a thread in
// an ordinary system call the runtime's monitor takes it away, at each tick anew, and the wake-ups that this costs are more
// than the sampler's own.
//
// Now and then, and for a collection, the runtime wants the processor all the same, and says so with a signal. The goroutine
// gives way where it next enters a function: this one, hence not inlined, while the tick is still to come.
//
//go:noinline
func sleepUntil(ts *unix.Timespec) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME,
		uintptr(unsafe.Pointer(ts)), 0, 0, 0)
	return errno
}

func (*threadPace) stop() {}

func (p *threadPace) String() string {
	if p.fifo {
		return "fifo thread"
	}
	return "thread"
}
