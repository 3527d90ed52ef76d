package endpoint

import (
	"context"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
)

// TestTimesAreTrue: with 200 streams at once, TTFT and output speed are those of the server's own write stamps, to 1 ms
// and 1 %. Receive stamps are the kernel's, so a busy machine delays the reading and not the result, up to one chunk: what
// waits longer is merged by the kernel and keeps the last stamp only. The client reports that (MergedReads), and such
// streams are not judged here. The 95th percentile is, since the server may be stopped between its stamp and its write.
func TestTimesAreTrue(t *testing.T) {
	t.Run("lanes", func(t *testing.T) {
		timesAreTrue(t, func(s *Server, clk *clock.Clock, n int) []bench.Reply { return fleet(t, newClient(t, s, clk, nil), n) })
	})
	t.Run("loop", func(t *testing.T) {
		timesAreTrue(t, func(s *Server, clk *clock.Clock, n int) []bench.Reply {
			return engineFleet(t, engine(t, dialled(t, s, clk, nil)), n)
		})
	})
}

func timesAreTrue(t *testing.T, play func(s *Server, clk *clock.Clock, streams int) []bench.Reply) {
	const streams, chunks, per = 200, 20, 2
	clk := clock.New()
	s := Start(t, Script{Clock: clk, Answer: func(r *Request) []Step {
		return Stream(chunks, per, time.Duration(50+r.Ordinal)*time.Millisecond, 80*time.Millisecond)
	}})
	replies := play(s, clk, streams)
	s.Close()

	var ttft, speed []float64 // errors: seconds, and relative
	for _, req := range s.Requests() {
		r := replies[streamOf(req)]
		if r.Failure != "" || r.Output != chunks*per || r.Chunks != chunks {
			t.Fatalf("stream %d: failure %q %s, %d tokens in %d chunks", streamOf(req), r.Failure, r.Detail, r.Output, r.Chunks)
		}
		if r.Stamps != bench.KernelStamps || r.MergedReads > 0 {
			continue
		}
		ttft = append(ttft, math.Abs(r.FirstOutput.Sub(req.FirstOutput()).Seconds()))
		got, want := r.LastOutput.Sub(r.FirstOutput), req.LastOutput().Sub(req.FirstOutput())
		speed = append(speed, math.Abs(float64(want)/float64(got)-1))
	}
	if len(ttft) < streams/10 {
		t.Skipf("only %d of %d streams had kernel stamps and were read in time: this machine is too busy, or gives no stamps", len(ttft), streams)
	}
	p95 := func(v []float64) float64 { slices.Sort(v); return v[len(v)*95/100] }
	t.Logf("%d of %d streams judged; P95 error: TTFT %.3f ms, speed %.3f %%", len(ttft), streams, p95(ttft)*1e3, p95(speed)*100)
	if e := p95(ttft); e > 1e-3 {
		t.Errorf("P95 error of TTFT is %.3f ms, want at most 1", e*1e3)
	}
	if e := p95(speed); e > 0.01 {
		t.Errorf("P95 error of output speed is %.2f %%, want at most 1", e*100)
	}
}

// engineFleet is fleet with callers of an engine.
func engineFleet(t testing.TB, e *Engine, n int) []bench.Reply {
	t.Helper()
	replies := make([]bench.Reply, n)
	var wg sync.WaitGroup
	wg.Add(n)
	due := e.c.opt.Clock.Now().Add(50 * time.Millisecond)
	for i := range n {
		caller := e.Caller()
		play := talk(1, 200)
		play.Salt = "stream " + strconv.Itoa(i) + "; "
		caller.Send(due, play, 0, func(r bench.Reply) {
			replies[i] = r
			caller.Close()
			wg.Done()
		})
	}
	wg.Wait()
	return replies
}

// fleet sends one request on each of n lanes at once. The answer to stream i is in element i.
func fleet(t testing.TB, c *Client, n int) []bench.Reply {
	t.Helper()
	replies := make([]bench.Reply, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			l := c.Lane()
			defer l.Close()
			play := talk(1, 200)
			play.Salt = "stream " + strconv.Itoa(i) + "; "
			replies[i] = l.Send(context.Background(), play, 0)
		})
	}
	wg.Wait()
	return replies
}

// streamOf returns the number that fleet gave the request.
func streamOf(r Request) int {
	_, rest, _ := strings.Cut(string(r.Body), "stream ")
	digits, _, _ := strings.Cut(rest, ";")
	n, err := strconv.Atoi(digits)
	if err != nil {
		return -1
	}
	return n
}

// TestCountsSurviveTheWay: a slow reader, a proxy that gathers, and chunks of eight tokens change when things are seen,
// never what is counted.
func TestCountsSurviveTheWay(t *testing.T) {
	for _, per := range []int{1, 8} {
		clk := clock.New()
		s := Start(t, Script{Clock: clk, Answer: always(Stream(60, per, time.Millisecond, time.Millisecond)...)})
		want := countsOf(ask(t, newClient(t, s, clk, nil)))
		if want.Failure != "" || want.Output != 60*per {
			t.Fatalf("direct: %+v", want)
		}
		ways := map[string]func(context.Context, string, string) (net.Conn, error){
			"slow reader": func(ctx context.Context, network, addr string) (net.Conn, error) {
				c, err := s.Dial(ctx, network, addr)
				return slow{c}, err
			},
			"gathering proxy": relay(t, s),
		}
		for name, dial := range ways {
			r := ask(t, newClient(t, s, clk, func(o *Options) { o.Dial = dial }))
			if diff := cmp.Diff(want, countsOf(r)); diff != "" {
				t.Errorf("%s, %d tokens per chunk: (-direct +got)\n%s", name, per, diff)
			}
			if r.MergedReads == 0 {
				t.Errorf("%s, %d tokens per chunk: no merged reads, so this tested nothing", name, per)
			}
		}
	}
}

// slow reads late.
type slow struct{ net.Conn }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(15 * time.Millisecond)
	return s.Conn.Read(p)
}

// relay forwards to s and passes on what came back every 15 ms.
func relay(t *testing.T, s *Server) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		up, err := s.Dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		down, proxy := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() { io.Copy(up, proxy) })
		wg.Go(func() {
			defer proxy.Close()
			io.Copy(proxy, slow{up})
		})
		t.Cleanup(func() { up.Close(); proxy.Close(); wg.Wait() })
		return down, nil
	}
}

// TestTimesInVirtualTime: without a kernel and without noise the stamps are exact.
func TestTimesInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clk := clock.New()
		s := serveMemory(t, Script{Clock: clk, Answer: always(
			After(time.Second, Header()), Role(), // headers
			After(time.Second, Reasoning("a", 1)), // first output
			After(time.Second, Content("b", 1)),   // first answer
			After(time.Second, Content("c", 1)),   // last output
			After(time.Second, Finish("stop")), Usage(9, 3, -1, -1), Done(),
			After(time.Second, End()))})
		defer s.Close()
		r := ask(t, newClient(t, s, clk, nil))
		since := func(at clock.Stamp) time.Duration { return at.Sub(r.WriteBegin) }
		got := []time.Duration{since(r.WriteEnd), since(r.Headers), since(r.FirstByte), since(r.FirstOutput), since(r.FirstAnswer), since(r.LastOutput), since(r.Done)}
		want := []time.Duration{0, time.Second, time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 6 * time.Second}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("write end, headers, first byte, first output, first answer, last output, done: (-want +got)\n%s", diff)
		}
		if r.Stamps != bench.UserStamps || r.UserLagMax != 0 {
			t.Errorf("got %s stamps with a lag of %v, want user stamps", r.Stamps, r.UserLagMax)
		}
	})
}

// TestMergedReads: output events that came with one read share a stamp; such reads are counted, once each.
func TestMergedReads(t *testing.T) {
	token := func() Step { return After(time.Second, Content("a", 1)) }
	end := Together(Finish("stop"), Usage(9, 4, -1, -1), Done(), End())
	for _, tc := range []struct {
		name  string
		steps []Step
		want  int
		first int // events in the first output's read
	}{
		{"one event per read", []Step{Header(), token(), token(), token(), end}, 0, 1},
		{"no output beside it", []Step{Header(), Together(Role(), token(), Comment("ping")), Together(token(), end)}, 0, 1},
		{"three in one read", []Step{Header(), token(), Together(token(), token(), token()), end}, 1, 1},
		{"two reads of two", []Step{Header(), Together(token(), token()), Together(token(), token()), end}, 2, 2},
		{"all in one read", []Step{Header(), Together(Role(), token(), token(), token(), token(), end)}, 1, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			clk := clock.New()
			s := serveMemory(t, Script{Clock: clk, Answer: always(tc.steps...)})
			defer s.Close()
			if r := ask(t, newClient(t, s, clk, nil)); r.Failure != "" || r.MergedReads != tc.want || r.FirstRead != tc.first {
				t.Errorf("%s: got %d merged reads, %d events in the first (failure %q), want %d and %d", tc.name, r.MergedReads, r.FirstRead, r.Failure, tc.want, tc.first)
			}
		})
	}
}
