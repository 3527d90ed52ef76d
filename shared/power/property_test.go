package power

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const rounds = 120

// load is a device that draws a random power, changing at random times, as a counter and as an instant sensor see it.
type load struct {
	meter   Meter
	samples []Sample // reads at random distances, from 0 to 60 s after epoch
}

// at returns a stamp in the middle part of a load, where there are readings on both sides.
func (l load) at(r *rand.Rand) clock.Stamp {
	return epoch.Add(2*s + time.Duration(r.Int64N(int64(50*s))))
}

func randomLoad(r *rand.Rand, q Quantity) load {
	m := wattMeter(q)
	m.Scale = Scale{1 + r.Int64N(2000), 1 + r.Int64N(3)}
	m.Delay = time.Duration(r.Int64N(int64(100 * ms)))
	if q == Counter || r.IntN(2) == 0 {
		m.Period = time.Duration(1+r.Int64N(100)) * ms
	}
	l := load{meter: m}
	var raw, micro int64 // counts; time in µs
	for micro < int64(60*s/time.Microsecond) {
		step := 1 + r.Int64N(150_000)
		micro += step
		x := 100 + r.Int64N(700_000) // up to 1.4 kW
		if q == Counter {
			raw += 1 + step*x/1_000_000
		} else {
			raw = x
		}
		l.samples = append(l.samples, Sample{Time: epoch.Add(micros(micro)), Within: time.Duration(r.Int64N(200)) * time.Microsecond, Raw: raw})
	}
	return l
}

func eachLoad(t *testing.T, quantities []Quantity, check func(t *testing.T, r *rand.Rand, l load)) {
	for _, q := range quantities {
		t.Run(q.String(), func(t *testing.T) {
			for i := range uint64(rounds) {
				r := rand.New(rand.NewPCG(i, uint64(q)))
				check(t, r, randomLoad(r, q))
				if t.Failed() {
					t.Fatalf("round %d", i)
				}
			}
		})
	}
}

var (
	additive = []Quantity{Counter, Instant, Held} // a Mean drops its edges
	all      = []Quantity{Counter, Instant, Mean, Held}
)

// E(a,b) + E(b,c) = E(a,c): to the microjoule for a counter, to rounding for a power.
func TestAdditive(t *testing.T) {
	eachLoad(t, additive, func(t *testing.T, r *rand.Rand, l load) {
		x := NewSeries(l.meter, l.samples)
		at := []clock.Stamp{l.at(r), l.at(r), l.at(r)}
		slices.Sort(at)
		ab, bc, ac := x.Between(at[0], at[1]), x.Between(at[1], at[2]), x.Between(at[0], at[2])
		if !ab.Valid || !bc.Valid || !ac.Valid {
			t.Fatalf("not valid: %v %v %v", ab.Warnings, bc.Warnings, ac.Warnings)
		}
		off := ab.Energy + bc.Energy - ac.Energy
		if l.meter.Quantity == Counter && off != 0 || off < -3 || off > 3 {
			t.Errorf("%d + %d - %d = %d µJ", ab.Energy, bc.Energy, ac.Energy, off)
		}
	})
}

// What is said does not depend on the order of the samples, nor on their being there twice.
func TestOrderAndRepetition(t *testing.T) {
	eachLoad(t, all, func(t *testing.T, r *rand.Rand, l load) {
		l.meter.Averaging = 100 * ms
		begin := l.at(r)
		end := begin.Add(s)
		want := Between(l.meter, l.samples, begin, end)
		twice := slices.Concat(l.samples, l.samples[:r.IntN(len(l.samples))])
		r.Shuffle(len(twice), func(i, j int) { twice[i], twice[j] = twice[j], twice[i] })
		before := slices.Clone(twice)
		if diff := cmp.Diff(want, Between(l.meter, twice, begin, end)); diff != "" {
			t.Errorf("after a shuffle (-before +after):\n%s", diff)
		}
		if !slices.Equal(before, twice) {
			t.Error("the caller's samples were changed")
		}
	})
}

// Reading a counter more often than it changes does not change its energy.
func TestRereads(t *testing.T) {
	eachLoad(t, []Quantity{Counter}, func(t *testing.T, r *rand.Rand, l load) {
		begin, end := l.at(r), epoch.Add(57*s)
		want := Between(l.meter, l.samples, begin, end)
		var more []Sample
		for i, x := range l.samples[1:] {
			again := l.samples[i]
			again.Time += clock.Stamp(time.Duration(r.Int64N(int64(x.Time - again.Time))).Truncate(time.Microsecond))
			more = append(more, l.samples[i], again)
		}
		got := Between(l.meter, append(more, l.samples[len(l.samples)-1]), begin, end)
		// The first value counts as none if it is read again before it changes; the sum then starts elsewhere and rounds so.
		if off := got.Energy - want.Energy; off < -1 || off > 1 || got.Valid != want.Valid || got.Coverage != want.Coverage {
			t.Errorf("with re-reads %d µJ, %v, want %d µJ, %v", got.Energy, got.Valid, want.Energy, want.Valid)
		}
	})
}

// A counter that wraps says the same as one that does not.
func TestWrapIsSeamless(t *testing.T) {
	eachLoad(t, []Quantity{Counter}, func(t *testing.T, r *rand.Rand, l load) {
		l.meter.Limit = 2 * Kilowatt
		begin, end := l.at(r), epoch.Add(57*s)
		want := Between(l.meter, l.samples, begin, end)
		total := l.samples[len(l.samples)-1].Raw
		l.meter.Wrap = total/(1+r.Int64N(3)) + 1
		offset := r.Int64N(l.meter.Wrap)
		for i := range l.samples {
			l.samples[i].Raw = (l.samples[i].Raw + offset) % l.meter.Wrap
		}
		got := Between(l.meter, l.samples, begin, end)
		if off := got.Energy - want.Energy; off < -2 || off > 2 || !got.Valid {
			t.Errorf("with wraps %d µJ, without %d; %v", got.Energy, want.Energy, got.Warnings)
		}
	})
}

// A reset takes energy away, never adds any, and the time is uncovered.
func TestResetYieldsNothing(t *testing.T) {
	eachLoad(t, []Quantity{Counter}, func(t *testing.T, r *rand.Rand, l load) {
		whole := NewSeries(l.meter, l.samples).Between(epoch.Add(s), epoch.Add(58*s))
		cut := len(l.samples)/4 + r.IntN(len(l.samples)/2)
		back := l.samples[cut].Raw - r.Int64N(max(1, min(l.samples[cut-1].Raw, 1000)))
		for i := cut; i < len(l.samples); i++ {
			l.samples[i].Raw -= back
		}
		got := NewSeries(l.meter, l.samples).Between(epoch.Add(s), epoch.Add(58*s))
		if got.Energy > whole.Energy || got.Coverage >= 1 || got.Measured >= whole.Measured || !slices.Contains(codes(got), Reset) {
			t.Errorf("%d µJ over %v, without reset %d over %v; %v", got.Energy, got.Measured, whole.Energy, whole.Measured, got.Warnings)
		}
	})
}

// Nothing comes from outside the readings, and what is covered is what is measured there.
func TestNothingOutside(t *testing.T) {
	eachLoad(t, additive, func(t *testing.T, r *rand.Rand, l load) {
		x := NewSeries(l.meter, l.samples)
		first, last := stamp(x.at[0]).Add(-l.meter.Delay), stamp(x.at[len(x.at)-1]).Add(-l.meter.Delay)
		inside := x.Between(first, last)
		wide := x.Between(first.Add(-time.Duration(r.Int64N(int64(s)))), last.Add(time.Duration(1+r.Int64N(int64(s)))))
		if wide.Energy != inside.Energy || wide.Measured != inside.Measured || wide.Valid || !inside.Valid {
			t.Errorf("inside %d µJ over %v, valid %v; beyond %d µJ over %v, valid %v", inside.Energy, inside.Measured, inside.Valid, wide.Energy, wide.Measured, wide.Valid)
		}
		if want := float64(wide.Measured) / float64(wide.End-wide.Begin); math.Abs(wide.Coverage-want) > 1e-9 {
			t.Errorf("coverage %v, want %v", wide.Coverage, want)
		}
	})
}

// A counter and the power of one device agree: the counter here is the integral of the held power.
func TestCounterAgreesWithPower(t *testing.T) {
	eachLoad(t, []Quantity{Held}, func(t *testing.T, r *rand.Rand, l load) {
		l.meter.Scale, l.meter.Period = Scale{1000, 1}, 0
		counter := l.meter
		counter.Quantity, counter.Scale = Counter, Scale{1, 1_000_000}
		counts := slices.Clone(l.samples)
		counts[0].Raw = 0
		for i := 1; i < len(counts); i++ {
			d := counts[i].Time.Sub(counts[i-1].Time) / time.Microsecond
			counts[i].Raw = counts[i-1].Raw + l.samples[i-1].Raw*1000*int64(d)
		}
		begin, end := l.at(r), epoch.Add(57*s)
		e, p := Between(counter, counts, begin, end), Between(l.meter, l.samples, begin, end)
		if diff := cmp.Diff(e.Energy.Joules(), p.Energy.Joules(), cmpopts.EquateApprox(0, 5e-6)); diff != "" {
			t.Errorf("counter against power: %s", diff)
		}
	})
}

// The guess of find is right wherever the values lie.
func TestFind(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range rounds {
		x := &Series{}
		at := int64(1)
		for range 1 + r.IntN(60) {
			x.at = append(x.at, at)
			at += 1 + r.Int64N(1<<r.Int64N(30))
		}
		for range 50 {
			micro := x.at[0] + r.Int64N(at)
			want, found := slices.BinarySearch(x.at, micro)
			if !found {
				want--
			}
			if got := x.find(micro); got != want {
				t.Fatalf("find(%d) = %d, want %d, in %v", micro, got, want, x.at)
			}
		}
	}
}

func TestMulDiv(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		a, b, c := r.Int64N(1<<40)-1<<39, r.Int64N(1<<20), 1+r.Int64N(1<<30)
		want := a * b / c
		if rest := a * b % c; 2*rest >= c {
			want++
		} else if -2*rest >= c {
			want--
		}
		if got := mulDiv(a, b, c); got != want {
			t.Fatalf("mulDiv(%d, %d, %d) = %d, want %d", a, b, c, got, want)
		}
	}
	for _, x := range [][4]int64{
		{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}, {math.MaxInt64, 2, 1, math.MaxInt64},
		{math.MinInt64, 2, 1, -math.MaxInt64}, {math.MinInt64, 1, math.MaxInt64, -1}, {0, 5, 3, 0}, {1 << 62, 6, 12, 1 << 61},
	} {
		if got := mulDiv(x[0], x[1], x[2]); got != x[3] {
			t.Errorf("mulDiv(%d, %d, %d) = %d, want %d", x[0], x[1], x[2], got, x[3])
		}
	}
}
