//go:build linux && (amd64 || arm64 || riscv64 || ppc64le || loong64)

package endpoint

import (
	"context"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// lineState is what a line waits for.
type lineState uint8

const (
	resting   lineState = iota // a request
	scheduled                  // the time to look after the connection
	ready                      // the time to send
	stranded                   // a connection: the request is due
	sent                       // the answer
)

// line is a Caller on a loop. All but its progress is the loop's.
type line struct {
	loop *loop
	progress

	state  lineState
	closed bool
	slot   int         // in the loop's timers; -1: none
	at     clock.Stamp // what the timer is set to

	fd      int // -1: none
	served  int // requests answered on the connection
	idle    clock.Stamp
	dialing bool
	dialled clock.Stamp // when the last dialling began

	play trajectory.Play
	turn int
	due  clock.Stamp
	done func(bench.Reply)

	reused   bool
	body     int // bytes of the request's body
	wire     outcome
	rest     [][]byte // of the request, still to be written
	got      *capture
	lastRead clock.Stamp
}

func newLine(l *loop) *line { return &line{loop: l, slot: -1, fd: -1} }

// Send implements Caller.
func (n *line) Send(due clock.Stamp, play trajectory.Play, turn int, done func(bench.Reply)) {
	e := n.loop.e
	if !e.enter() {
		e.refuse(done)
		return
	}
	if !n.loop.do(func() { n.schedule(due, play, turn, done) }) {
		e.wg.Done()
		e.refuse(done)
	}
}

// Close implements Caller.
func (n *line) Close() { n.loop.do(n.close) }

func (n *line) close() {
	n.closed = true
	n.cancel()
}

// cancel ends what is under way.
func (n *line) cancel() {
	switch n.state {
	case resting:
	case sent:
		n.wire.cancelled = errEnded
		n.finish(errEnded)
	default:
		n.give(n.refused(errEnded, bench.Cancelled, errEnded.Error()))
	}
	n.hangUp()
}

func (n *line) schedule(due clock.Stamp, play trajectory.Play, turn int, done func(bench.Reply)) {
	n.due, n.play, n.turn, n.done = due, play, turn, done
	n.loop.lines[n] = struct{}{}
	if n.closed || n.loop.ended {
		n.give(n.refused(errEnded, bench.Cancelled, errEnded.Error()))
		return
	}
	n.state = scheduled
	n.step()
}

// expired is called when the timer has run down.
func (n *line) expired() {
	if n.state == sent {
		n.late()
		return
	}
	n.step()
}

// step moves a request on that has not been sent.
func (n *line) step() {
	l := n.loop
	switch {
	case n.state == scheduled && l.now < n.due.Add(-prepareLead):
		l.at(n, n.due.Add(-prepareLead))
		return
	case n.state == scheduled:
		n.prepare()
		n.state = ready
	}
	switch {
	case n.state == ready && l.now < n.due:
		l.at(n, n.due)
	case n.fd >= 0:
		n.send()
	default:
		n.state = stranded
		n.dial()
	}
}

// prepare makes the connection ready: it dials where there is none, and again where the server is about to close it.
func (n *line) prepare() {
	if n.fd >= 0 && n.served > 0 && n.due.Sub(n.idle) > n.loop.c.opt.IdleReuse {
		n.hangUp()
	}
	if n.fd < 0 {
		n.dial()
	}
}

// dial connects in a goroutine, since looking up a name blocks.
func (n *line) dial() {
	if n.dialing {
		return
	}
	n.dialing, n.dialled = true, n.loop.now
	n.loop.e.wg.Go(func() {
		fd, err := n.loop.c.dialRaw(n.loop.e.alive)
		if !n.loop.do(func() { n.connected(fd, err) }) && err == nil {
			unix.Close(fd)
		}
	})
}

// dialRaw connects and returns a descriptor that Go's poller does not know: it would wake for every arrival.
func (c *Client) dialRaw(ctx context.Context) (int, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	raw, err := conn.sock.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("connect to %s: %w", c.addr, err)
	}
	fd := -1
	control := raw.Control(func(own uintptr) {
		if fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			_ = askStamps(uintptr(fd)) // refused: user stamps
		}
	})
	if err != nil || control != nil {
		return -1, fmt.Errorf("connect to %s: %w", c.addr, os.NewSyscallError("dup", err))
	}
	return fd, nil
}

// connected takes the result of dialling. A failure before the request is due is not the request's: it is tried once more.
func (n *line) connected(fd int, err error) {
	n.dialing = false
	if err == nil && (n.closed || n.loop.ended) {
		unix.Close(fd)
		return
	}
	if err == nil {
		n.fd, n.served = fd, 0
		if err = n.loop.watch(n); err != nil {
			unix.Close(n.fd)
			n.fd = -1
		}
	}
	switch {
	case n.state != stranded:
	case err == nil:
		n.send()
	case n.dialled < n.due:
		n.dial()
	default:
		n.give(n.refused(nil, connectFailure(err), err.Error()))
	}
}

// hangUp closes the connection.
func (n *line) hangUp() {
	if n.fd >= 0 {
		n.loop.byFD[n.fd] = nil
		unix.Close(n.fd) // and with it leaves the epoll
		n.fd = -1
	}
}

// send writes the request, or what the kernel takes of it.
func (n *line) send() {
	l, now := n.loop, n.loop.c.opt.Clock.Now
	n.state, n.got = sent, l.c.capture()
	exact := l.c.opt.Output == Exact && n.play.Turns[n.turn].Output > 0
	req, _ := l.c.chat(nil, n.play, n.turn, exact, l.c.Cap(n.play.Turns[n.turn]))
	n.reused, n.body = n.served > 0, req.body
	n.wire = outcome{writeBegin: now()}
	n.lastRead, n.rest = n.wire.writeBegin, req.bufs
	n.begun.Store(int64(n.wire.writeBegin))
	n.arm()
	if n.write(); n.state == sent && len(n.rest) > 0 {
		_ = epoll(l.sockets, unix.EPOLL_CTL_MOD, n.fd, unix.EPOLLIN|unix.EPOLLOUT) // an error shows as a deadline that passes
	}
}

// write gives the kernel more of the request. One that it refuses has still to be answered: a server that refuses a large
// body answers first and closes then.
func (n *line) write() {
	wrote, errno := n.loop.out.writev(uintptr(n.fd), n.rest)
	if n.rest = advance(n.rest, wrote); errno != 0 {
		n.wire.writeErr = os.NewSyscallError("writev", errno)
		n.rest = nil
		n.loop.at(n, n.loop.c.opt.Clock.Now().Add(afterWriteError))
		return
	}
	if len(n.rest) == 0 {
		n.rest = nil
		n.wire.writeEnd = n.loop.c.opt.Clock.Now()
	}
}

// ready is called when the socket can be read, or written where that is waited for.
func (n *line) ready(events uint32) {
	if events&unix.EPOLLOUT != 0 && n.state == sent && n.rest != nil {
		if n.write(); n.rest == nil {
			_ = epoll(n.loop.sockets, unix.EPOLL_CTL_MOD, n.fd, unix.EPOLLIN)
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return
	}
	for n.fd >= 0 && n.read() {
	}
}

// read reads once, and reports whether there may be more.
func (n *line) read() bool {
	l := n.loop
	count, wall, errno := l.in.recv(uintptr(n.fd), l.buf[:])
	if errno == syscall.EAGAIN {
		return false
	}
	if n.state != sent { // closed while idle, or bytes that nobody asked for
		n.hangUp()
		if n.state == ready {
			n.dial()
		}
		return false
	}
	l.reads++
	user := l.c.opt.Clock.Now()
	n.lastRead = user
	switch {
	case errno != 0:
		n.finish(os.NewSyscallError("recvmsg", errno))
	case count == 0:
		n.finish(n.got.frame.eof())
	default:
		n.take(l.buf[:count], wall, user)
	}
	return count == len(l.buf)
}

// take takes bytes of the answer.
func (n *line) take(data []byte, wall, user clock.Stamp) {
	r := receipt{at: user, user: user}
	if wall != 0 {
		r.at, r.kernel = n.loop.c.opt.Clock.FromWall(wall), true
	}
	waiting := n.got.first == 0
	done, err := n.got.add(data, r)
	switch {
	case err != nil:
		n.finish(fmt.Errorf("%w: %w", errProtocol, err))
	case done:
		n.finish(nil)
	case waiting && n.got.first != 0:
		n.answering.Store(int64(n.got.first))
		n.arm()
	}
}

// arm sets the timer to the deadline in force. It is not moved with every read: one that runs down too early is set again.
func (n *line) arm() {
	if n.wire.writeErr != nil {
		return
	}
	at, _ := n.loop.c.opt.Timeouts.deadline(n.wire.writeBegin, n.lastRead, n.got.first != 0)
	n.loop.at(n, at)
}

// late is called when a deadline may have passed.
func (n *line) late() {
	at, stage := n.loop.c.opt.Timeouts.deadline(n.wire.writeBegin, n.lastRead, n.got.first != 0)
	switch {
	case n.wire.writeErr != nil:
		n.finish(n.wire.writeErr)
	case n.loop.now < at:
		n.arm()
	default:
		if n.rest != nil {
			stage.stage = uploadStage
		}
		n.finish(&stage)
	}
}

// finish ends the request: err is what broke it off, nil: it was answered whole. The connection is kept if that is possible.
func (n *line) finish(err error) {
	l := n.loop
	n.wire.err, n.wire.done = err, n.got.last
	if err != nil || n.wire.done == 0 {
		n.wire.done = l.c.opt.Clock.Now()
	}
	n.rest = nil
	if err != nil || n.wire.writeEnd == 0 || !n.got.frame.reusable() || l.c.opt.Fresh {
		n.hangUp()
	} else {
		n.served++
		n.idle = n.wire.done
	}
	reply, got, wire := newReply(), n.got, n.wire
	reply.Reused, reply.BodyBytes = n.reused, n.body
	n.got = nil
	n.give(func() bench.Reply {
		l.c.conclude(&reply, got, &wire)
		l.c.captures.Put(got)
		return reply
	})
}

// refused returns the reply to a request that was never written.
func (n *line) refused(cancelled error, kind bench.Failure, detail string) func() bench.Reply {
	c := n.loop.c
	return func() bench.Reply {
		r := newReply()
		c.fail(&r, cancelled, kind, detail)
		return r
	}
}

// give ends the request under way and has the reply worked out and given elsewhere.
func (n *line) give(reply func() bench.Reply) {
	n.loop.at(n, 0)
	delete(n.loop.lines, n)
	n.state = resting
	n.clear()
	n.answer(reply)
}

// answer gives the reply from a goroutine of its own.
func (n *line) answer(reply func() bench.Reply) {
	done := n.done
	n.play, n.done = trajectory.Play{}, nil
	go func() {
		defer n.loop.e.wg.Done()
		done(reply())
	}()
}
