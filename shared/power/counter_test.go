package power

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestCounter(t *testing.T) {
	with := func(change func(*Meter)) Meter {
		m := jouleMeter() // counts mJ, moves each 100 ms
		change(&m)
		return m
	}
	// steps is a counter of w watts that moves each 100 ms, read each 20 ms.
	steps := func(from, to, w int64) []Sample {
		return every(from, to, 20, func(ms int64) int64 { return 1_000_000 + w*(ms/100*100) })
	}
	shifted := func(samples []Sample, from, by int64) []Sample {
		for i := range samples {
			if samples[i].Time >= after(from) {
				samples[i].Raw += by
			}
		}
		return samples
	}
	wrapped := func(samples []Sample, at int64) []Sample {
		for i := range samples {
			samples[i].Raw %= at
		}
		return samples
	}
	rapl := Meter{ID: "rapl", Scope: CPU, Quantity: Counter, Scale: Scale{15_625, 1024}, Wrap: 1 << 32, PeriodFrom: Specification}
	type want struct {
		Joules   float64
		Measured time.Duration
		Coverage float64
		Longest  time.Duration
		Valid    bool
		Codes    []Code
	}
	tests := []struct {
		name     string
		meter    Meter
		samples  []Sample
		from, to int64
		want     want
	}{
		{"on the changes", jouleMeter(), steps(0, 5000, 500), 1000, 3000, want{1000, 2 * s, 1, 0, true, nil}},
		{"between the changes", jouleMeter(), steps(0, 5000, 500), 1033, 3047, want{1007, 2014 * ms, 1, 0, true, nil}},
		{"the first value is not a change", jouleMeter(), steps(40, 5000, 500), 60, 1000,
			want{450, 900 * ms, 900. / 940, 40 * ms, false, []Code{EdgeUncovered}}},
		{"no change after the end", jouleMeter(), steps(0, 3080, 500), 1000, 3040, want{1000, 2 * s, 1 - 40./2040, 40 * ms, false, []Code{EdgeUncovered}}},
		{"reads slower than the counter", with(func(m *Meter) { m.Period = 20 * ms }), every(0, 20_000, 333, func(ms int64) int64 { return 300 * ms }), 500, 10_500,
			want{3000, 10 * s, 1, 0, true, nil}},

		{"wrap", with(func(m *Meter) { m.Wrap = 1_500_000 }), wrapped(steps(0, 5000, 500), 1_500_000), 500, 4500, want{2000, 4 * s, 1, 0, true, []Code{Wrapped}}},
		{"went backward without a wrap", jouleMeter(), wrapped(steps(0, 5000, 500), 1_500_000), 500, 4500, want{1900, 3800 * ms, .95, 100 * ms, false, []Code{Reset}}},
		{"reset, wrap impossible", with(func(m *Meter) { m.Wrap, m.Limit = 20_000_000, 700*Watt }), shifted(steps(0, 20_000, 500), 10_000, -900_000), 100, 19_900,
			want{500 * 19.7, 19_700 * ms, 1 - .1/19.8, 100 * ms, true, []Code{Reset}}},
		{"ran ahead", with(func(m *Meter) { m.Limit = 700 * Watt }), shifted(steps(0, 20_000, 500), 10_000, 900_000), 100, 19_900,
			want{500 * 19.7, 19_700 * ms, 1 - .1/19.8, 100 * ms, true, []Code{Implausible}}},

		// The counter does not move from 5 s to 7 s though it is read: frozen or idle at nothing. It then catches up, so the
		// energy is known and the interval is not covered all the same.
		{"frozen, then catches up", jouleMeter(), append(steps(0, 5000, 500), steps(7000, 20_000, 500)...), 1000, 18_000,
			want{8500, 17 * s, 1 - 2./17, 2 * s, false, []Code{Gap}}},
		{"frozen for good", jouleMeter(), append(steps(0, 5000, 500), every(5020, 20_000, 20, constant(3_500_000))...), 1000, 18_000,
			want{2000, 4 * s, 4. / 17, 13 * s, false, []Code{EdgeUncovered}}},
		{"never moves", jouleMeter(), every(0, 5000, 20, constant(7)), 1000, 4000, want{Longest: 3 * s, Codes: []Code{NoSamples}}},

		// A PDU that counts Wh under 500 W moves each 7.2 s. Nobody said so, the readings do.
		{"slow counter, period inferred", Meter{Scope: Rack, Quantity: Counter, Scale: Scale{3_600_000_000, 1}},
			every(0, 200_000, 1000, func(ms int64) int64 { return 33_000_000 + ms/7200 }), 20_000, 170_000, want{75_000, 150 * s, 1, 0, true, nil}},
		{"coarse counter, slower than declared", Meter{Scope: Rack, Quantity: Counter, Scale: Scale{3_600_000_000, 1}, Period: s, PeriodFrom: Specification},
			every(0, 200_000, 1000, func(ms int64) int64 { return 33_000_000 + ms/7200 }), 20_000, 170_000, want{75_000, 150 * s, 1, 0, true, nil}},

		{"not coarse, and slower than declared: gaps", jouleMeter(), every(0, 20_000, 20, func(ms int64) int64 { return 500 * (ms / 700 * 700) }), 700, 14_700,
			want{7000, 14 * s, 0, 700 * ms, false, []Code{EdgeUncovered, Gap}}},

		{"rapl units wrap twice", rapl, every(0, 300_000, 100, func(ms int64) int64 { return (1<<32 - 5_000_000 + ms*20_480) % (1 << 32) }), 50, 299_950,
			want{299.9 * 312.5, 299_900 * ms, 1, 0, true, []Code{Wrapped}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := Between(tt.meter, tt.samples, after(tt.from), after(tt.to))
			got := want{u.Energy.Joules(), u.Measured, u.Coverage, u.LongestGap, u.Valid, codes(u)}
			near := cmp.Comparer(func(a, b float64) bool { return a-b <= 2e-3*b && b-a <= 2e-3*b })
			exact := cmp.Comparer(func(a, b float64) bool { return a-b < 2e-6 && b-a < 2e-6 })
			if diff := cmp.Diff(tt.want, got, pick(tt.meter.Scope == Rack, near, exact)); diff != "" {
				t.Errorf("Between (-want +got):\n%s\n%v", diff, u.Warnings)
			}
		})
	}
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// A count of 33 000 000 Wh is beyond float32, and beyond float64 in µJ: one more Wh must be one more Wh.
func TestLargeCountsAreExact(t *testing.T) {
	m := Meter{Scope: Rack, Quantity: Counter, Scale: Scale{3_600_000_000, 1}, PeriodFrom: Specification, Period: 5 * s}
	const base = 9_000_000_000_000_000
	u := Between(m, readings(point{0, base}, point{5000, base + 1}, point{10_000, base + 2}), after(0), after(10_000))
	if got, want := u.Energy, 7200*Joule; got != want || !u.Valid {
		t.Errorf("energy %d µJ, want %d; %v", got, want, u.Warnings)
	}
}

// Counts beyond int64, which only a senseless scale can make, are left out rather than turned negative.
func TestCountsBeyond64Bits(t *testing.T) {
	m := Meter{Quantity: Counter, Scale: Scale{1, 1_000_000_000_000}, Wrap: 1 << 62, PeriodFrom: Specification}
	u := Between(m, every(0, 10_000, 100, func(ms int64) int64 { return ms / 100 % 2 << 61 }), after(0), after(10_000))
	if u.Energy < 0 || u.Valid || !slices.Contains(codes(u), Implausible) {
		t.Errorf("%d µJ, valid %v, %v", u.Energy, u.Valid, u.Warnings)
	}
}

func TestMoved(t *testing.T) {
	tests := []struct {
		name           string
		wrap, from, to int64
		most, counts   int64
		what           Code
	}{
		{"forward", 0, 10, 15, 10, 5, ""},
		{"forward, just possible", 0, 10, 20, 10, 10, ""},
		{"forward, not possible", 0, 10, 21, 10, 0, Implausible},
		{"backward", 0, 15, 10, 100, 0, Reset},
		{"wrap", 100, 98, 3, 10, 5, Wrapped},
		{"wrap, just possible", 100, 93, 3, 10, 10, Wrapped},
		{"wrap, not possible", 100, 92, 3, 10, 0, Reset},
		{"wrap at the very top", 1 << 62, 1<<62 - 1, 0, 10, 1, Wrapped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			counts, what := Meter{Wrap: tt.wrap}.moved(tt.from, tt.to, tt.most)
			if counts != tt.counts || what != tt.what {
				t.Errorf("moved = %d, %q, want %d, %q", counts, what, tt.counts, tt.what)
			}
		})
	}
}
