package power

import (
	"math"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// A meter that reads 5 % too little says, calibrated, the true power and energy, and keeps its declaration.
func TestGainIsDividedOut(t *testing.T) {
	const begin = clock.Stamp(1_790_000_000_000_000_000)
	for _, c := range []struct {
		name string
		m    Meter
		raw  func(i int64) int64 // every 100 ms
	}{
		{"instant", Meter{Quantity: Instant, Scale: Scale{1000, 1}, Period: 100 * time.Millisecond, PeriodFrom: Measured},
			func(i int64) int64 { return 380_000 + i%2 }},
		{"counter", Meter{Quantity: Counter, Scale: Scale{1000, 1}, Period: 100 * time.Millisecond, PeriodFrom: Measured},
			func(i int64) int64 { return 5000 + 38_000*i }},
	} {
		c.m.ID, c.m.Scope, c.m.Accuracy, c.m.GainPPM = "m", Accelerator, 0.01, 950_000
		var samples []Sample
		for i := range int64(200) {
			samples = append(samples, Sample{Time: begin.Add(time.Duration(i) * 100 * time.Millisecond), Raw: c.raw(i)})
		}
		u := Between(c.m, samples, begin.Add(5*time.Second), begin.Add(15*time.Second))
		if !u.Valid || math.Abs(u.Mean.Watts()-400) > 0.01 || math.Abs(u.Energy.Joules()-4000) > 0.1 {
			t.Errorf("%s: got %v, %v, valid %v; want 400 W, 4 kJ", c.name, u.Mean, u.Energy, u.Valid)
		}
		if u.Meter != c.m {
			t.Errorf("%s: the use carries %+v, want the meter as declared", c.name, u.Meter)
		}
		if got, want := u.Uncertainty.Gain, 0.005; got != want {
			t.Errorf("%s: gain term %v, want %v", c.name, got, want)
		}
	}
}

func TestCorrectedScale(t *testing.T) {
	for _, c := range []struct {
		scale Scale
		gain  int64
	}{
		{Scale{1000, 1}, 950_000}, {Scale{15625, 1024}, 1_000_001}, {Scale{3_600_000_000_000, 1}, 999_999}, {Scale{1, 1}, leastGain},
		{Scale{math.MaxInt64, 7_000_000}, 1_234_567}, {Scale{1_000_000, mostDen}, 1_499_999}, {Scale{3_600_000_000, 1}, 1_000_000},
	} {
		m := Meter{Scale: c.scale, GainPPM: c.gain}.corrected()
		got := float64(m.Scale.Num) / float64(m.Scale.Den)
		want := float64(c.scale.Num) / float64(c.scale.Den) / (float64(c.gain) / 1e6)
		if math.Abs(got/want-1) > 1e-6 || m.Scale.Den > mostDen || m.GainPPM != 0 {
			t.Errorf("%v at %d ppm: got %v = %v, want %v", c.scale, c.gain, m.Scale, got, want)
		}
	}
}

func TestGainThatCannotBe(t *testing.T) {
	for _, gain := range []int64{-1, 1, leastGain - 1, mostGain + 1} {
		m := Meter{Quantity: Instant, Scale: Scale{1, 1}, GainPPM: gain}
		if u := Between(m, nil, 1, 2); u.Valid || len(u.Warnings) == 0 || u.Warnings[0].Code != BadMeter {
			t.Errorf("%d ppm: got %+v, want %s", gain, u, BadMeter)
		}
	}
}
