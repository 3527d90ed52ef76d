package sampler

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"agentwatt/shared/power"
)

// BenchmarkLateness puts the sampler beside a time.Ticker doing the same reads and beside a C program that only sleeps, in
// turns, so that all three meet the same machine. One iteration is one round of each:
//
//	go test -run '^$' -bench Lateness -benchtime 5x ./meterd/internal/sampler
//
// Reported are medians over the rounds, and the worst rounds of the sampler's P99 and missed ticks. "x-" are ratios: sampler to other.
func BenchmarkLateness(b *testing.B) {
	floor := compileFloor(b)
	for _, c := range []struct{ hertz, ticks int }{{10, 30}, {100, 200}, {1000, 2000}} {
		b.Run(fmt.Sprintf("%dHz", c.hertz), func(b *testing.B) {
			interval := time.Second / time.Duration(c.hertz)
			var ours, ticker, fifo []run
			for b.Loop() {
				ours = append(ours, runSampler(b, interval, c.ticks))
				ticker = append(ticker, runTicker(b, interval, c.ticks))
				fifo = append(fifo, runFloor(b, floor, interval, c.ticks))
			}
			report(b, "sampler", ours)
			report(b, "ticker", ticker)
			report(b, "C", fifo)
			b.ReportMetric(slices.MaxFunc(ours, func(x, y run) int { return int(x.p99 - y.p99) }).p99/1e3, "sampler-P99-worst-µs")
			b.ReportMetric(slices.MaxFunc(ours, func(x, y run) int { return int(x.missed - y.missed) }).missed, "sampler-missed-worst")
			b.ReportMetric(ratio(ours, fifo, run.tail), "x-C-P99")
			b.ReportMetric(ratio(ours, ticker, run.tail), "x-ticker-P99")
			b.ReportMetric(ratio(ours, ticker, run.middle), "x-ticker-P50")
			b.ReportMetric(ratio(ours, ticker, run.load), "x-ticker-cpu")
			b.ReportMetric(0, "ns/op") // the length of a round says nothing
		})
	}
}

// run is one round of one method: lateness of the wake-ups and CPU per served tick in ns, and ticks not served.
type run struct{ p50, p99, max, cpu, missed float64 }

func (r run) middle() float64 { return r.p50 }
func (r run) tail() float64   { return r.p99 }
func (r run) load() float64   { return r.cpu }

func of(l Latency, cpu time.Duration, missed uint64) run {
	return run{float64(l.P50), float64(l.P99), float64(l.Max), float64(cpu) / float64(l.Count), float64(missed)}
}

func report(b *testing.B, name string, runs []run) {
	b.ReportMetric(median(runs, run.middle)/1e3, name+"-P50-µs")
	b.ReportMetric(median(runs, run.tail)/1e3, name+"-P99-µs")
	b.ReportMetric(median(runs, func(r run) float64 { return r.max })/1e3, name+"-max-µs")
	b.ReportMetric(median(runs, run.load)/1e3, name+"-cpu-µs/tick")
	b.ReportMetric(median(runs, func(r run) float64 { return r.missed }), name+"-missed")
}

func median(runs []run, of func(run) float64) float64 {
	var v []float64
	for _, r := range runs {
		v = append(v, of(r))
	}
	slices.Sort(v)
	return v[len(v)/2]
}

// ratio is the median of the rounds' own ratios.
func ratio(a, b []run, of func(run) float64) float64 {
	i := -1
	return median(a, func(x run) float64 { i++; return of(x) / of(b[i]) })
}

// nowhere is a bus that takes everything at once.
type nowhere struct{}

func (nowhere) Publish(context.Context, *power.Batch) error { return nil }

func runSampler(b *testing.B, interval time.Duration, ticks int) run {
	if Precise(interval) { // as main does
		before := runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(max(before, 2))
		defer runtime.GOMAXPROCS(before)
	}
	s := newSampler(&still{meters: meters(8)}, nowhere{})
	s.Interval = interval
	ctx, cancel := context.WithTimeout(b.Context(), interval*time.Duration(ticks))
	defer cancel()
	cpu := cpuTime(b)
	if err := s.Run(ctx); err != nil {
		b.Fatal(err)
	}
	st := s.Stats()
	return of(st.Late, cpuTime(b)-cpu, st.Missed)
}

func runTicker(b *testing.B, interval time.Duration, ticks int) run {
	src, dst := &still{meters: meters(8)}, make([]power.Sample, 0, 64)
	var late histogram
	missed := uint64(0)
	cpu, began := cpuTime(b), time.Now()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for n := time.Duration(1); n <= time.Duration(ticks); n++ {
		<-ticker.C
		over := time.Since(began) - n*interval
		late.add(over)
		if skip := over / interval; skip > 0 {
			missed += uint64(skip)
			n += skip
		}
		if _, err := src.Read(b.Context(), dst); err != nil {
			b.Fatal(err)
		}
	}
	return of(late.summary(), cpuTime(b)-cpu, missed)
}

func compileFloor(b *testing.B) string {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		b.Skipf("the comparison needs a C compiler: %v", err)
	}
	bin := filepath.Join(b.TempDir(), "fifo")
	if out, err := exec.Command(gcc, "-O2", "-o", bin, filepath.Join("testdata", "fifo.c")).CombinedOutput(); err != nil {
		b.Fatalf("compile testdata/fifo.c: %v\n%s", err, out)
	}
	return bin
}

func runFloor(b *testing.B, bin string, interval time.Duration, ticks int) run {
	out, err := exec.Command(bin, fmt.Sprint(int64(interval)), fmt.Sprint(ticks)).Output()
	if err != nil {
		b.Fatal(err)
	}
	var r run
	if _, err := fmt.Sscan(string(out), &r.p50, &r.p99, &r.max, &r.cpu); err != nil {
		b.Fatalf("read %q: %v", out, err)
	}
	r.cpu /= float64(ticks)
	return r
}

// cpuTime is what this process has used, user and system.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkTick is the cost of one tick of 8 meters on the reading side, without the waiting.
func BenchmarkTick(b *testing.B) {
	s := newSampler(&still{meters: meters(8)}, nowhere{})
	if err := s.prepare(); err != nil {
		b.Fatal(err)
	}
	q := newQueue(s.Queue)
	r := newReader(s, q)
	b.ReportAllocs()
	for b.Loop() {
		if err := r.read(b.Context()); err != nil {
			b.Fatal(err)
		}
		if len(r.batch.Samples) >= maxSamples {
			r.turn(time.Now())
			q.recycle(<-q.ready)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(8*b.N), "ns/sample")
}
