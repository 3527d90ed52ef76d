//go:build linux && (amd64 || arm64 || riscv64 || ppc64le || loong64)

package endpoint

import (
	"container/heap"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"agentwatt/shared/clock"
)

const loopsExist = true

const (
	// tick is how often the sockets are drained under load. A wake-up costs as much as reading two events, and the kernel's
	// stamps do not depend on when we read, as long as that is before the next token of the same stream.
	tick = time.Millisecond
	// Reads per second above which the loop ticks, and below which it wakes for every arrival again.
	tickAbove, tickBelow = 4000, 2000
	// rateSpan is how long reads are counted for one value of their rate.
	rateSpan = 20 * time.Millisecond
	// readBuffer is what one read takes at most, in bytes.
	readBuffer = 64 << 10
)

// loop waits for many sockets at once, reads them, writes requests when they are due, and keeps their deadlines. All of a
// line's state is its loop's alone; others hand in what is to be done.
//
// Sockets are in an epoll of their own, which is in a second one together with a timer and a bell. The second is in Go's
// poller, so that sleeping is Go's business: a blocking epoll_wait would make the scheduler move its processor about.
type loop struct {
	e       *Engine
	c       *Client
	sockets int // epoll
	wake    int // epoll of sockets, timer and bell
	timer   int // timerfd
	bell    int // eventfd
	file    *os.File
	asleep  syscall.RawConn // of file

	mu    sync.Mutex
	inbox []func()
	rung  atomic.Bool
	ended bool

	lines   map[*line]struct{}
	byFD    []*line
	timers  timers
	in      receiver
	out     gatherer
	buf     [readBuffer]byte
	events  [512]unix.EpollEvent
	ticking bool
	timerAt clock.Stamp // what the timer is set to; 0: nothing
	reads   int         // since since
	since   clock.Stamp
	now     clock.Stamp // of this round
}

func newLoop(e *Engine) (*loop, error) {
	l := &loop{e: e, c: e.c, sockets: -1, wake: -1, timer: -1, bell: -1, lines: map[*line]struct{}{}}
	if err := l.open(); err != nil {
		l.release()
		return nil, err
	}
	return l, nil
}

func (l *loop) open() (err error) {
	if l.sockets, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	if l.wake, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	// On edges: the bell is never read.
	for fd, events := range map[int]uint32{l.sockets: unix.EPOLLIN, l.timer: unix.EPOLLIN | unix.EPOLLET, l.bell: unix.EPOLLIN | unix.EPOLLET} {
		if err := epoll(l.wake, unix.EPOLL_CTL_ADD, fd, events); err != nil {
			return err
		}
	}
	if err := unix.SetNonblock(l.wake, true); err != nil {
		return os.NewSyscallError("fcntl", err)
	}
	l.file = os.NewFile(uintptr(l.wake), "epoll")
	l.asleep, err = l.file.SyscallConn()
	return err
}

// release closes what the loop holds.
func (l *loop) release() {
	if l.file != nil {
		l.file.Close() // wake too
		l.wake = -1
	}
	for _, fd := range []int{l.sockets, l.wake, l.timer, l.bell} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func epoll(set, op, fd int, events uint32) error {
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(set, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)}))
}

// do has f done on the loop, soon. It reports false if the loop has ended.
func (l *loop) do(f func()) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	l.ring()
	return true
}

func (l *loop) ring() {
	if !l.rung.Swap(true) {
		one := uint64(1)
		// It cannot fail: a counter that is never read has room for 600 years.
		unix.RawSyscall(unix.SYS_WRITE, uintptr(l.bell), uintptr(unsafe.Pointer(&one)), 8)
	}
}

// close makes the loop end.
func (l *loop) close() { l.do(l.end) }

// end cancels what is under way and takes nothing new.
func (l *loop) end() {
	l.mu.Lock()
	rest := l.inbox
	l.inbox, l.ended = nil, true
	l.mu.Unlock()
	for _, f := range rest {
		f()
	}
	for line := range l.lines {
		line.cancel()
	}
	for _, line := range l.byFD {
		if line != nil {
			line.hangUp()
		}
	}
}

// run is the loop.
func (l *loop) run() {
	defer l.release()
	var todo []func()
	for {
		l.now = l.c.opt.Clock.Now()
		l.rung.Store(false)
		l.mu.Lock()
		todo, l.inbox = l.inbox, todo[:0]
		l.mu.Unlock()
		for i, f := range todo {
			f()
			todo[i] = nil
		}
		if l.ended { // end was among them
			return
		}
		l.expire()
		l.drain()
		l.pace()
		l.sleep()
	}
}

// expire does what is due.
func (l *loop) expire() {
	for len(l.timers) > 0 && l.timers[0].at <= l.now {
		line := l.timers[0]
		l.at(line, 0)
		line.expired()
	}
}

// at sets a line's timer; 0: none.
func (l *loop) at(line *line, at clock.Stamp) {
	switch {
	case line.slot < 0 && at != 0:
		line.at = at
		heap.Push(&l.timers, line)
	case line.slot >= 0 && at == 0:
		heap.Remove(&l.timers, line.slot)
	case line.slot >= 0:
		line.at = at
		heap.Fix(&l.timers, line.slot)
	}
}

// drain takes what has arrived, on all sockets.
func (l *loop) drain() {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.sockets), uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), 0, 0, 0)
		if errno != 0 {
			return // interrupted: the next round does it
		}
		for _, ev := range l.events[:n] {
			if line := l.byFD[ev.Fd]; line != nil {
				line.ready(ev.Events)
			}
		}
		if int(n) < len(l.events) {
			return
		}
	}
}

// pace decides whether to wake for every arrival or to drain in ticks.
func (l *loop) pace() {
	span := l.now.Sub(l.since)
	if span < rateSpan {
		return
	}
	rate := float64(l.reads) / span.Seconds()
	l.reads, l.since = 0, l.now
	switch {
	case !l.ticking && rate > tickAbove:
		l.setTicking(true)
	case l.ticking && rate < tickBelow:
		l.setTicking(false)
	}
}

func (l *loop) setTicking(on bool) {
	events, every := uint32(unix.EPOLLIN), time.Duration(0)
	if on {
		events, every = 0, tick
	}
	if epoll(l.wake, unix.EPOLL_CTL_MOD, l.sockets, events) != nil {
		return // stay as it is
	}
	l.ticking, l.timerAt = on, 0
	l.setTimer(every, every)
}

func (l *loop) setTimer(after, every time.Duration) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(after)), Interval: unix.NsecToTimespec(int64(every))}
	// It cannot fail with values that are in range.
	_ = unix.TimerfdSettime(l.timer, 0, &spec, nil)
}

// sleep waits for the next arrival, tick, due time or errand.
func (l *loop) sleep() {
	if !l.ticking && len(l.timers) > 0 && l.timers[0].at != l.timerAt {
		l.timerAt = l.timers[0].at
		l.setTimer(max(l.timerAt.Sub(l.c.opt.Clock.Now()), 1), 0)
	}
	// It ends with an error only when the file is closed, which is this goroutine's to do.
	_ = l.asleep.Read(l.woken)
}

// woken takes the events that end a sleep: which they were does not matter, since every round looks after everything.
func (l *loop) woken(fd uintptr) bool {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&l.events[0])), 3, 0, 0, 0)
	if errno != 0 {
		return false
	}
	for _, ev := range l.events[:n] {
		if int(ev.Fd) == l.timer {
			l.timerAt = 0
			var times [8]byte // a timer that repeats starts again when it is read
			unix.RawSyscall(unix.SYS_READ, uintptr(l.timer), uintptr(unsafe.Pointer(&times)), 8)
		}
	}
	return n > 0
}

// watch puts a line's connection under the loop's eyes.
func (l *loop) watch(line *line) error {
	for len(l.byFD) <= line.fd {
		l.byFD = append(l.byFD, nil)
	}
	if err := epoll(l.sockets, unix.EPOLL_CTL_ADD, line.fd, unix.EPOLLIN); err != nil {
		return err
	}
	l.byFD[line.fd] = line
	return nil
}

// timers is a heap of lines by their times.
type timers []*line

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].slot, t[j].slot = i, j
}
func (t *timers) Push(x any) {
	line := x.(*line)
	line.slot = len(*t)
	*t = append(*t, line)
}
func (t *timers) Pop() any {
	last := len(*t) - 1
	line := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	line.slot = -1
	return line
}
