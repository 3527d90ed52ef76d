//go:build linux && cgo

package nvml

import (
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
)

func TestConformance(t *testing.T) {
	var s *stub // the one that Open returned last
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) sampler.Source {
			var err error
			if s, err = tryStub(t, "DEVICES", "3", "WAVE", "square 120 680 0.73"); err != nil {
				t.Fatal(err)
			}
			return s
		},
		Now:     func() clock.Stamp { return s.time() },
		Advance: func(t *testing.T, d time.Duration) { s.advance(d) },
		Hide:    func(*testing.T) { s.control("unsupported 185\n") },
		Lose:    func(*testing.T) { s.control("lost 1\n") },
		Restore: func(*testing.T) { s.control("\n") },
		Reset:   func(*testing.T) { s.control("reset 2 990\n") },
		Steps:   60, // a lost GPU is looked for every 5 s
	})
}

// The real thing, where there is one.
func TestHardware(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	s, err := Open(t.Context(), Options{})
	sourcetest.RequireOrSkip(t, "nvml", err)
	defer s.Close()
	before := clock.At(time.Now())
	samples, err := s.Read(t.Context(), nil)
	if err != nil || len(samples) != len(s.Meters()) {
		t.Fatalf("read %d samples of %d meters: %v", len(samples), len(s.Meters()), err)
	}
	for i, sample := range samples {
		t.Logf("%s: %+v", s.Meters()[i].ID, sample)
		if sample.Status == 0 && (sample.Raw <= 0 || sample.Time < before) {
			t.Errorf("%s: %+v", s.Meters()[i].ID, sample)
		}
	}
}
