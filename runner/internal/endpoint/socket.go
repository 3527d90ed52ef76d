package endpoint

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"agentwatt/shared/clock"
)

// receipt says when the bytes of one read arrived.
type receipt struct {
	at     clock.Stamp // the kernel's if kernel, else user
	user   clock.Stamp // taken as soon as the read returned
	kernel bool
}

// socket is the stamping end of a connection. Under TLS it sits below tls.Conn: the receipt of the last read is then that
// of the read that completed the record, since a record that was buffered whole needs no further read.
type socket struct {
	net.Conn
	clock *clock.Clock
	tcp   *tcpSocket // nil: user stamps, plain writes
	last  receipt
}

// newSocket wraps a connection. Where the kernel cannot stamp (not TCP, not Linux, refused) the reader does.
func newSocket(c net.Conn, clk *clock.Clock) *socket {
	s := &socket{Conn: c, clock: clk}
	if t, ok := c.(*net.TCPConn); ok {
		s.tcp = openTCP(t)
	}
	return s
}

// Read reads once and notes when the bytes arrived.
func (s *socket) Read(p []byte) (int, error) {
	if s.tcp == nil {
		n, err := s.Conn.Read(p)
		user := s.clock.Now()
		s.last = receipt{at: user, user: user}
		return n, err
	}
	n, wall, err := s.tcp.read(p)
	user := s.clock.Now()
	s.last = receipt{at: user, user: user}
	if wall != 0 {
		s.last.at, s.last.kernel = s.clock.FromWall(wall), true
	}
	return n, err
}

// write gives as much of bufs to the kernel as it takes at once, in one system call, and returns how much that was.
// It writes nothing where that cannot be done without blocking.
func (s *socket) write(bufs [][]byte) (int, error) {
	if s.tcp == nil {
		return 0, nil
	}
	return s.tcp.write(bufs)
}

// errStale says that a kept connection cannot carry another request.
var errStale = errors.New("connection was closed while it was idle")

// idle checks a connection between requests without waiting: nil if it is open and nothing has arrived.
func (s *socket) idle() error {
	if s.tcp != nil {
		return s.tcp.idle()
	}
	if err := s.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	var one [1]byte
	n, err := s.Conn.Read(one[:])
	switch {
	case n > 0 || errors.Is(err, io.EOF):
		return errStale
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	return nil
}
