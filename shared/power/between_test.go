package power

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	ms = time.Millisecond
	s  = time.Second
)

// ramp is the golden series of an independent implementation: 10, 20, 30, 40, 50 W each 200 ms.
func ramp(without int64) []Sample {
	var ps []point
	for i := int64(0); i < 5; i++ {
		if at := 100 + 200*i; at != without {
			ps = append(ps, point{at, 10 * (i + 1)})
		}
	}
	return readings(ps...)
}

func TestBetween(t *testing.T) {
	with := func(m Meter, change func(*Meter)) Meter { change(&m); return m }
	instant := wattMeter(Instant)
	slow := with(instant, func(m *Meter) { m.Period = 200 * ms })
	failed := func(samples []Sample, i int) []Sample {
		samples[i].Status = Failed
		return samples
	}
	type want struct {
		Joules   float64
		Mean     Power
		Measured time.Duration
		Coverage float64
		Longest  time.Duration
		Fresh    int
		Valid    bool
		Codes    []Code
	}
	tests := []struct {
		name     string
		meter    Meter
		samples  []Sample
		from, to int64 // ms
		want     want
	}{
		// Golden vectors of an independent implementation. It takes a sample to stand for its surroundings, so for it (a) is
		// covered to the full and only the energy is not valid; here the parts before the first and after the last
		// reading are uncovered.
		{"golden a", instant, ramp(0), 0, 1000, want{24, 30 * Watt, 800 * ms, 0.8, 100 * ms, 5, false, []Code{EdgeUncovered}}},
		{"golden b, one missing", instant, ramp(500), 0, 1000, want{24, 30 * Watt, 800 * ms, 0.8, 100 * ms, 4, false, []Code{EdgeUncovered}}},
		{"golden b, one failed", instant, failed(ramp(0), 2), 0, 1000, want{24, 30 * Watt, 800 * ms, 0.8, 100 * ms, 4, false, []Code{ReadFailed, EdgeUncovered}}},
		{"golden c", instant, every(-100, 1100, 200, constant(10)), 0, 1000, want{10, 10 * Watt, s, 1, 0, 5, true, nil}},
		{"golden d, a stamp twice", instant, append(ramp(0), Sample{Time: after(500), Raw: 31}), 100, 900, want{24, 30 * Watt, 800 * ms, 1, 0, 4, true, []Code{Implausible}}},
		{"golden e, nothing read", instant, nil, 0, 1000, want{Longest: s, Codes: []Code{NoSamples}}},
		{"golden e, nothing readable", instant, failed(failed(ramp(0)[:2], 0), 1), 0, 1000, want{Longest: s, Codes: []Code{ReadFailed, NoSamples}}},

		{"the covered part of a is as good as any", instant, ramp(0), 100, 900, want{24, 30 * Watt, 800 * ms, 1, 0, 4, true, nil}},
		{"edges inside brackets", instant, ramp(0), 200, 800, want{18, 30 * Watt, 600 * ms, 1, 0, 3, true, nil}},
		{"before everything", instant, ramp(0), -2000, 50, want{Longest: 2050 * ms, Codes: []Code{NoSamples}}},
		{"empty", instant, ramp(0), 500, 500, want{Codes: []Code{NoSamples}}},
		{"backwards", instant, ramp(0), 500, 400, want{Codes: []Code{NoSamples}}},
		{"delay moves the interval", with(instant, func(m *Meter) { m.Delay = 100 * ms }), ramp(0), 0, 800, want{24, 30 * Watt, 800 * ms, 1, 0, 4, true, nil}},

		// A gap of 1 s in 200 s is within 1 %, one in 20 s is not; 3.2 s is too long even in 1000 s.
		{"short gap", instant, append(every(0, 100_000, 200, constant(10)), every(101_000, 200_000, 200, constant(10))...), 0, 200_000,
			want{1990, 10 * Watt, 199 * s, 0.995, s, 996, true, []Code{Gap}}},
		{"gap too large a part", instant, append(every(0, 10_000, 200, constant(10)), every(11_000, 20_000, 200, constant(10))...), 0, 20_000,
			want{190, 10 * Watt, 19 * s, 0.95, s, 96, false, []Code{Gap}}},
		{"gap too long", instant, append(every(0, 500_000, 200, constant(10)), every(503_200, 1_000_000, 200, constant(10))...), 0, 1_000_000,
			want{9968, 10 * Watt, 996_800 * ms, 0.9968, 3200 * ms, 4985, false, []Code{Gap}}},
		{"an edge in a gap", instant, append(every(0, 1000, 200, constant(10)), every(2000, 300_000, 200, constant(300))...), 1500, 300_000,
			want{298 * 300, 300 * Watt, 298 * s, 298. / 298.5, 500 * ms, 1490, false, []Code{Stuck, EdgeUncovered, Gap}}},
		{"an edge in a gap, at the end", instant, append(every(0, 299_000, 200, constant(100)), every(300_000, 301_000, 200, constant(300))...), 1000, 299_500,
			want{29_800, 100 * Watt, 298 * s, 298. / 298.5, 500 * ms, 1491, false, []Code{EdgeUncovered, Gap}}},

		// Re-reads: the sensor refreshes each 200 ms and is read each 50 ms. The staircase would be 50 ms·10 W more.
		{"re-reads are removed", slow, every(100, 950, 50, func(ms int64) int64 { return 10 * ((ms-100)/200 + 1) }), 100, 900,
			want{24, 30 * Watt, 800 * ms, 1, 0, 4, true, nil}},
		{"reads as slow as the sensor are all fresh", slow, readings(point{0, 10}, point{200, 10}, point{400, 10}, point{600, 30}, point{800, 30}), 0, 800,
			want{14, 17_500 * Milliwatt, 800 * ms, 1, 0, 4, true, nil}},
		{"the period is inferred from the changes", with(instant, func(m *Meter) { m.PeriodFrom = Unknown }), every(100, 4150, 50, func(ms int64) int64 { return 10 * ((ms-100)/200 + 1) }), 100, 900,
			want{24, 30 * Watt, 800 * ms, 1, 0, 4, true, nil}},
		{"too few changes to infer a period", with(instant, func(m *Meter) { m.PeriodFrom = Unknown }), every(100, 950, 50, func(ms int64) int64 { return 10 * ((ms-100)/200 + 1) }), 100, 900,
			want{21, 26_250 * Milliwatt, 800 * ms, 1, 0, 16, true, nil}},
		{"a constant load stays fresh", slow, every(0, 5000, 50, constant(7)), 0, 4000, want{28, 7 * Watt, 4 * s, 1, 0, 14, true, nil}},
		{"constant, then a step: no ramp from the last change", slow, every(0, 10_000, 50, func(ms int64) int64 { return 100 + ms/8000*600 }), 0, 9000,
			want{100*7.8 + 400*.2 + 700, 173_333 * Milliwatt, 9 * s, 1, 0, 31, true, nil}},
		{"reads go on, value stuck", with(slow, func(m *Meter) { m.Scale = Scale{1000, 1} }), every(0, 60_000, 50, constant(123_456)), 0, 50_000,
			want{6172.8, 123_456 * Milliwatt, 50 * s, 1, 0, 167, true, []Code{Stuck}}},
		{"a simulated value may stand still", with(slow, func(m *Meter) { m.Scale, m.Simulated = Scale{1000, 1}, true }), every(0, 60_000, 50, constant(123_456)), 0, 50_000,
			want{6172.8, 123_456 * Milliwatt, 50 * s, 1, 0, 167, true, []Code{SimulatedCode}}},
		{"coarse value, constant", slow, every(0, 60_000, 50, constant(123)), 0, 50_000, want{6150, 123 * Watt, 50 * s, 1, 0, 167, true, nil}},

		{"held keeps its value", with(wattMeter(Held), func(m *Meter) { m.Period = s }), every(0, 9000, 1000, func(ms int64) int64 { return ms / 1000 }), 1500, 3500,
			want{.5*1 + 1*2 + .5*3, 2 * Watt, 2 * s, 1, 0, 2, true, nil}},
		{"held: three periods are no gap", with(wattMeter(Held), func(m *Meter) { m.Period = 5 * s }), readings(point{0, 5}, point{15_000, 6}, point{20_000, 5}), 0, 20_000,
			want{105, 5250 * Milliwatt, 20 * s, 1, 0, 2, true, nil}},

		// 700 W from 10 s on, as a sensor with a trailing 1 s window tells it. Interval in the load: 700 W is the truth.
		{"mean: nothing of what came before leaks in", with(wattMeter(Mean), func(m *Meter) { m.Averaging = s }),
			every(0, 32_000, 100, func(ms int64) int64 { return 100 + 600*min(max(ms-10_000, 0), 1000)/1000 }), 10_000, 30_000,
			want{18 * 700, 700 * Watt, 18 * s, 1, 0, 180, true, []Code{Stuck}}},
		// A power that rises by 100 W/s: what the window says is what was half a window before.
		{"mean: shifted by half its window and the delay", with(wattMeter(Mean), func(m *Meter) { m.Averaging, m.Delay = s, 200*ms }),
			every(1000, 22_000, 10, func(ms int64) int64 { return (ms - 700) / 10 }), 4000, 20_000,
			want{14 * 1200, 1200 * Watt, 14 * s, 1, 0, 1400, true, nil}},
		{"mean: too short", with(wattMeter(Mean), func(m *Meter) { m.Averaging = s }), every(0, 9000, 100, constant(5)), 1000, 3000,
			want{Codes: []Code{EdgeUncovered}}},

		{"beyond what can be drawn", with(instant, func(m *Meter) { m.Limit = 100 * Watt }), readings(point{0, 10}, point{200, 4_991_201_436_214_789_335}, point{400, -3}, point{450, 10}), 0, 450,
			want{4.5, 10 * Watt, 450 * ms, 1, 0, 1, true, []Code{Implausible}}},
		{"no scale", with(instant, func(m *Meter) { m.Scale = Scale{} }), ramp(0), 0, 1000, want{Codes: []Code{BadMeter}}},
		{"no quantity", with(instant, func(m *Meter) { m.Quantity = 0 }), ramp(0), 0, 1000, want{Codes: []Code{BadMeter}}},
		{"simulated, accuracy unknown", with(instant, func(m *Meter) { m.Simulated, m.Accuracy = true, -1 }), ramp(0), 100, 900,
			want{24, 30 * Watt, 800 * ms, 1, 0, 4, true, []Code{SimulatedCode, AccuracyFree}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := Between(tt.meter, tt.samples, after(tt.from), after(tt.to))
			got := want{u.Energy.Joules(), u.Mean.rounded(Milliwatt), u.Measured, u.Coverage, u.LongestGap, u.Fresh, u.Valid, codes(u)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Between (-want +got):\n%s\n%v", diff, u.Warnings)
			}
		})
	}
}

func (p Power) rounded(to Power) Power { return (p + to/2) / to * to }

// Ten watts are ten joules in a second, to the microjoule, however the edges fall.
func TestConstantIsExact(t *testing.T) {
	samples := every(-1000, 5000, 37, constant(10))
	counts := every(-1000, 5000, 37, func(ms int64) int64 { return 500_000 + 10*ms })
	for from := int64(0); from < 2000; from += 13 {
		for _, q := range []Quantity{Instant, Held} {
			if got := Between(wattMeter(q), samples, after(from), after(from+1000)); got.Energy != 10*Joule || !got.Valid {
				t.Fatalf("%v from %d ms: %d µJ, valid %v", q, from, got.Energy, got.Valid)
			}
		}
		if got := Between(jouleMeter(), counts, after(from), after(from+1000)); got.Energy != 10*Joule || !got.Valid {
			t.Fatalf("counter from %d ms: %d µJ, valid %v, %v", from, got.Energy, got.Valid, got.Warnings)
		}
	}
}

// A day at 50 kW in µW does not fit the sums, and comes out to the joule all the same.
func TestSumsBeyond64Bits(t *testing.T) {
	m := wattMeter(Instant)
	m.Scale, m.Scope, m.Period = Scale{1, 1}, Rack, 10*s
	day := int64(24 * 3600 * 1000)
	samples := every(0, day, 10_000, func(ms int64) int64 { return 50_000_000_000 + ms%20_000*1000 })
	u := Between(m, samples, after(0), after(day))
	if got, want := u.Energy, 50_005*Watt.Over(24*time.Hour); got != want || !u.Valid {
		t.Errorf("a day: %d µJ, want %d; valid %v %v", got, want, u.Valid, u.Warnings)
	}
}
