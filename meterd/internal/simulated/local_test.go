package simulated

import (
	"math"
	"slices"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// hand is a clock that the test moves; every look at it costs a microsecond, as a real one does.
type hand struct{ at clock.Stamp }

func newHand() *hand { return &hand{1_700_000_000_000_000_000} }

func (h *hand) now() clock.Stamp {
	h.at = h.at.Add(time.Microsecond)
	return h.at
}

func openLocal(t *testing.T, c Config, now func() clock.Stamp) *Local {
	t.Helper()
	s, err := OpenLocal(c, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLocalConformance(t *testing.T) {
	for name, c := range map[string]Config{
		"counter and instant": {Devices: 3, Wave: waves["square"], Period: 100 * time.Millisecond},
		"boxcar":              {Devices: 1, Wave: waves["sine"], Period: 100 * time.Millisecond, Averaging: time.Second, Gain: -0.05},
		"always fresh":        {Devices: 2, Wave: waves["constant"]},
	} {
		t.Run(name, func(t *testing.T) {
			var h *hand
			sourcetest.Run(t, sourcetest.Case{
				Open:    func(t *testing.T) sampler.Source { h = newHand(); return openLocal(t, c, h.now) },
				Now:     func() clock.Stamp { return h.at },
				Advance: func(_ *testing.T, d time.Duration) { h.at = h.at.Add(d) },
			})
		})
	}
}

// What METHOD 6 makes of the samples must be the true mean power: for the counter and for the power reading, for every
// waveform, sensor and gain, the error is the gain that was put in, give or take three standard uncertainties of the rest.
func TestBetweenFindsTheTruePower(t *testing.T) {
	for name, w := range waves {
		if name == "square" || name == "no cycle" {
			continue // a cycle close to the period aliases: a reading cannot know, see reference/power.md 6
		}
		for _, c := range []Config{
			{Period: 100 * time.Millisecond},
			{Period: 20 * time.Millisecond, Averaging: 100 * time.Millisecond},
			{Period: 100 * time.Millisecond, Gain: 0.04, Seed: 9},
		} {
			h := newHand()
			c.Devices, c.Wave = 2, w
			s := openLocal(t, c, h.now)
			samples := map[int][]power.Sample{}
			for range 3000 { // 60 s
				got, err := s.Read(t.Context(), nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range got {
					samples[x.Meter] = append(samples[x.Meter], x)
				}
				h.at = h.at.Add(20 * time.Millisecond)
			}
			begin, end := s.start.Add(10*time.Second+7*time.Millisecond), s.start.Add(50*time.Second+3*time.Millisecond)
			truth := s.Energy(begin, end)
			for i, m := range s.Meters() {
				u := power.Between(m, samples[i], begin, end)
				if !u.Valid {
					t.Fatalf("%s %+v: %s is not valid: %v", name, c, m.ID, u.Warnings)
				}
				off := u.Mean.Watts()/truth.Over(end.Sub(begin)).Watts() - 1
				rest := u.Uncertainty
				rest.Gain = 0
				if math.Abs(off-c.Gain) > 1.5*rest.Expanded() {
					t.Errorf("%s, period %v, averaging %v, gain %v: %s says %v, the truth is %v: %.3f %% off, stated %.3f %%",
						name, c.Period, c.Averaging, c.Gain, m.ID, u.Mean, truth.Over(end.Sub(begin)), 100*off, 100*u.Uncertainty.Expanded())
				}
				if got := u.Uncertainty.Gain; math.Abs(2*got-math.Abs(c.Gain)) > 1e-9 {
					t.Errorf("gain %v shows as an uncertainty of %v", c.Gain, got)
				}
				if !slices.ContainsFunc(u.Warnings, func(w power.Warning) bool { return w.Code == power.SimulatedCode }) {
					t.Errorf("%s: nothing says that it is simulated: %v", m.ID, u.Warnings)
				}
			}
		}
	}
}

func TestReadingsChangeOncePerPeriod(t *testing.T) {
	h := newHand()
	s := openLocal(t, Config{Devices: 4, Wave: Constant(500 * power.Watt), Period: 100 * time.Millisecond, Seed: 5}, h.now)
	last, changes := map[int]int64{}, 0
	for i := range 1000 {
		got, err := s.Read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range got {
			if v, ok := last[x.Meter]; ok && v != x.Raw {
				changes++
				if d := x.Raw - v; i > 200 && d != 50_000 { // 500 W for 100 ms is 50 J
					t.Fatalf("meter %d went up by %d mJ, want 50000", x.Meter, d)
				}
			}
			last[x.Meter] = x.Raw
		}
		h.at = h.at.Add(10 * time.Millisecond)
	}
	if changes < 4*99 || changes > 4*101 {
		t.Errorf("%d changes of 4 counters in 10 s of 100 ms periods", changes)
	}
}

func TestOpenLocalRefusesNonsense(t *testing.T) {
	for _, c := range []Config{{}, {Devices: 1025}, {Devices: 1, Period: -1}, {Devices: 1, Gain: -1}, {Devices: 1, Gain: math.NaN()}} {
		if _, err := OpenLocal(c, newHand().now); err == nil {
			t.Errorf("%+v was opened", c)
		}
	}
}
