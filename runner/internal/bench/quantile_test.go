package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"syscall"
	"testing"
)

// The ranks were worked out by hand from "the smallest x with at least q of the values <= x".
func TestRank(t *testing.T) {
	tests := []struct {
		q    float64
		n    int
		want int
	}{
		{0.95, 1, 1}, {0.95, 2, 2}, {0.95, 3, 3}, {0.95, 4, 4}, {0.95, 20, 19}, {0.95, 21, 20}, {0.95, 100, 95}, {0.95, 101, 96},
		{0.25, 1, 1}, {0.25, 2, 1}, {0.25, 3, 1}, {0.25, 4, 1}, {0.25, 5, 2}, {0.25, 20, 5}, {0.25, 100, 25}, {0.25, 101, 26},
		{0.07, 100, 7}, {0.001, 100, 1}, {0.999, 1000, 999}, {0.999, 100, 100}, {0.5, 2, 1},
	}
	for _, tt := range tests {
		if got := rank(tt.q, tt.n); got != tt.want {
			t.Errorf("rank(%v, %d): got %d, want %d", tt.q, tt.n, got, tt.want)
		}
	}
}

// The definition itself, for every tenth of a percent: at least q of the values are <= the quantile, and for every
// smaller value it is fewer.
func TestRankIsTheDefinition(t *testing.T) {
	for permille := 1; permille < 1000; permille++ {
		for _, n := range []int{1, 2, 3, 4, 7, 20, 100, 999, 1000, 1001} {
			k := rank(float64(permille)/1000, n)
			if k*1000 < permille*n || (k > 1 && (k-1)*1000 >= permille*n) {
				t.Fatalf("rank(%d/1000, %d) = %d is not the smallest with k/n >= q", permille, n, k)
			}
		}
	}
}

var six = []float64{0.05, 0.25, 0.5, 0.75, 0.95, 0.99}

func TestQuantilesEqualSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	shapes := map[string]func() float64{
		"log-normal": func() float64 { return math.Exp(rng.NormFloat64()) },
		"constant":   func() float64 { return 42 },
		"negative":   func() float64 { return rng.NormFloat64() },
		"infinite":   func() float64 { return []float64{math.Inf(1), rng.Float64(), 0}[rng.IntN(3)] },
		"two close":  func() float64 { return math.Float64frombits(math.Float64bits(1) + rng.Uint64N(3)) },
		"zeros":      func() float64 { return []float64{0, math.Copysign(0, -1), 5e-324, math.Inf(-1)}[rng.IntN(4)] },
	}
	for name, draw := range shapes {
		for _, n := range []int{1, 2, 3, 100, smallEnoughToSort - 1, smallEnoughToSort, 20_001} {
			values := make([]float64, n)
			for i := range values {
				values[i] = draw()
			}
			before := slices.Clone(values)
			got := Quantiles(values, six...)
			if !slices.Equal(values, before) {
				t.Fatalf("%s: the input was changed", name)
			}
			slices.Sort(before)
			for i, q := range six {
				if want := before[rank(q, n)-1]; got[i] != want {
					t.Errorf("%s, n = %d, q = %v: got %v, want %v", name, n, q, got[i], want)
				}
			}
		}
	}
}

func TestQuantilesOfNothing(t *testing.T) {
	if got := Quantile(nil, 0.5); !math.IsNaN(got) {
		t.Errorf("got %v, want NaN", got)
	}
}

func TestKeyKeepsOrder(t *testing.T) {
	ordered := []float64{math.Inf(-1), -math.MaxFloat64, -1, -5e-324, 0, 5e-324, 1, math.MaxFloat64, math.Inf(1)}
	for i, v := range ordered {
		if unkey(key(v)) != v {
			t.Errorf("unkey(key(%v)) = %v", v, unkey(key(v)))
		}
		if i > 0 && key(ordered[i-1]) >= key(v) {
			t.Errorf("key(%v) >= key(%v)", ordered[i-1], v)
		}
	}
}

func FuzzQuantiles(f *testing.F) {
	f.Add(uint64(1), uint16(5000), uint16(500))
	f.Add(uint64(2), uint16(4096), uint16(999))
	f.Fuzz(func(t *testing.T, seed uint64, n, permille uint16) {
		rng := rand.New(rand.NewPCG(seed, 0))
		values := make([]float64, int(n)%9000+1)
		for i := range values {
			values[i] = math.Float64frombits(rng.Uint64() & rng.Uint64())
			if math.IsNaN(values[i]) {
				values[i] = math.Inf(1)
			}
		}
		q := float64(permille%999+1) / 1000
		got := Quantile(values, q)
		slices.Sort(values)
		if want := values[rank(q, len(values))-1]; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

// Row 13 of the performance targets: 10 M records, six quantiles, in CPU time. Each iteration is one round in which the
// contestants take turns, so that what else the machine does hits all of them; the medians are reported, and the ratios of
// the medians. Run with -cpu 1 -benchtime 7x.
func BenchmarkQuantiles(b *testing.B) {
	const n = 10_000_000
	rng := rand.New(rand.NewPCG(1, 2))
	values, scratch := make([]float64, n), make([]float64, n)
	for i := range values {
		values[i] = math.Exp(rng.NormFloat64())
	}
	var sum float64
	var sums, selects, sorts []float64
	for b.Loop() {
		sums = append(sums, cpu(func() { sum += sumOf(values) })/n)
		selects = append(selects, cpu(func() { Quantiles(values, six...) })/n)
		copy(scratch, values)
		sorts = append(sorts, cpu(func() { sort.Float64s(scratch) })/n)
	}
	if sum == 0 {
		b.Fatal("the sum was not computed")
	}
	floor, mine, theirs := Quantile(sums, 0.5), Quantile(selects, 0.5), Quantile(sorts, 0.5)
	b.ReportMetric(floor, "ns-sum/record")
	b.ReportMetric(mine, "ns-select/record")
	b.ReportMetric(slices.Max(selects), "ns-select-worst/record")
	b.ReportMetric(theirs, "ns-sort/record")
	b.ReportMetric(mine/floor, "select/sum")
	b.ReportMetric(theirs/mine, "sort/select")
}

// sumOf adds up in four chains: one would measure the latency of an addition, not the reading.
func sumOf(values []float64) float64 {
	var a, b, c, d float64
	for i := 0; i+4 <= len(values); i += 4 {
		v := (*[4]float64)(values[i:])
		a, b, c, d = a+v[0], b+v[1], c+v[2], d+v[3]
	}
	return a + b + c + d
}

// cpu returns the user and system time that f takes, in nanoseconds.
func cpu(f func()) float64 {
	used := func() (ns int64) {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	f()
	return float64(used() - before)
}
