package power

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// many is how many samples the benchmarks are over: 16 MB per column, beyond the caches.
const many = 2_000_000

// device returns n samples of one device, one each step. As a counter (mJ) it moves with every read; as a power (mW) it does too.
func device(q Quantity, n int, step time.Duration) (Meter, []Sample) {
	m := jouleMeter()
	m.Quantity, m.Period, m.Averaging = q, step, step
	r := rand.New(rand.NewPCG(1, 1))
	samples := make([]Sample, n)
	var total int64
	for i := range samples {
		p := 300_000 + r.Int64N(400_000)
		total += p * int64(step) / int64(s)
		samples[i] = Sample{Time: epoch.Add(time.Duration(i) * step), Raw: p}
		if q == Counter {
			samples[i].Raw = total
		}
	}
	return m, samples
}

// windows returns n intervals of 2 to 20 s inside a series, sorted or not.
func windows(x *Series, n int, sorted bool) [][2]clock.Stamp {
	r := rand.New(rand.NewPCG(2, 2))
	out := make([][2]clock.Stamp, n)
	for i := range out {
		begin := stamp(x.at[0] + r.Int64N(x.at[len(x.at)-1]-x.at[0]-21*second)).Add(time.Duration(r.Int64N(1000)))
		out[i] = [2]clock.Stamp{begin, begin.Add(2*s + time.Duration(r.Int64N(int64(18*s))))}
	}
	if sorted {
		slices.SortFunc(out, func(a, b [2]clock.Stamp) int { return int(a[0] - b[0]) })
	}
	return out
}

// BenchmarkPrefix compares the pass that sums up a power with reading the same two columns, in turns, by medians.
func BenchmarkPrefix(b *testing.B) {
	m, samples := device(Instant, many, 20*ms)
	x := NewSeries(m, samples)
	var floor, prefix []float64
	var sink int64
	for b.Loop() {
		t := time.Now()
		sink += touch(x.at, x.value)
		floor = append(floor, float64(time.Since(t)))
		t = time.Now()
		trapezoid(x.at, x.value, x.sum, x.limit)
		prefix = append(prefix, float64(time.Since(t)))
	}
	perSample(b, "floor-ns/sample", floor, many)
	perSample(b, "prefix-ns/sample", prefix, many)
	b.ReportMetric(middle(prefix)/middle(floor), "x-floor")
	if sink == 42 {
		b.Log("never")
	}
}

// touch reads two columns and does as good as nothing with them.
//
//go:noinline
func touch(at, value []int64) (sum int64) {
	value = value[:len(at)]
	for i, t := range at {
		sum += t ^ value[i]
	}
	return sum
}

// BenchmarkWindow compares the energy of one window by prefix and guess with a scan of the window's samples, as one does
// without a series, in turns, by medians.
func BenchmarkWindow(b *testing.B) {
	for _, step := range []time.Duration{ms, 10 * ms} {
		m, samples := device(Instant, many, step)
		x := NewSeries(m, samples)
		for _, sorted := range []bool{true, false} {
			b.Run(fmt.Sprintf("step=%v/sorted=%v", step, sorted), func(b *testing.B) {
				compareWindows(b, x, windows(x, 20_000, sorted))
			})
		}
	}
}

func compareWindows(b *testing.B, x *Series, ws [][2]clock.Stamp) {
	const few = 200
	var fast, slow []float64
	var sink int64
	for b.Loop() {
		t := time.Now()
		for _, w := range ws {
			sink += x.energy(int64(w[0]), int64(w[1]))
		}
		fast = append(fast, float64(time.Since(t)))
		t = time.Now()
		for _, w := range ws[:few] {
			sink += rescan(x, w[0], w[1])
		}
		slow = append(slow, float64(time.Since(t)))
	}
	perSample(b, "prefix-ns/window", fast, len(ws))
	perSample(b, "rescan-ns/window", slow, few)
	b.ReportMetric(middle(slow)/few/(middle(fast)/float64(len(ws))), "x-faster")
	if sink == 42 {
		b.Log("never")
	}
}

// rescan integrates a window the plain way: find its first value in the columns, then go through them.
func rescan(x *Series, begin, end clock.Stamp) int64 {
	from, to := int64(begin)/1000, int64(end)/1000
	i, _ := slices.BinarySearch(x.at, from)
	var e int64
	for ; i < len(x.at) && x.at[i-1] < to; i++ {
		a, b := max(x.at[i-1], from), min(x.at[i], to)
		e += (b - a) * (x.value[i] + x.value[i-1])
	}
	return mulDiv(e, x.meter.Scale.Num, x.meter.Scale.Den*2*second)
}

// BenchmarkBetween is the whole answer, uncertainty and all, for one window of ten minutes: 30 000 samples.
func BenchmarkBetween(b *testing.B) {
	for _, q := range all {
		b.Run(q.String(), func(b *testing.B) {
			x := NewSeries(device(q, 200_000, 20*ms))
			for b.Loop() {
				if u := x.Between(after(600_000), after(1_200_000)); !u.Valid {
					b.Fatal(u.Warnings)
				}
			}
		})
	}
}

// BenchmarkOnce reads a million samples and answers for one window over them.
func BenchmarkOnce(b *testing.B) {
	for _, q := range all {
		b.Run(q.String(), func(b *testing.B) {
			m, samples := device(q, 1_000_000, 20*ms)
			b.ReportAllocs()
			for b.Loop() {
				if u := Between(m, samples, after(600_000), after(19_000_000)); !u.Valid {
					b.Fatal(u.Warnings)
				}
			}
			b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(len(samples)), "ns/sample")
		})
	}
}

func perSample(b *testing.B, name string, times []float64, n int) {
	b.ReportMetric(middle(times)/float64(n), name)
}

func middle(xs []float64) float64 {
	ys := slices.Clone(xs)
	slices.Sort(ys)
	return ys[len(ys)/2]
}
