package power

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestUncertainty(t *testing.T) {
	with := func(m Meter, change func(*Meter)) Meter { change(&m); return m }
	near := cmpopts.EquateApprox(1e-3, 0)
	tests := []struct {
		name    string
		meter   Meter
		samples []Sample
		want    Uncertainty // over 10 s from 1 s on
	}{
		// 500 W for 10 s are 5000 J. One count is 1 mJ; each edge lies within 100 ms, so 50 J / √12, twice.
		{"counter", with(jouleMeter(), func(m *Meter) { m.Accuracy = 0.05 }),
			every(0, 13_000, 20, func(ms int64) int64 { return 500 * (ms / 100 * 100) }),
			Uncertainty{Gain: 0.025, Quantisation: 1e-3 / math.Sqrt(6) / 5000, Edges: 50 / math.Sqrt(6) / 5000}},
		{"counter of unknown accuracy", with(jouleMeter(), func(m *Meter) { m.Accuracy = -1 }),
			every(0, 13_000, 20, func(ms int64) int64 { return 500 * (ms / 100 * 100) }),
			Uncertainty{Gain: 0.025, Quantisation: 1e-3 / math.Sqrt(6) / 5000, Edges: 50 / math.Sqrt(6) / 5000}},
		// Two edges known to the 20 ms between reads, at 500 W each; a count of 1 W.
		{"instant, sees all", with(wattMeter(Instant), func(m *Meter) { m.Period, m.Averaging = 100*ms, 100*ms }),
			every(0, 13_000, 20, func(ms int64) int64 { return 500 + ms/100%2 }),
			Uncertainty{Quantisation: 1 / math.Sqrt(12) / 500.5, Edges: 0.02 / math.Sqrt(6) / 10}},
		// 400 and 600 W in turn: σ = 100 W and neighbours are opposite, N_eff = N/2 = 51; a quarter is seen.
		{"instant, part-time", with(wattMeter(Instant), func(m *Meter) { m.Period, m.Averaging = 100*ms, 25*ms }),
			every(0, 13_000, 100, func(ms int64) int64 { return 400 + 200*(ms/100%2) }),
			Uncertainty{Quantisation: 1 / math.Sqrt(12) / 500, Sampling: 100 / math.Sqrt(51) * math.Sqrt(.75) / 500, Edges: 400. / 500 * .1 / math.Sqrt(6) / 10}},
		// Refreshed each second at an unknown moment.
		{"held", with(wattMeter(Held), func(m *Meter) { m.Period = s }), every(0, 13_000, 100, constant(500)),
			Uncertainty{Quantisation: 1 / math.Sqrt(12) / 500, Edges: 1 / math.Sqrt(6) / 10}},
		{"nothing drawn", wattMeter(Held), every(0, 13_000, 100, constant(0)), Uncertainty{Quantisation: 1}},
		// 80 ms of 10 s are missing; the device drew between 0 and its limit of 1500 W, and is taken to have drawn 500 W.
		{"read slowly", with(wattMeter(Instant), func(m *Meter) { m.Averaging, m.Period = s, s }),
			func() []Sample {
				x := every(0, 13_000, 100, constant(500))
				for i := range x {
					x[i].Within = 30 * ms
				}
				return x
			}(), Uncertainty{Quantisation: 1 / math.Sqrt(12) / 500, Edges: math.Hypot(.1, .06) / math.Sqrt(6) / 10}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := Between(tt.meter, tt.samples, after(1000), after(11_000))
			if diff := cmp.Diff(tt.want, u.Uncertainty, near); diff != "" {
				t.Errorf("uncertainty (-want +got):\n%s", diff)
			}
			if !u.Valid {
				t.Errorf("not valid: %v", u.Warnings)
			}
		})
	}
}

func TestGapUncertainty(t *testing.T) {
	m := wattMeter(Instant)
	m.Limit, m.Averaging, m.Period = 1500*Watt, 100*ms, 100*ms
	u := Between(m, append(every(0, 50_000, 100, constant(500)), every(50_800, 101_000, 100, constant(500))...), after(0), after(100_000))
	// 0.8 s of 100 s: between 0 and 1500 W, taken to be 500 W.
	if got, want := u.Uncertainty.Gaps, 0.8*1000/math.Sqrt(3)/(500*99.2); math.Abs(got-want) > 1e-6 || !u.Valid {
		t.Errorf("gaps %v, want %v; valid %v", got, want, u.Valid)
	}
	counter := Between(jouleMeter(), append(every(0, 50_000, 100, constant(500)), every(50_800, 101_000, 100, constant(500))...), after(0), after(100_000))
	if counter.Valid {
		t.Error("a counter that does not move is valid")
	}
}

// The sampling term must tell the truth: a part-time sensor's error, over many windows, is as large as it says.
func TestSamplingTermIsHonest(t *testing.T) {
	m := wattMeter(Instant)
	m.Scale, m.Period, m.Averaging = Scale{1000, 1}, 100*ms, 25*ms
	for _, hold := range []int64{25, 100, 400} { // how long the load stays at one power, in ms
		var squares, stated float64
		const trials = 400
		for trial := range uint64(trials) {
			r := rand.New(rand.NewPCG(trial, uint64(hold)))
			power := make([]float64, 11_000/25) // per 25 ms
			for i, p := 0, 0.0; i < len(power); i++ {
				if int64(i)*25%hold == 0 {
					p = 300 + 400*r.Float64()
				}
				power[i] = p
			}
			phase := r.Int64N(4)
			var ps []point
			for i := phase; i < int64(len(power)); i += 4 {
				ps = append(ps, point{i*25 + 12, int64(1000 * power[i])})
			}
			u := Between(m, readings(ps...), after(500), after(10_500))
			var truth float64
			for _, p := range power[500/25 : 10_500/25] {
				truth += p / 400
			}
			off := u.Mean.Watts()/truth - 1
			squares += off * off
			stated += u.Uncertainty.Sampling
		}
		real, said := math.Sqrt(squares/trials), stated/trials
		t.Logf("load constant for %d ms: error %.3f %%, stated %.3f %% (k = 1)", hold, 100*real, 100*said)
		if said < real*0.85 {
			t.Errorf("load constant for %d ms: error %.3f %%, stated only %.3f %%", hold, 100*real, 100*said)
		}
	}
}

func TestClockTerm(t *testing.T) {
	x := NewSeries(wattMeter(Instant), every(0, 11_000, 100, func(ms int64) int64 { return 100 + 600*min(1, ms/5000) }))
	// The window ends 600 W above where it begins: 10 ms are 6 J of some 4000 J.
	e := x.Between(after(1000), after(10_000)).Energy.Joules()
	if got, want := x.ClockTerm(after(1000), after(10_000), 10*time.Millisecond), 6/e; math.Abs(got-want) > 1e-9 {
		t.Errorf("clock term %v, want %v", got, want)
	}
	if got := x.ClockTerm(after(1000), after(4000), time.Second); got != 0 {
		t.Errorf("clock term %v under a constant load, want 0", got)
	}
	if got := x.ClockTerm(after(4000), after(1000), time.Second); got != 0 {
		t.Errorf("clock term %v of no interval, want 0", got)
	}
}

func TestSum(t *testing.T) {
	use := func(model string, p Power, u Uncertainty, coverage float64) Use {
		return Use{Meter: Meter{Model: model}, Begin: epoch, End: epoch.Add(10 * s), Measured: 10 * s, Mean: p, Energy: p.Over(10 * s), Coverage: coverage, Uncertainty: u}
	}
	same := Uncertainty{Gain: 0.03, Edges: 0.04, Clock: 0.01}
	tests := []struct {
		name string
		uses []Use
		mean Power
		u    Uncertainty
		cov  float64
	}{
		{"none", nil, 0, Uncertainty{}, 0},
		{"one", []Use{use("a", 100*Watt, same, .995)}, 100 * Watt, same, .995},
		{"four of a model", []Use{use("a", 100*Watt, same, 1), use("a", 100*Watt, same, .99), use("a", 100*Watt, same, 1), use("a", 100*Watt, same, 1)},
			400 * Watt, Uncertainty{Gain: 0.03, Edges: 0.02, Clock: 0.01}, .99},
		{"four models", []Use{use("a", 100*Watt, same, 1), use("b", 100*Watt, same, 1), use("c", 100*Watt, same, 1), use("d", 100*Watt, same, 1)},
			400 * Watt, Uncertainty{Gain: 0.015, Edges: 0.02, Clock: 0.01}, 1},
		{"weighted by power", []Use{use("a", 300*Watt, Uncertainty{Gain: 0.04}, 1), use("b", 100*Watt, Uncertainty{Sampling: 0.04}, 1)},
			400 * Watt, Uncertainty{Gain: 0.03, Sampling: 0.01}, 1},
		{"nothing drawn", []Use{use("a", 0, same, 1)}, 0, Uncertainty{}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			mean, energy, u, coverage := Sum(tt.uses)
			if mean != tt.mean || energy != tt.mean.Over(10*s) || coverage != tt.cov {
				t.Errorf("sum %v, %v, coverage %v, want %v, %v, %v", mean, energy, coverage, tt.mean, tt.mean.Over(10*s), tt.cov)
			}
			if diff := cmp.Diff(tt.u, u, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
				t.Errorf("uncertainty (-want +got):\n%s", diff)
			}
		})
	}
	part := use("a", 100*Watt, same, 1)
	part.Energy, part.Measured = 800*Joule, 8*s
	if got := part.Whole(); got != 1000*Joule {
		t.Errorf("8 of 10 s took 800 J, all of it %v, want 1000 J", got)
	}
}

func TestCheckCounter(t *testing.T) {
	use := func(p Power, valid bool) Use { return Use{Mean: p, Valid: valid} }
	tests := []struct {
		name           string
		counter, power Use
		ratio          float64
		warn, invalid  bool
	}{
		{"equal", use(100*Watt, true), use(100*Watt, true), 1, false, false},
		{"2 % is well", use(100*Watt, true), use(98*Watt, true), .98, false, false},
		{"above 2 % is doubtful", use(100*Watt, true), use(103*Watt, true), 1.03, true, false},
		{"above 5 % is not believed", use(100*Watt, true), use(94*Watt, true), .94, true, true},
		{"counter stands still", use(0, true), use(94*Watt, true), 0, true, true},
		{"both at nothing", use(0, true), use(0, true), 0, false, false},
		{"nothing to compare", use(100*Watt, true), use(50*Watt, false), 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ratio, w, invalid := CheckCounter(tt.counter, tt.power)
			if math.Abs(ratio-tt.ratio) > 1e-9 || (w != nil) != tt.warn || invalid != tt.invalid {
				t.Errorf("= %v, %v, %v, want %v, %v, %v", ratio, w, invalid, tt.ratio, tt.warn, tt.invalid)
			}
			if w != nil && w.Code != CrossCheck {
				t.Errorf("code %q", w.Code)
			}
		})
	}
}
