// Package endpointtest is a chat-completions server that does exactly what a script says and stamps every write, so that
// a client can be checked against the truth: what was sent, when, and how many tokens it held.
//
// It writes bytes, not HTTP: a script can split, merge, delay, garble or cut them anywhere.
package endpointtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// Script is what the server does.
type Script struct {
	Answer    func(*Request) []Step // to a request that was read whole
	Early     func(*Request) []Step // before the body is read; nil, or a nil answer: read it
	Models    string                // JSON of GET .../models; empty: 404
	KeepAlive time.Duration         // a connection is closed when idle for this long after an answer; 0: never
	TLS       bool                  //
	Memory    bool                  // connections in memory (Server.Dial), for synctest
	Forget    bool                  // keep no requests and no writes: for long loads
	Clock     *clock.Clock          // of the stamps; nil: a new one
}

// Request is one request as it came and the answer as it was written.
type Request struct {
	Ordinal int // of the server, from 0
	Conn    int // ordinal of the connection
	Method  string
	Path    string
	Header  http.Header
	Body    []byte
	Read    clock.Stamp // when it had been read whole
	Writes  []Write
}

// Write is one write of an answer.
type Write struct {
	At     clock.Stamp // just before it
	Bytes  int
	Tokens int // output tokens in it; 0: it held no output
}

// FirstOutput returns when the first bytes with output were written; LastOutput the last; Tokens how many there were.
func (r Request) FirstOutput() clock.Stamp {
	for _, w := range r.Writes {
		if w.Tokens > 0 {
			return w.At
		}
	}
	return 0
}

// LastOutput returns when the last bytes with output were written; zero: there were none.
func (r Request) LastOutput() (at clock.Stamp) {
	for _, w := range r.Writes {
		if w.Tokens > 0 {
			at = w.At
		}
	}
	return at
}

// Tokens returns how many output tokens were written.
func (r Request) Tokens() (n int) {
	for _, w := range r.Writes {
		n += w.Tokens
	}
	return n
}

// Server is a running script.
type Server struct {
	URL string      // base URL for the client, ending in /v1
	TLS *tls.Config // for the client; nil without TLS
	// Dial connects to it. A client needs it for connections in memory only.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	script Script
	listen net.Listener
	wg     sync.WaitGroup
	ctx    context.Context // ends with Close
	stop   context.CancelFunc

	mu       sync.Mutex
	open     map[net.Conn]struct{}
	closed   bool
	conns    int
	requests []Request
	served   int
}

// Start starts a server that ends with the test.
func Start(tb testing.TB, script Script) *Server {
	tb.Helper()
	s, err := Serve(script)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

// Serve starts a server on a free port of the loopback interface, or in memory.
func Serve(script Script) (*Server, error) {
	if script.Clock == nil {
		script.Clock = clock.New()
	}
	s := &Server{script: script, open: map[net.Conn]struct{}{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if script.Memory {
		m := newMemory()
		s.listen, s.Dial = m, m.dial
	} else {
		l, err := listen()
		if err != nil {
			return nil, fmt.Errorf("listen on loopback: %w", err)
		}
		s.listen, s.Dial = l, new(net.Dialer).DialContext
	}
	s.URL = "http://" + s.listen.Addr().String() + "/v1"
	if script.TLS {
		server, client, err := certificate()
		if err != nil {
			return nil, fmt.Errorf("make a certificate: %w", err)
		}
		s.TLS = client
		s.URL = strings.Replace(s.URL, "http", "https", 1)
		s.listen = tls.NewListener(s.listen, server)
	}
	s.wg.Go(s.accept)
	return s, nil
}

// Close closes all connections and waits for the server to end.
func (s *Server) Close() {
	s.stop()
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.listen.Close()
	s.wg.Wait()
}

// Requests returns the requests answered so far, in the order of their answers' ends.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Conns returns how many connections were accepted.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (s *Server) accept() {
	for {
		c, err := s.listen.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			c.Close()
			return
		}
		ordinal := s.conns
		s.conns++
		s.open[c] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c, ordinal)
			c.Close()
			s.mu.Lock()
			delete(s.open, c)
			s.mu.Unlock()
		})
	}
}

// serve answers the requests of one connection.
func (s *Server) serve(c net.Conn, ordinal int) {
	in := bufio.NewReader(c)
	for first := true; ; first = false {
		if s.script.KeepAlive > 0 && !first {
			c.SetReadDeadline(time.Now().Add(s.script.KeepAlive))
		}
		if _, err := in.Peek(1); err != nil {
			return
		}
		c.SetReadDeadline(time.Time{})
		hr, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		s.mu.Lock()
		r := &Request{Ordinal: s.served, Conn: ordinal, Method: hr.Method, Path: hr.URL.Path, Header: hr.Header}
		s.served++
		s.mu.Unlock()
		steps, ok := s.steps(r, hr)
		if !ok || !s.play(c, r, steps) {
			return
		}
	}
}

// steps reads the request and chooses the answer.
func (s *Server) steps(r *Request, hr *http.Request) ([]Step, bool) {
	if s.script.Early != nil {
		if steps := s.script.Early(r); steps != nil {
			r.Read = s.script.Clock.Now()
			return append(steps[:len(steps):len(steps)], Close()), true
		}
	}
	body, err := io.ReadAll(hr.Body)
	if err != nil {
		return nil, false
	}
	r.Body, r.Read = body, s.script.Clock.Now()
	switch {
	case hr.Method == http.MethodGet && s.script.Models != "":
		return []Step{Plain(200, "application/json", s.script.Models)}, true
	case hr.Method == http.MethodGet:
		return []Step{Plain(404, "text/plain", "no list of models")}, true
	}
	return s.script.Answer(r), true
}

// play writes an answer on an absolute schedule. It reports whether the connection is still good.
func (s *Server) play(c net.Conn, r *Request, steps []Step) bool {
	defer s.keep(r)
	due := time.Now()
	for _, step := range steps {
		due = due.Add(step.Wait)
		if !clock.Sleep(s.ctx, time.Until(due)) {
			return false
		}
		if len(step.Bytes) > 0 {
			at := s.script.Clock.Now()
			if _, err := c.Write(step.Bytes); err != nil {
				return false
			}
			if !s.script.Forget {
				r.Writes = append(r.Writes, Write{At: at, Bytes: len(step.Bytes), Tokens: step.Tokens})
			}
		}
		if !step.end(c) {
			return false
		}
	}
	return true
}

func (s *Server) keep(r *Request) {
	if s.script.Forget {
		return
	}
	s.mu.Lock()
	s.requests = append(s.requests, *r)
	s.mu.Unlock()
}
