package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
)

// Lane is a way to the endpoint that its caller waits on: one request after the other on a connection that persists between
// them. An Engine has ways that need no goroutine each.
type Lane struct {
	c    *Client
	conn *conn // nil: none
	lead []byte
	progress
}

// Prepare makes the connection ready before the next request is due, outside its time: it dials where there is none,
// and again where the server closed it or is about to. An open connection costs one system call.
func (l *Lane) Prepare(ctx context.Context) error {
	if l.conn != nil {
		if l.conn.usable(l.c.opt.IdleReuse) == nil {
			return nil
		}
		l.drop()
	}
	conn, err := l.c.dial(ctx)
	if err != nil {
		return err
	}
	l.conn = conn
	return nil
}

// Send plays one turn: it writes the request, drains the whole answer, and then works out what was seen. It prepares
// the connection if need be, before WriteBegin. It never retries. Failures are in the reply, with the stamps that happened.
func (l *Lane) Send(ctx context.Context, play trajectory.Play, turn int) bench.Reply {
	exact := l.c.opt.Output == Exact && play.Turns[turn].Output > 0
	return l.send(ctx, play, turn, exact, l.c.Cap(play.Turns[turn]))
}

func (l *Lane) send(ctx context.Context, play trajectory.Play, turn int, exact bool, limit int) bench.Reply {
	r := newReply()
	var req request
	req, l.lead = l.c.chat(l.lead, play, turn, exact, limit)
	r.BodyBytes = req.body
	if err := l.Prepare(ctx); err != nil {
		l.c.fail(&r, ctx.Err(), connectFailure(err), err.Error())
		return r
	}
	got := l.c.capture()
	defer l.c.captures.Put(got)
	r.Reused = l.conn.served > 0
	x := l.exchange(ctx, req, got)
	l.c.conclude(&r, got, &x.outcome)
	return r
}

// Close closes the connection. The lane can be used again: it then dials.
func (l *Lane) Close() error {
	l.drop()
	return nil
}

func (l *Lane) drop() {
	if l.conn != nil {
		l.conn.abort()
		l.conn = nil
	}
}

// conclude fills the reply from what came of the request: its stamps, and what the parser finds. What broke it later does
// not hide what the server said.
func (c *Client) conclude(r *bench.Reply, got *capture, x *outcome) {
	r.WriteBegin, r.WriteEnd = x.writeBegin, x.writeEnd
	r.Headers, r.FirstByte, r.Done = got.headers, got.first, x.done
	r.Status = got.frame.status
	if !got.user && got.last != 0 {
		r.Stamps, r.UserLagMax = bench.KernelStamps, got.lagMax
	}
	c.judge(r, got, x)
}

// judge reads the answer and decides whether the request failed, and how.
func (c *Client) judge(r *bench.Reply, got *capture, x *outcome) {
	var timeout *stageError
	answered := got.frame.inBody()
	switch {
	case answered && (r.Status < 200 || r.Status > 299):
		r.Failure, r.Detail = bench.FailStatus, statusDetail(got)
	case answered:
		c.answer(r, got, x.err)
	}
	switch {
	case x.err == nil:
	case x.cancelled != nil:
		r.Failure, r.Detail = bench.Cancelled, x.cancelled.Error()
	case r.Failure == bench.FailStatus || r.Failure == bench.FailStream:
	case errors.As(x.err, &timeout):
		r.Failure, r.Detail = bench.FailTimeout, x.err.Error()
	case errors.Is(x.err, errProtocol):
		r.Failure, r.Detail = bench.FailProtocol, x.err.Error()
	case answered: // answer has judged a stream that was cut
	case x.writeErr != nil:
		r.Failure, r.Detail = bench.FailWrite, fmt.Sprintf("write request: %v", x.writeErr)
	case got.last != 0:
		r.Failure, r.Detail = bench.FailTruncated, fmt.Sprintf("read response header: %v", x.err)
	case errors.Is(x.err, errCut):
		r.Failure, r.Detail = bench.FailConnect, "the connection was closed before an answer"
	default:
		r.Failure, r.Detail = bench.FailConnect, fmt.Sprintf("the connection was lost before an answer: %v", x.err)
	}
	r.Detail = c.clean(r.Detail)
	r.Finish, r.Model = brief(r.Finish, 60), brief(r.Model, 200)
}

// fail ends a request that was never written.
func (c *Client) fail(r *bench.Reply, cancelled error, kind bench.Failure, detail string) {
	if cancelled != nil {
		kind, detail = bench.Cancelled, cancelled.Error()
	}
	r.Failure, r.Detail, r.Done = kind, c.clean(detail), c.opt.Clock.Now()
}

func connectFailure(err error) bench.Failure {
	var ne net.Error
	if isTimeout(err) || errors.As(err, &ne) && ne.Timeout() {
		return bench.FailTimeout
	}
	return bench.FailConnect
}

// stageError is a deadline that passed.
type stageError struct {
	stage string
	limit time.Duration
}

func (e *stageError) Error() string { return fmt.Sprintf("timeout: no %s within %v", e.stage, e.limit) }
