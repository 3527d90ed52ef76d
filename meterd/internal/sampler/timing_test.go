package sampler_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/simulated"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

func now() clock.Stamp { return clock.At(time.Now()) }

func TestMeasurePeriodFindsTheRefresh(t *testing.T) {
	for _, refresh := range []time.Duration{7 * time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			src, err := simulated.OpenLocal(simulated.Config{
				Devices: 2, Period: refresh, Seed: 3,
				Wave: simulated.Sine(400*power.Watt, 300*power.Watt, 1700*time.Millisecond),
			}, now)
			if err != nil {
				t.Fatal(err)
			}
			seen, err := sampler.MeasurePeriod(t.Context(), src, time.Millisecond, 5*time.Second)
			got := seen.Meters
			if err != nil || len(got) != 4 {
				t.Fatal(got, err)
			}
			for _, m := range got {
				if off := math.Abs(float64(m.Period-refresh)) / float64(refresh); off > 0.02 {
					t.Errorf("%s: period %v, want %v", m.Meter.ID, m.Period, refresh)
				}
				if want := float64(time.Millisecond) / float64(refresh); math.Abs(m.FreshShare()-want) > want/10 || m.Bound {
					t.Errorf("%s: fresh share %v, want %v; bound %v", m.Meter.ID, m.FreshShare(), want, m.Bound)
				}
			}
		})
	}
}

// A load that is idle half of the time hides half of the refreshes of a power reading.
func TestMeasurePeriodWithHiddenRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, began := int64(0), time.Now()
		src := &script{read: func() power.Sample {
			tick := int64(time.Since(began) / (50 * time.Millisecond))
			if tick%4 < 2 { // two refreshes with a change, two without
				n = tick
			}
			return power.Sample{Raw: n}
		}}
		seen, err := sampler.MeasurePeriod(t.Context(), src, time.Millisecond, 10*time.Second)
		got := seen.Meters
		if err != nil {
			t.Fatal(err)
		}
		if p := got[0].Period; p < 49*time.Millisecond || p > 51*time.Millisecond {
			t.Errorf("period %v, want 50ms", p)
		}
	})
}

func TestMeasurePeriodSaysWhatItCannotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := int64(0)
		for name, c := range map[string]struct {
			read          func() power.Sample
			period, bound bool
		}{
			"constant":     {func() power.Sample { return power.Sample{Raw: 5} }, false, false},
			"always fresh": {func() power.Sample { n++; return power.Sample{Raw: n} }, true, true},
			"denied":       {func() power.Sample { return power.Sample{Status: power.Denied} }, false, false},
			"flapping": {func() power.Sample {
				if n++; n%2 == 0 {
					return power.Sample{Status: power.Failed}
				}
				return power.Sample{Raw: n}
			}, false, false},
		} {
			seen, err := sampler.MeasurePeriod(t.Context(), &script{read: c.read}, time.Millisecond, time.Second)
			got := seen.Meters
			if err != nil || len(got) != 1 {
				t.Fatal(got, err)
			}
			if m := got[0]; (m.Period != 0) != c.period || m.Bound != c.bound || m.Samples < 900 {
				t.Errorf("%s: %+v", name, m)
			}
		}
	})
}

func TestMeasurePeriodIsDecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := &script{takes: 30 * time.Millisecond, read: func() power.Sample { return power.Sample{} }}
		seen, err := sampler.MeasurePeriod(t.Context(), src, time.Millisecond, 3*time.Second)
		got := seen.Meters
		if err != nil {
			t.Fatal(err)
		}
		if m := got[0]; m.Samples > 51 || m.P50 != 30*time.Millisecond || m.P99 != 30*time.Millisecond {
			t.Errorf("%d reads of 30 ms in 3 s, cost %v to %v: want at most half of the time", m.Samples, m.P50, m.P99)
		}
	})
	broken := errors.New("bus error")
	if _, err := sampler.MeasurePeriod(t.Context(), &script{err: broken}, time.Millisecond, time.Second); !errors.Is(err, broken) {
		t.Errorf("got %v, want the source's error", err)
	}
}

// script is a source with one meter that says what the test wants.
type script struct {
	takes time.Duration
	read  func() power.Sample
	err   error
}

var one = []power.Meter{{ID: "script/1"}}

func (s *script) Meters() []power.Meter { return one }
func (s *script) Close() error          { return nil }

func (s *script) Read(_ context.Context, dst []power.Sample) ([]power.Sample, error) {
	if s.err != nil {
		return dst, s.err
	}
	before := now()
	time.Sleep(s.takes)
	x := s.read()
	x.Time, x.Within = sampler.Stamp(before, now())
	return append(dst, x), nil
}
