package endpoint

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

func TestLaneReusesItsConnection(t *testing.T) {
	for _, secure := range []bool{false, true} {
		clk := clock.New()
		s := Start(t, Script{Answer: always(Stream(2, 1, 0, 0)...), TLS: secure, Clock: clk})
		l := newClient(t, s, clk, nil).Lane()
		for turn := range 3 {
			if err := l.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := l.Send(t.Context(), talk(3, 100), turn)
			if r.Failure != "" || r.Reused != (turn > 0) {
				t.Errorf("tls %v turn %d: failure %q %s, reused %v", secure, turn, r.Failure, r.Detail, r.Reused)
			}
		}
		l.Close()
		if got := s.Conns(); got != 1 {
			t.Errorf("tls %v: got %d connections, want 1", secure, got)
		}
	}
}

func TestPrepareReplacesWhatTheServerClosed(t *testing.T) {
	for _, secure := range []bool{false, true} {
		clk := clock.New()
		s := Start(t, Script{Answer: always(Stream(2, 1, 0, 0)...), KeepAlive: 5 * time.Millisecond, TLS: secure, Clock: clk})
		l := newClient(t, s, clk, nil).Lane()
		defer l.Close()
		for turn := range 3 {
			if err := l.Prepare(t.Context()); err != nil {
				t.Fatal(err)
			}
			if r := l.Send(t.Context(), talk(3, 100), turn); r.Failure != "" || r.Reused {
				t.Errorf("tls %v turn %d: failure %q %s, reused %v", secure, turn, r.Failure, r.Detail, r.Reused)
			}
			time.Sleep(30 * time.Millisecond) // the server closes meanwhile
		}
		if got := s.Conns(); got != 3 {
			t.Errorf("tls %v: got %d connections, want 3", secure, got)
		}
	}
}

// TestPrepareReplacesWhatWillBeClosed: a server's idle limit cannot strike between Prepare and Send.
func TestPrepareReplacesWhatWillBeClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clk := clock.New()
		s := serveMemory(t, Script{Answer: always(Stream(2, 1, 0, 0)...), KeepAlive: 5 * time.Second, Clock: clk})
		defer s.Close()
		l := newClient(t, s, clk, nil).Lane()
		defer l.Close()
		play := talk(4, 100)
		for turn, idle := range []time.Duration{0, 3999 * time.Millisecond, 4001 * time.Millisecond, time.Minute} {
			time.Sleep(idle)
			r := l.Send(t.Context(), play, turn)
			if want := turn == 1; r.Failure != "" || r.Reused != want {
				t.Errorf("after %v: failure %q %s, reused %v, want %v", idle, r.Failure, r.Detail, r.Reused, want)
			}
		}
	})
}

func serveMemory(t *testing.T, script Script) *Server {
	t.Helper()
	script.Memory = true
	s, err := Serve(script)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestConnectionIsNotReused after an answer that says so, or that leaves its state in doubt.
func TestConnectionIsNotReused(t *testing.T) {
	body := Together(Stream(1, 1, 0, 0)[1:]...)
	for name, steps := range map[string][]Step{
		"connection: close":        {Header("Connection: close"), body},
		"HTTP/1.0":                 {Raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), body},
		"bytes after the response": {Header(), Together(body, Raw("HTTP/1.1 400 Bad"))},
		"two opinions on length":   {Header("Content-Length: 5"), body},
	} {
		t.Run(name, func(t *testing.T) {
			clk := clock.New()
			s := Start(t, Script{Answer: always(steps...), Clock: clk})
			l := newClient(t, s, clk, nil).Lane()
			defer l.Close()
			for turn := range 2 {
				if r := l.Send(t.Context(), talk(2, 100), turn); r.Failure != "" || r.Reused {
					t.Errorf("turn %d: failure %q %s, reused %v", turn, r.Failure, r.Detail, r.Reused)
				}
			}
			if got := s.Conns(); got != 2 {
				t.Errorf("got %d connections, want 2", got)
			}
		})
	}
}

// TestNoRetry: a request that was lost on a kept connection is one failure and one request.
func TestNoRetry(t *testing.T) {
	clk := clock.New()
	s := Start(t, Script{Clock: clk, Answer: func(r *Request) []Step {
		if r.Ordinal == 1 {
			return []Step{Reset()}
		}
		return Stream(1, 1, 0, 0)
	}})
	l := newClient(t, s, clk, nil).Lane()
	defer l.Close()
	var got []bench.Failure
	for turn := range 3 {
		got = append(got, l.Send(t.Context(), talk(3, 100), turn).Failure)
	}
	if got[0] != "" || got[1] != bench.FailConnect || got[2] != "" {
		t.Errorf("got failures %q, want only the second, connect", got)
	}
	s.Close()
	if n := len(s.Requests()); n != 3 {
		t.Errorf("got %d requests, want 3", n)
	}
}

// TestAnswerBeforeTheBodyIsRead: the server refuses a body that fits no socket buffer, and does not read it.
func TestAnswerBeforeTheBodyIsRead(t *testing.T) {
	refuse := func(*Request) []Step {
		return []Step{Plain(413, "application/json", `{"error":{"message":"too large"}}`)}
	}
	play := talk(1, 32<<20)
	for _, way := range []Script{{}, {TLS: true}, {Memory: true}} {
		clk := clock.New()
		way.Early, way.Clock = refuse, clk
		s := Start(t, way)
		l := newClient(t, s, clk, nil).Lane()
		r := l.Send(t.Context(), play, 0)
		if l.conn != nil {
			t.Errorf("tls %v, memory %v: the lane kept a connection with half a request on it", way.TLS, way.Memory)
		}
		l.Close()
		if r.Failure != bench.FailStatus || r.Status != 413 || r.Detail != "too large" || r.WriteEnd != 0 {
			t.Errorf("tls %v, memory %v: failure %q status %d %s, write end %v", way.TLS, way.Memory, r.Failure, r.Status, r.Detail, r.WriteEnd)
		}
	}
}

// TestLargeBodyArrivesWhole: what one write cannot take is written by the goroutine, in order.
func TestLargeBodyArrivesWhole(t *testing.T) {
	play := talk(1, 12<<20)
	for _, way := range []Script{{}, {TLS: true}, {Memory: true}} {
		clk := clock.New()
		way.Answer, way.Clock = always(Stream(1, 1, 0, 0)...), clk
		s := Start(t, way)
		r := play1(t, newClient(t, s, clk, nil), play)
		if r.Failure != "" || r.WriteEnd < r.WriteBegin {
			t.Fatalf("failure %q %s, write %v to %v", r.Failure, r.Detail, r.WriteBegin, r.WriteEnd)
		}
		s.Close()
		body := s.Requests()[0].Body
		pieces := play.Pieces(0)
		if want := bytes.Join(pieces[:], nil); !bytes.Contains(body, want) || len(body) != r.BodyBytes {
			t.Errorf("tls %v, memory %v: body of %d bytes, %d sent, does not hold the messages", way.TLS, way.Memory, len(body), r.BodyBytes)
		}
	}
}

func TestTimeoutsNameTheirStage(t *testing.T) {
	never := After(time.Hour, End())
	cases := []struct {
		name   string
		script Script
		limits Timeouts
		stage  string
		after  time.Duration
		chunks int
	}{
		{"first byte", Script{Answer: always(Header(), never)}, Timeouts{FirstByte: 7 * time.Second}, "first byte of the answer", 7 * time.Second, 0},
		{"idle", Script{Answer: always(append(Stream(20, 1, 0, time.Second)[:12], never)...)}, Timeouts{Idle: 3 * time.Second}, "more of the answer", 12 * time.Second, 10},
		{"total", Script{Answer: always(Stream(100, 1, 0, time.Second)...)}, Timeouts{Total: 20500 * time.Millisecond}, "end of the answer", 20500 * time.Millisecond, 21},
		{"upload", Script{Early: func(*Request) []Step { return []Step{never} }}, Timeouts{FirstByte: 5 * time.Second}, "end of the request's upload", 5 * time.Second, 0},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clk := clock.New()
				tc.script.Clock = clk
				s := serveMemory(t, tc.script)
				defer s.Close()
				c := newClient(t, s, clk, func(o *Options) { o.Timeouts = tc.limits })
				r := play1(t, c, talk(1, 100<<10))
				if r.Failure != bench.FailTimeout || !strings.Contains(r.Detail, tc.stage) || r.Chunks != tc.chunks {
					t.Errorf("got failure %q %q with %d chunks, want a timeout of %q with %d", r.Failure, r.Detail, r.Chunks, tc.stage, tc.chunks)
				}
				if got := r.Done.Sub(r.WriteBegin); got < tc.after || got > tc.after+10*time.Millisecond {
					t.Errorf("gave up after %v, want %v", got, tc.after)
				}
			})
		})
	}
}

func play1(t *testing.T, c *Client, play trajectory.Play) bench.Reply {
	t.Helper()
	l := c.Lane()
	defer l.Close()
	return l.Send(context.Background(), play, 0)
}

func TestConnectFailures(t *testing.T) {
	clk := clock.New()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	c, err := New(Options{URL: "http://h/v1", Model: "m", Clock: clk, Dial: dial, Timeouts: Timeouts{Connect: 5 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	if r := ask(t, c); r.Failure != bench.FailTimeout || r.WriteBegin != 0 || r.Done == 0 || r.Output != bench.Unknown {
		t.Errorf("slow dial: %+v", r)
	}
	c, err = New(Options{URL: "http://127.0.0.1:1/v1", Model: "m", Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	if r := ask(t, c); r.Failure != bench.FailConnect || !strings.Contains(r.Detail, "127.0.0.1:1") {
		t.Errorf("closed port: failure %q %s", r.Failure, r.Detail)
	}
}

// TestCancel: the connection is closed at once, whatever is under way, and the reply says so.
func TestCancel(t *testing.T) {
	for name, script := range map[string]Script{
		"connecting": {},
		"waiting":    {Answer: always(After(time.Hour, Header()))},
		"streaming":  {Answer: always(Stream(3600, 1, 0, time.Second)...)},
		"uploading":  {Early: func(*Request) []Step { return []Step{After(time.Hour, Close())} }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clk := clock.New()
				script.Clock = clk
				s := serveMemory(t, script)
				defer s.Close()
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(2500*time.Millisecond, cancel)
				l := newClient(t, s, clk, func(o *Options) {
					if name == "connecting" {
						o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }
					}
				}).Lane()
				begin := time.Now()
				r := l.Send(ctx, talk(1, 100<<10), 0)
				if r.Failure != bench.Cancelled || time.Since(begin) != 2500*time.Millisecond {
					t.Errorf("failure %q %s after %v, want cancelled at once", r.Failure, r.Detail, time.Since(begin))
				}
				if name == "streaming" && r.Chunks != 3 {
					t.Errorf("got %d chunks, want those that came", r.Chunks)
				}
				if l.conn != nil {
					t.Error("the lane kept the connection")
				}
			})
		})
	}
}

// TestEndlessResponse: memory is bounded.
func TestEndlessResponse(t *testing.T) {
	clk := clock.New()
	big := Comment(strings.Repeat("x", 8<<20))
	steps := []Step{Header()}
	for range 10 {
		steps = append(steps, big)
	}
	s := Start(t, Script{Answer: always(steps...), Forget: true, Clock: clk})
	r := ask(t, newClient(t, s, clk, nil))
	if r.Failure != bench.FailProtocol || !strings.Contains(r.Detail, errTooLong.Error()) {
		t.Errorf("got failure %q %s, want protocol: %v", r.Failure, r.Detail, errTooLong)
	}
}

func TestKeyStaysSecret(t *testing.T) {
	const key = "sk-very-secret"
	clk := clock.New()
	s := Start(t, Script{Clock: clk, Answer: always(Plain(401, "text/plain", "bad key "+key+"!"))})
	c := newClient(t, s, clk, func(o *Options) { o.Key = key + "\n" })
	r := ask(t, c)
	_, err := c.Probe(t.Context())
	if err == nil || !errors.Is(err, ErrUnauthorized) {
		t.Errorf("probe: got %v, want %v", err, ErrUnauthorized)
	}
	s.Close()
	if got := s.Requests()[0].Header.Get("Authorization"); got != "Bearer "+key {
		t.Errorf("sent authorization %q", got)
	}
	for _, text := range []string{r.Detail, err.Error(), c.URL()} {
		if strings.Contains(text, key) {
			t.Errorf("the key shows in %q", text)
		}
	}
}

// An answer under way shows when it began, to whoever closes a phase; while it is waited for and between requests there is none.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clk := clock.New()
		s := Start(t, Script{Memory: true, Clock: clk, Answer: always(Header(), After(2*time.Second, Content("a", 1)), After(time.Second, Content("b", 1)),
			After(2*time.Second, Content("c", 1)), Finish("stop"), Usage(1, 3, 0, 0), Done(), End())})
		l := newClient(t, s, clk, nil).Lane()
		defer l.Close()
		begin := clk.Now()
		done := make(chan bench.Reply)
		go func() { done <- l.Send(t.Context(), talk(1, 100), 0) }()
		for _, c := range []struct{ at, want time.Duration }{{1 * time.Second, 0}, {2500 * time.Millisecond, 2 * time.Second}, {4500 * time.Millisecond, 2 * time.Second}} {
			time.Sleep(c.at - clk.Now().Sub(begin))
			_, got := l.Progress()
			if c.want == 0 && got != 0 || c.want > 0 && got.Sub(begin) != c.want {
				t.Errorf("after %v: answer began at %v, want %v", c.at, got.Sub(begin), c.want)
			}
		}
		r := <-done
		if begun, answering := l.Progress(); r.Failure != "" || begun != 0 || answering != 0 {
			t.Errorf("failure %q %s, begun %v and answering %v after the end", r.Failure, r.Detail, begun, answering)
		}
	})
}
