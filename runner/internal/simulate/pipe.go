package simulate

import (
	"context"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeBuffer is how many bytes one direction of an in-memory connection holds before writers wait, like a socket buffer.
const pipeBuffer = 256 << 10

// Listener is an in-memory net.Listener. Its connections behave like those of TCP where it matters here: writes are
// buffered (net.Pipe would make every writer wait for its reader, and so tie the engine's clients to each other),
// close lets the peer read what was sent before, and deadlines work. They wait on channels and condition variables only,
// so that in a testing/synctest bubble waiting for them is durably blocking and virtual time moves on.
type Listener struct {
	backlog chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Pipe returns a listener for Server.Serve (or any http.Server) whose connections come from Dial and DialContext.
func Pipe() *Listener {
	return &Listener{backlog: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept returns the server's end of the next connection; net.ErrClosed once the listener is closed.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.backlog:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and Dial fail. Open connections stay.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr returns a placeholder.
func (l *Listener) Addr() net.Addr { return pipeAddr{} }

// Dial connects, when the server accepts.
func (l *Listener) Dial() (net.Conn, error) {
	return l.DialContext(context.Background(), "", "")
}

// DialContext connects, when the server accepts. Network and address do not matter; they are there for http.Transport.
func (l *Listener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	up, down := newHalf(), newHalf()
	select {
	case l.backlog <- &pipeConn{in: up, out: down}:
		return &pipeConn{in: down, out: up}, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "pipe", Addr: pipeAddr{}, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "simulated" }

// pipeConn is one end of a connection.
type pipeConn struct{ in, out *half }

func (c *pipeConn) Read(b []byte) (int, error)  { return c.in.read(b) }
func (c *pipeConn) Write(b []byte) (int, error) { return c.out.write(b) }
func (c *pipeConn) LocalAddr() net.Addr         { return pipeAddr{} }
func (c *pipeConn) RemoteAddr() net.Addr        { return pipeAddr{} }

func (c *pipeConn) Close() error {
	c.in.close(&c.in.reader)
	c.out.close(&c.out.writer)
	return nil
}

func (c *pipeConn) SetReadDeadline(t time.Time) error  { return c.in.setDeadline(&c.in.reader, t) }
func (c *pipeConn) SetWriteDeadline(t time.Time) error { return c.out.setDeadline(&c.out.writer, t) }

func (c *pipeConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// half is one direction of a connection.
type half struct {
	mu      sync.Mutex
	changed sync.Cond // anything below did
	buf     []byte    // sent; read up to off
	off     int
	reader  side
	writer  side
}

// side is what one end did to its half.
type side struct {
	closed   bool
	deadline time.Time
	timer    *time.Timer // wakes the waiters at the deadline
}

func newHalf() *half {
	h := &half{}
	h.changed.L = &h.mu
	return h
}

// failure returns why s cannot go on.
func (s *side) failure() error {
	switch {
	case s.closed:
		return net.ErrClosed
	case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

func (h *half) read(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if err := h.reader.failure(); err != nil {
			return 0, err
		}
		if h.off < len(h.buf) || len(b) == 0 {
			break
		}
		if h.writer.closed {
			return 0, io.EOF
		}
		h.changed.Wait()
	}
	n := copy(b, h.buf[h.off:])
	if h.off += n; h.off == len(h.buf) {
		h.buf, h.off = h.buf[:0], 0
	}
	h.changed.Broadcast()
	return n, nil
}

func (h *half) write(b []byte) (n int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		if err := h.writer.failure(); err != nil {
			return n, err
		}
		if h.reader.closed {
			return n, io.ErrClosedPipe
		}
		if room := pipeBuffer - (len(h.buf) - h.off); room > 0 {
			m := min(room, len(b)-n)
			if h.off > 0 && len(h.buf)+m > cap(h.buf) { // move up rather than grow
				h.buf, h.off = h.buf[:copy(h.buf, h.buf[h.off:])], 0
			}
			h.buf = append(h.buf, b[n:n+m]...)
			n += m
			h.changed.Broadcast()
		}
		if n == len(b) {
			return n, nil
		}
		h.changed.Wait()
	}
}

func (h *half) close(s *side) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	h.changed.Broadcast()
}

func (h *half) setDeadline(s *side, t time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	s.deadline = t
	if d := time.Until(t); !t.IsZero() && d > 0 {
		s.timer = time.AfterFunc(d, func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.changed.Broadcast()
		})
	}
	h.changed.Broadcast()
	return nil
}
