package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"agentwatt/shared/clock"
)

// errProtocol marks a response that is not HTTP/1.1 as we speak it.
var errProtocol = errors.New("protocol")

// afterWriteError is how long an answer is waited for once the request could not be written: a server that refuses a
// large body answers first and closes then.
const afterWriteError = time.Second

// afterAnswer is how long a request may still be written after it was answered.
const afterAnswer = 50 * time.Millisecond

// outcome is what became of one request on the wire. err is what ended its response early; nil: it is whole.
type outcome struct {
	writeBegin, writeEnd, done clock.Stamp
	err, writeErr              error
	cancelled                  error // by whom it was made; nil: it was not
}

// exchange is one request on the wire and its response, in a goroutine of its own.
type exchange struct {
	outcome

	now      func() clock.Stamp
	progress *progress
	limits   Timeouts
	lastRead clock.Stamp
	writing  atomic.Bool // the rest of the request is still being written
	refused  atomic.Bool // it could not be
}

// progress is how far the request under way has come, for any goroutine to read: stamps; 0: not yet.
type progress struct{ begun, answering atomic.Int64 }

// Progress returns when the request under way was begun to be written, and when the first byte of its answer came; zero: not yet.
// It may be called from any goroutine.
func (p *progress) Progress() (begun, answering clock.Stamp) {
	return clock.Stamp(p.begun.Load()), clock.Stamp(p.answering.Load())
}

func (p *progress) clear() {
	p.answering.Store(0)
	p.begun.Store(0)
}

// exchange writes the request and reads the response into got. It does not look into the body.
// The connection is kept for the next request if that is possible, else closed.
func (l *Lane) exchange(ctx context.Context, req request, got *capture) *exchange {
	x := &exchange{now: l.c.opt.Clock.Now, limits: l.c.opt.Timeouts, progress: &l.progress}
	conn := l.conn
	// Cancelling closes the socket at once: it ends reads and writes whatever their deadline is.
	stop := context.AfterFunc(ctx, conn.abort)

	x.writeBegin = x.now()
	x.arm(conn, false)
	x.writeBegin = x.now() // arming is no part of the request
	x.lastRead = x.writeBegin
	x.progress.begun.Store(int64(x.writeBegin))
	defer x.progress.clear()
	written := x.write(conn, req.bufs)
	room := l.c.buffers.Get().(*[readSize]byte)
	x.err = x.read(conn, got, room[:])
	l.c.buffers.Put(room)
	x.done = got.last
	if x.err != nil || x.done == 0 {
		x.done = x.now()
	}
	if written != nil {
		x.finishWriting(conn, written)
	}
	cancelled := !stop()
	x.cancelled = ctx.Err()

	if x.err != nil || x.writeEnd == 0 || cancelled || !got.frame.reusable() || l.c.opt.Fresh {
		l.drop()
		return x
	}
	conn.served++
	conn.since = time.Now()
	return x
}

// finishWriting ends the writing goroutine. After a whole answer it is as good as done, unless the server answered
// without reading: then the connection is of no more use.
func (x *exchange) finishWriting(conn *conn, written <-chan struct{}) {
	if x.err == nil {
		conn.SetWriteDeadline(time.Now().Add(afterAnswer))
		defer conn.SetWriteDeadline(time.Time{})
	} else {
		conn.abort()
	}
	<-written
	if errors.Is(x.writeErr, net.ErrClosed) {
		x.writeErr = nil // our own doing: what ended the reading says why
	}
}

// write writes the request. What the kernel does not take at once is written by a goroutine, so that the answer of a server that
// refuses the body half way is read and not waited for. The channel, nil if
// there is nothing to wait for, closes when that goroutine ends.
func (x *exchange) write(conn *conn, bufs [][]byte) <-chan struct{} {
	if !conn.secure {
		n, err := conn.sock.write(bufs)
		if bufs = advance(bufs, n); err != nil || len(bufs) == 0 {
			x.wrote(conn, err)
			return nil
		}
	}
	written := make(chan struct{})
	x.writing.Store(true)
	go func() {
		defer close(written)
		rest := net.Buffers(bufs)
		var w io.Writer = conn.Conn
		if !conn.secure {
			w = conn.sock.Conn // net's own writev
		}
		_, err := rest.WriteTo(w)
		x.wrote(conn, err)
	}()
	return written
}

func (x *exchange) wrote(conn *conn, err error) {
	if err == nil {
		x.writeEnd = x.now()
	} else {
		x.writeErr = err
		x.refused.Store(true)
		conn.SetReadDeadline(time.Now().Add(afterWriteError))
	}
	x.writing.Store(false)
}

// advance drops the first n bytes of bufs.
func advance(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// readSize is how much one read takes at most, in bytes: a record of TLS.
const readSize = 16 << 10

// read reads until the response is complete.
func (x *exchange) read(conn *conn, got *capture, room []byte) error {
	inBody := false
	for {
		n, err := conn.Read(room)
		if n > 0 {
			x.lastRead = conn.sock.last.user
			done, err := got.add(room[:n], conn.sock.last)
			switch {
			case err != nil:
				return fmt.Errorf("%w: %w", errProtocol, err)
			case done:
				return nil
			case !inBody && got.first != 0:
				inBody = true
				x.progress.answering.Store(int64(got.first))
				x.arm(conn, true)
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			return got.frame.eof()
		case !isTimeout(err):
			return err
		case x.refused.Load():
			return x.writeErr
		default:
			if err := x.expired(inBody); err != nil {
				return err
			}
			x.arm(conn, inBody)
		}
	}
}

// deadline returns the deadline in force for a request begun at begin: of the stage or of the whole request, whichever comes first.
func (t Timeouts) deadline(begin, lastRead clock.Stamp, inBody bool) (clock.Stamp, stageError) {
	at, stage := begin.Add(t.FirstByte), stageError{"first byte of the answer", t.FirstByte}
	if inBody {
		at, stage = lastRead.Add(t.Idle), stageError{"more of the answer", t.Idle}
	}
	if total := begin.Add(t.Total); total < at {
		at, stage = total, stageError{"end of the answer", t.Total}
	}
	return at, stage
}

const uploadStage = "end of the request's upload"

// arm sets the deadline of reads; one that passes ends the writing too. It is not moved with every read, which would cost a timer each: one that fires
// too early is armed again.
func (x *exchange) arm(conn *conn, inBody bool) {
	at, _ := x.limits.deadline(x.writeBegin, x.lastRead, inBody)
	conn.SetReadDeadline(time.Now().Add(max(at.Sub(x.now()), time.Millisecond)))
	if x.refused.Load() { // the writer's shorter deadline may just have been overwritten
		conn.SetReadDeadline(time.Now().Add(afterWriteError))
	}
}

// expired returns the stage whose deadline has passed, if one has.
func (x *exchange) expired(inBody bool) error {
	at, stage := x.limits.deadline(x.writeBegin, x.lastRead, inBody)
	if x.now() < at {
		return nil
	}
	if x.writing.Load() {
		stage.stage = uploadStage
	}
	return &stage
}
