//go:build linux && cgo

package nvml

import (
	"math"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The energy that comes out of the whole path is the energy that the stub's GPU spent: from the counter within the stated
// uncertainty, from the instant power, of which the sensor sees a quarter of the time, within 2 %. The sensor's gain
// is left out of the uncertainty, since the stub has no gain error to cover.
func TestEnergyIsTheStubsEnergy(t *testing.T) {
	tests := []struct {
		name, wave string
		capability string
		window     string // of the instant power, ms
		joules     func(t float64) float64
		instant    bool // the instant power sees this load well enough
	}{
		{"constant", "constant 400", "9.0", "25", constant(400), true},
		{"slow square", "square 120 680 0.73", "9.0", "25", square(120, 680, 0.73), true},
		{"slow square, A100", "square 120 380 0.73", "8.0", "25", square(120, 380, 0.73), true},
		{"slow square, whole window", "square 120 440 0.73", "8.6", "100", square(120, 440, 0.73), true},
		// 50 ms high, 50 ms low, refreshed every 100 ms: a quarter of the time is always the same quarter. The counter
		// does not mind; this is why it comes first.
		{"square in step with the sensor", "square 100 700 0.05", "9.0", "25", square(100, 700, 0.05), false},
		{"step", "step 90 600 1020", "9.0", "25", step(90, 600, 1020), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStub(t, "WAVE", test.wave, "CAPABILITY", test.capability, "WINDOW_MS", test.window)
			samples := s.record(73*time.Millisecond, 64*time.Second) // not in step with the refresh
			begin, end := clock.Stamp(epoch+1234*time.Millisecond), clock.Stamp(epoch+61789*time.Millisecond)
			want := test.joules(time.Duration(end).Seconds()) - test.joules(time.Duration(begin).Seconds())
			for _, k := range []kind{energy, instant} {
				if k == instant && !test.instant {
					continue
				}
				i := s.meter(k)
				use := power.Between(s.Meters()[i], of(samples, i), begin, end)
				if !use.Valid {
					t.Errorf("%s: not valid: %v", k, use.Warnings)
				}
				bound := 0.02
				if k == energy {
					u := use.Uncertainty
					u.Gain = 0
					bound = u.Expanded()
				}
				off := use.Energy.Joules()/want - 1
				t.Logf("%s: %.1f J of %.1f J, %+.3f %%, bound %.3f %%", k, use.Energy.Joules(), want, 100*off, 100*bound)
				if math.Abs(off) > bound || bound > 0.02 {
					t.Errorf("%s: %.1f J, want %.1f J: off by %.3f %%, more than %.3f %%", k, use.Energy.Joules(), want, 100*off, 100*bound)
				}
			}
		})
	}
}

// A counter that starts again in the middle of a window costs the stretch around the reset, never a wrong number.
func TestCounterReset(t *testing.T) {
	s := openStub(t, "WAVE", "constant 400")
	samples := s.record(100*time.Millisecond, 30*time.Second)
	s.control("reset 0 1030\n")
	samples = append(samples, s.record(100*time.Millisecond, 30*time.Second)...)
	use := power.Between(s.Meters()[0], of(samples, 0), clock.Stamp(epoch+time.Second), clock.Stamp(epoch+59*time.Second))
	if got := use.Mean.Watts(); math.Abs(got-400) > 1 {
		t.Errorf("mean %v W over a reset, want 400", got)
	}
	found := false
	for _, w := range use.Warnings {
		found = found || w.Code == power.Reset
	}
	if !found {
		t.Errorf("warnings %v, want %s", use.Warnings, power.Reset)
	}
}

// The loads, as energy since time zero in joules at t seconds; written apart from the stub's.

func constant(watts float64) func(float64) float64 {
	return func(t float64) float64 { return watts * t }
}

func square(low, high, half float64) func(float64) float64 {
	return func(t float64) float64 {
		whole, part := math.Modf(t / (2 * half))
		return (whole*half+min(part*2*half, half))*low + (whole*half+max(part*2*half-half, 0))*high
	}
}

func step(low, high, at float64) func(float64) float64 {
	return func(t float64) float64 { return low*min(t, at) + high*max(t-at, 0) }
}

// of returns the samples of one meter.
func of(samples []power.Sample, meter int) (out []power.Sample) {
	for _, s := range samples {
		if s.Meter == meter {
			out = append(out, s)
		}
	}
	return out
}
