package endpoint

import (
	"bytes"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// ways are the two kinds of callers: on a loop, and with a goroutine.
var ways = map[string]Script{"loop": {}, "tls": {TLS: true}}

// dialled returns a client of s that dials for itself, as it must for an engine to use loops.
func dialled(t testing.TB, s *Server, clk *clock.Clock, change func(*Options)) *Client {
	t.Helper()
	return newClient(t, s, clk, func(o *Options) {
		o.Dial = nil
		if change != nil {
			change(o)
		}
	})
}

// engine returns an engine that ends with the test. It has a loop unless the client speaks TLS.
func engine(t testing.TB, c *Client) *Engine {
	t.Helper()
	e, err := c.Engine(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if loopsExist && (len(e.loops) > 0) != (c.url.Scheme == "http") {
		t.Fatalf("%d loops for %s", len(e.loops), c.url)
	}
	return e
}

// call sends a turn that is due after a delay, and waits for the reply.
func call(n Caller, clk *clock.Clock, after time.Duration, play trajectory.Play, turn int) (due clock.Stamp, r bench.Reply) {
	replies := make(chan bench.Reply)
	due = clk.Now().Add(after)
	n.Send(due, play, turn, func(r bench.Reply) { replies <- r })
	return due, <-replies
}

// eachWay runs a test with a server of each kind.
func eachWay(t *testing.T, script Script, test func(t *testing.T, s *Server, e *Engine, clk *clock.Clock)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			clk := clock.New()
			script.TLS, script.Clock = way.TLS, clk
			s := Start(t, script)
			test(t, s, engine(t, dialled(t, s, clk, nil)), clk)
		})
	}
}

func TestCallerSendsWhenDue(t *testing.T) {
	eachWay(t, Script{Answer: always(Stream(2, 1, 0, 0)...)}, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
		n := e.Caller()
		defer n.Close()
		for turn, after := range []time.Duration{0, 20 * time.Millisecond, 400 * time.Millisecond} {
			due, r := call(n, clk, after, talk(3, 100), turn)
			if r.Failure != "" || r.Reused != (turn > 0) || r.WriteBegin < due || r.WriteEnd < r.WriteBegin {
				t.Errorf("turn %d: failure %q %s, reused %v, due %v, written %v to %v", turn, r.Failure, r.Detail, r.Reused, due, r.WriteBegin, r.WriteEnd)
			}
		}
		if got := s.Conns(); got != 1 {
			t.Errorf("got %d connections, want 1", got)
		}
	})
}

// TestCallersGetWhatLanesGet: every scripted answer, good or bad, gives the counts that a lane gives.
func TestCallersGetWhatLanesGet(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			for _, tc := range answerCases() {
				clk := clock.New()
				way.Answer, way.Clock = always(tc.steps...), clk
				s := Start(t, way)
				n := engine(t, dialled(t, s, clk, nil)).Caller()
				_, r := call(n, clk, 0, talk(1, 20), 0)
				if diff := cmp.Diff(tc.want, countsOf(r)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tc.name, diff)
				}
				n.Close()
			}
		})
	}
}

// TestCallerReplacesItsConnection: one that the server closed, or is about to close, carries no request.
func TestCallerReplacesItsConnection(t *testing.T) {
	eachWay(t, Script{Answer: always(Stream(2, 1, 0, 0)...), KeepAlive: 5 * time.Millisecond}, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
		n := e.Caller()
		defer n.Close()
		for turn := range 3 {
			if _, r := call(n, clk, 30*time.Millisecond, talk(3, 100), turn); r.Failure != "" || r.Reused {
				t.Errorf("turn %d: failure %q %s, reused %v", turn, r.Failure, r.Detail, r.Reused)
			}
			time.Sleep(30 * time.Millisecond) // the server closes meanwhile
		}
	})
	clk := clock.New()
	s := Start(t, Script{Answer: always(Stream(2, 1, 0, 0)...), Clock: clk})
	n := engine(t, dialled(t, s, clk, func(o *Options) { o.IdleReuse = 50 * time.Millisecond })).Caller()
	for turn, after := range []time.Duration{0, 10 * time.Millisecond, 100 * time.Millisecond} {
		if _, r := call(n, clk, after, talk(3, 100), turn); r.Failure != "" || r.Reused != (turn == 1) {
			t.Errorf("turn %d after %v: failure %q %s, reused %v", turn, after, r.Failure, r.Detail, r.Reused)
		}
	}
}

// TestCallerNeverRetries: a request that was lost on a kept connection is one failure and one request.
func TestCallerNeverRetries(t *testing.T) {
	eachWay(t, Script{Answer: func(r *Request) []Step {
		if r.Ordinal == 1 {
			return []Step{Reset()}
		}
		return Stream(1, 1, 0, 0)
	}}, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
		n := e.Caller()
		var got []bench.Failure
		for turn := range 3 {
			_, r := call(n, clk, 0, talk(3, 100), turn)
			got = append(got, r.Failure)
		}
		if diff := cmp.Diff([]bench.Failure{"", bench.FailConnect, ""}, got); diff != "" {
			t.Errorf("failures (-want +got):\n%s", diff)
		}
		s.Close()
		if n := len(s.Requests()); n != 3 {
			t.Errorf("got %d requests, want 3", n)
		}
	})
}

// TestCallerWritesLargeBodies: what one write cannot take follows when there is room, in order; a server that refuses the body
// half way is heard.
func TestCallerWritesLargeBodies(t *testing.T) {
	play := talk(1, 12<<20)
	eachWay(t, Script{Answer: always(Stream(1, 1, 0, 0)...)}, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
		_, r := call(e.Caller(), clk, 0, play, 0)
		if r.Failure != "" || r.WriteEnd < r.WriteBegin {
			t.Fatalf("failure %q %s, write %v to %v", r.Failure, r.Detail, r.WriteBegin, r.WriteEnd)
		}
		s.Close()
		body, pieces := s.Requests()[0].Body, play.Pieces(0)
		if want := bytes.Join(pieces[:], nil); !bytes.Contains(body, want) || len(body) != r.BodyBytes {
			t.Errorf("body of %d bytes, %d sent, does not hold the messages", len(body), r.BodyBytes)
		}
	})
	refuse := func(*Request) []Step {
		return []Step{Plain(413, "application/json", `{"error":{"message":"too large"}}`)}
	}
	eachWay(t, Script{Early: refuse}, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
		n := e.Caller()
		for range 2 { // the second time on a new connection
			_, r := call(n, clk, 0, play, 0)
			if r.Failure != bench.FailStatus || r.Status != 413 || r.Detail != "too large" || r.WriteEnd != 0 || r.Reused {
				t.Errorf("failure %q status %d %s, write end %v, reused %v", r.Failure, r.Status, r.Detail, r.WriteEnd, r.Reused)
			}
		}
	})
}

func TestCallerTimesOut(t *testing.T) {
	for _, tc := range []struct {
		name   string
		script Script
		limits Timeouts
		stage  string
		after  time.Duration
	}{
		{"first byte", Script{Answer: always(Header(), After(time.Minute, End()))}, Timeouts{FirstByte: 150 * time.Millisecond}, "first byte of the answer", 150 * time.Millisecond},
		{"idle", Script{Answer: always(append(Stream(20, 1, 0, time.Millisecond)[:12], After(time.Minute, End()))...)}, Timeouts{Idle: 150 * time.Millisecond}, "more of the answer", 150 * time.Millisecond},
		{"total", Script{Answer: always(Stream(1000, 1, 0, 10*time.Millisecond)...)}, Timeouts{Total: 200 * time.Millisecond}, "end of the answer", 200 * time.Millisecond},
		{"upload", Script{Early: func(*Request) []Step { return []Step{After(time.Minute, End())} }}, Timeouts{FirstByte: 200 * time.Millisecond}, uploadStage, 200 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clk := clock.New()
			tc.script.Clock = clk
			s := Start(t, tc.script)
			n := engine(t, dialled(t, s, clk, func(o *Options) { o.Timeouts = tc.limits })).Caller()
			_, r := call(n, clk, 0, talk(1, 24<<20), 0)
			if r.Failure != bench.FailTimeout || !strings.Contains(r.Detail, tc.stage) || r.Done.Sub(r.WriteBegin) < tc.after {
				t.Errorf("failure %q %s after %v, want a timeout of %q after %v", r.Failure, r.Detail, r.Done.Sub(r.WriteBegin), tc.stage, tc.after)
			}
		})
	}
}

func TestCallerConnectFailures(t *testing.T) {
	clk := clock.New()
	c, err := New(Options{URL: "http://127.0.0.1:1/v1", Model: "m", Clock: clk})
	if err != nil {
		t.Fatal(err)
	}
	n := engine(t, c).Caller()
	for range 2 {
		due, r := call(n, clk, 10*time.Millisecond, talk(1, 10), 0)
		if r.Failure != bench.FailConnect || !strings.Contains(r.Detail, "127.0.0.1:1") || r.WriteBegin != 0 || r.Done < due {
			t.Errorf("closed port: failure %q %s, done %v, due %v", r.Failure, r.Detail, r.Done, due)
		}
	}
	// A server that comes up between the look at the connection and the due time is reached.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	if c, err = New(Options{URL: "http://" + addr + "/v1", Model: "m", Clock: clk}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(60*time.Millisecond, func() {
		if l, err = net.Listen("tcp", addr); err == nil {
			conn, err := l.Accept()
			if err == nil {
				conn.Read(make([]byte, 1000))
				conn.Write(Plain(503, "text/plain", "busy").Bytes)
				conn.Close()
			}
			l.Close()
		}
	})
	if _, r := call(engine(t, c).Caller(), clk, 200*time.Millisecond, talk(1, 10), 0); r.Status != 503 {
		t.Errorf("late server: failure %q %s, status %d, want 503", r.Failure, r.Detail, r.Status)
	}
}

// TestCallerIsClosed whatever is under way: the reply says cancelled, at once, and so do later ones.
func TestCallerIsClosed(t *testing.T) {
	for what, script := range map[string]Script{
		"waiting for its time": {},
		"waiting":              {Answer: always(After(time.Minute, Header()))},
		"streaming":            {Answer: always(Stream(1000, 1, 0, 10*time.Millisecond)...)},
		"uploading":            {Early: func(*Request) []Step { return []Step{After(time.Minute, Close())} }},
	} {
		t.Run(what, func(t *testing.T) {
			eachWay(t, script, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
				after := time.Duration(0)
				if what == "waiting for its time" {
					after = time.Hour
				}
				for name, end := range map[string]func(Caller){"closed": Caller.Close, "engine closed": func(Caller) { e.Close() }} {
					n := e.Caller()
					time.AfterFunc(80*time.Millisecond, func() { end(n) })
					begin := clk.Now()
					_, r := call(n, clk, after, talk(1, 24<<20), 0)
					if r.Failure != bench.Cancelled || clk.Now().Sub(begin) > 10*time.Second {
						t.Errorf("%s: failure %q %s after %v, want cancelled at once", name, r.Failure, r.Detail, clk.Now().Sub(begin))
					}
					if _, r := call(n, clk, 0, talk(1, 10), 0); r.Failure != bench.Cancelled {
						t.Errorf("%s: afterwards failure %q %s, want cancelled", name, r.Failure, r.Detail)
					}
					if name == "engine closed" {
						return // nothing follows
					}
				}
			})
		})
	}
}

func TestCallerShowsItsProgress(t *testing.T) {
	eachWay(t, Script{Answer: always(Header(), After(100*time.Millisecond, Content("a", 1)), After(300*time.Millisecond, Content("b", 1)),
		Finish("stop"), Usage(1, 3, 0, 0), Done(), End())}, func(t *testing.T, s *Server, e *Engine, clk *clock.Clock) {
		n := e.Caller()
		replies := make(chan bench.Reply)
		n.Send(clk.Now(), talk(1, 100), 0, func(r bench.Reply) { replies <- r })
		var begun, answering clock.Stamp
		for answering == 0 {
			time.Sleep(time.Millisecond)
			begun, answering = n.Progress()
		}
		r := <-replies
		if begun != r.WriteBegin || answering != r.FirstByte {
			t.Errorf("showed begun %v, answering %v; the reply says %v, %v", begun, answering, r.WriteBegin, r.FirstByte)
		}
		if begun, answering := n.Progress(); begun != 0 || answering != 0 {
			t.Errorf("after the end: begun %v, answering %v", begun, answering)
		}
	})
}

// TestLoopUnderLoad: hundreds of callers at once, through ticks and back, lose and mix up nothing.
func TestLoopUnderLoad(t *testing.T) {
	const callers, turns, chunks = 300, 3, 40
	clk := clock.New()
	s := Start(t, Script{Clock: clk, Forget: true, Answer: func(r *Request) []Step {
		return Stream(chunks+streamOf(*r)%7, 1, time.Millisecond, 3*time.Millisecond)
	}})
	c := dialled(t, s, clk, nil)
	e := engine(t, c)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Add(turns)
		n := e.Caller()
		play := talk(turns, 2000)
		play.Salt = "stream " + strconv.Itoa(i) + "; "
		var next func(turn int)
		next = func(turn int) {
			n.Send(clk.Now().Add(time.Duration(i)*time.Millisecond/10), play, turn, func(r bench.Reply) {
				defer wg.Done()
				if r.Failure != "" || r.Chunks != chunks+i%7 || r.Reused != (turn > 0) || r.Stamps != bench.KernelStamps {
					t.Errorf("caller %d turn %d: failure %q %s, %d chunks, reused %v, %s stamps", i, turn, r.Failure, r.Detail, r.Chunks, r.Reused, r.Stamps)
				}
				if turn+1 < turns {
					next(turn + 1)
				}
			})
		}
		next(0)
	}
	wg.Wait()
	if got := s.Conns(); got != callers {
		t.Errorf("got %d connections, want %d", got, callers)
	}
}

// TestLoopGoesOnTicking: 200 streams of 100 tokens per second, with nothing that wakes the loop but its ticks, are read to their ends.
func TestLoopGoesOnTicking(t *testing.T) {
	const callers, chunks = 200, 100
	clk := clock.New()
	s := Start(t, Script{Clock: clk, Forget: true, Answer: always(Stream(chunks, 1, 300*time.Millisecond, 10*time.Millisecond)...)})
	e := engine(t, dialled(t, s, clk, func(o *Options) { o.Timeouts.Idle = 10 * time.Second }))
	replies := make(chan bench.Reply, callers)
	due := clk.Now().Add(100 * time.Millisecond)
	for range callers {
		e.Caller().Send(due, talk(1, 100), 0, func(r bench.Reply) { replies <- r })
	}
	for range callers {
		select {
		case r := <-replies:
			if r.Failure != "" || r.Chunks != chunks {
				t.Fatalf("failure %q %s, %d chunks", r.Failure, r.Detail, r.Chunks)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the loop sleeps although there is something to read")
		}
	}
}
