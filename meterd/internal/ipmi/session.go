package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/bougou/go-ipmi/pkg/types"
)

// session is a link over the network: one RMCP+ session that is kept as long as the BMC answers. It owns no goroutine.
type session struct {
	conn     net.Conn
	keys     keys
	id       string        // the BMC's GUID
	again    time.Duration // how long an answer may take before the request is sent again: datagrams get lost
	sequence byte          // of the last request, 6 bits
	buf      [mostPacket]byte
}

// dial opens a session within ctx. A BMC that refuses cipher suite 17 is asked for 3, unless the user chose one.
func dial(ctx context.Context, o Options) (*session, error) {
	suites := []int{o.Cipher}
	if o.Cipher == 0 {
		suites = []int{17, 3}
	}
	var refused error
	for _, id := range suites {
		conn, err := new(net.Dialer).DialContext(ctx, "udp", o.Address)
		if err != nil {
			return nil, err
		}
		s := &session{conn: conn, again: o.Timeout / 4}
		if err = s.open(ctx, o, id); err == nil {
			if err = s.raise(ctx, o); err == nil {
				return s, nil
			}
			s.close(true)
			return nil, err
		}
		conn.Close()
		if !errors.Is(err, errSuite) {
			return nil, err
		}
		refused = err
	}
	return nil, refused
}

// raise asks for a privilege above the one that every session begins with.
func (s *session) raise(ctx context.Context, o Options) error {
	if o.Privilege == "user" {
		return nil
	}
	f, err := s.call(ctx, request{netFn: netFnApp, cmd: cmdSetPrivilege, data: []byte{privileges[o.Privilege]}})
	if err == nil {
		if _, err = f.body(0); err != nil {
			err = fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	if err != nil {
		return fmt.Errorf("ask for privilege %s: %w", o.Privilege, err)
	}
	return nil
}

func (s *session) guid() string { return s.id }

func (s *session) cipher() int { return s.keys.suite.id }

func (s *session) call(ctx context.Context, r request) (frame, error) {
	s.sequence = (s.sequence + 1) & 0x3f
	message := r.pack(s.sequence)
	var got frame
	err := s.exchange(ctx, func() ([]byte, error) { return s.keys.seal(message) }, func(packet []byte) bool {
		m, ok := s.keys.unseal(packet)
		if ok {
			got, ok = r.answer(m, s.sequence)
		}
		return ok
	})
	return got, err
}

// exchange sends what pack makes, at least once, until a packet comes that accept takes, or ctx ends. Whatever else
// arrives is dropped.
func (s *session) exchange(ctx context.Context, pack func() ([]byte, error), accept func([]byte) bool) error {
	release := interrupt(ctx, s.conn)
	defer release()
	for first := true; first || ctx.Err() == nil; first = false {
		packet, err := pack()
		if err != nil {
			return err
		}
		if _, err := s.conn.Write(packet); err != nil {
			return err
		}
		if err := s.conn.SetReadDeadline(time.Now().Add(s.again)); err != nil {
			return err
		}
		for ctx.Err() == nil { // looked at after the deadline was set, see interrupt
			n, err := s.conn.Read(s.buf[:])
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				return err
			}
			if accept(s.buf[:n]) {
				return nil
			}
		}
	}
	return fmt.Errorf("wait for the BMC's answer: %w", ctx.Err())
}

// closeWithin is how long a BMC may take to acknowledge the end of a session. Telling it is worth a little: it has only a
// few sessions, and keeps one that was left for a minute.
const closeWithin = 300 * time.Millisecond

func (s *session) close(answers bool) {
	defer s.conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	if !answers {
		cancel() // told once, without waiting
	}
	id := s.keys.bmc
	s.call(ctx, request{netFn: netFnApp, cmd: cmdCloseSession, data: []byte{byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}})
}

// Commands for sessions, IPMI 2.0, appendix G.
const (
	netFnApp        = byte(types.NetFnAppRequest)
	cmdSetPrivilege = 0x3b
	cmdCloseSession = 0x3c
)
