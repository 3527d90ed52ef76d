package simulate

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"
)

// listenTCP serves p on loopback until the test ends and returns the address.
func listenTCP(t testing.TB, p Params, h *History) (address string) {
	t.Helper()
	ln, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(p, Options{History: h})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// In real time every step begins when the last one ends by the schedule, whatever the machine does: the pace cannot drift.
func TestScheduleIsAbsoluteOverTCP(t *testing.T) {
	h := &History{}
	address := listenTCP(t, plain(), h)
	pace(t, address, 100)
	steps := h.Steps()
	for i, s := range steps[1:100] {
		if last := steps[i]; !s.Begin.Equal(last.Begin.Add(last.Duration)) {
			t.Errorf("step %d begins %v after the last one's end", i+1, s.Begin.Sub(last.Begin.Add(last.Duration)))
		}
	}
}

// BenchmarkPace compares the pace that a client sees, by its clock, with the closed form: 1 is exact.
func BenchmarkPace(b *testing.B) {
	p := plain()
	p.StepPerKilotoken = 0
	address := listenTCP(b, p, nil)
	var sum float64
	for range b.N {
		sum += pace(b, address, 334) // steps of 6 ms: 2 s
	}
	b.ReportMetric(sum/float64(b.N)/DecodeSpeed(p, 1, 0), "pace/closed-form")
}

// pace returns the output speed of one answer of n tokens as a client sees it.
func pace(t testing.TB, address string, n int) float64 {
	t.Helper()
	q := ofTokens(100, "")
	q.max = n
	resp, err := http.Post("http://"+address+"/v1/chat/completions", "application/json", bytes.NewReader(q.body("simulated/engine")))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var first, last time.Time
	chunks := 0
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if bytes.Contains(lines.Bytes(), []byte(`content":"`)) && !bytes.Contains(lines.Bytes(), []byte(`"role"`)) {
			last = time.Now()
			if chunks++; chunks == 1 {
				first = last
			}
		}
	}
	if chunks != n {
		t.Fatalf("%d chunks, want %d", chunks, n)
	}
	return float64(n-1) / last.Sub(first).Seconds()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkChunk measures what one chunk costs in CPU time over TCP, at close to 20,000 chunks per second. The client,
// which discards what it reads, is in the figure.
func BenchmarkChunk(b *testing.B) {
	for _, streams := range []int{1, 100} {
		b.Run(fmt.Sprint("streams=", streams), func(b *testing.B) {
			p := plain()
			p.MaxBatch, p.StepBase, p.StepPerSequence, p.StepPerKilotoken = 128, 20*time.Microsecond, 50*time.Microsecond, 0
			p.PrefillRate, p.PrefillBudget = 1e9, 1<<16
			p.MaxContext, p.CacheTokens = 1<<24, 1<<31
			address := listenTCP(b, p, nil)
			each := max(b.N/streams, 2)
			begin, cpu := time.Now(), cpuTime()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range streams {
				wg.Go(func() { drain(b, address, i, each) })
			}
			wg.Wait()
			chunks := float64(streams * each)
			b.ReportMetric(float64(cpuTime()-cpu)/chunks, "cpu-ns/chunk")
			b.ReportMetric(chunks/time.Since(begin).Seconds(), "chunks/s")
		})
	}
}

// drain asks for n tokens over a connection of its own and throws them away.
func drain(b *testing.B, address string, i, n int) {
	q := ofTokens(100, fmt.Sprint("stream ", i))
	q.max = n
	body := q.body("simulated/engine")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Error(err)
		return
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if _, err := io.Copy(io.Discard, struct{ io.Reader }{conn}); err != nil {
		b.Error(err)
	}
}

// BenchmarkRequest measures what reading a request of a 32k-token context costs.
func BenchmarkRequest(b *testing.B) {
	p := plain()
	p.MaxContext = 1 << 17
	body := ofTokens(32<<10, "").body("m")
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := parseRequest(body)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.sequence(p); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStep measures what the scheduler costs in one step of 40 sequences.
func BenchmarkStep(b *testing.B) {
	p := plain()
	s := newScheduler(p)
	now := time.Unix(1000, 0)
	for i := range 40 {
		text := fmt.Appendf(nil, "%04000d", i)
		q := newSequence(p, nil, text, 1<<14, 1<<14)
		q.arrived = now
		s.arrive(q)
	}
	for b.Loop() {
		now = now.Add(1)
		step, ok := s.begin(now)
		if !ok {
			b.Fatal("the sequences ended before the benchmark")
		}
		now = now.Add(step.Duration)
		s.complete()
		for _, q := range s.batch {
			q.emitted = min(q.emitted, 1<<13) // never ends
			q.mail.tokens = q.mail.tokens[:0]
		}
	}
}
