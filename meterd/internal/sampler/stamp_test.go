package sampler

import (
	"math/rand/v2"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// The claim of a sample is that the reading happened inside Time ± Within: that must hold for every pair of stamps, and
// must cost less than 2 µs of width.
func TestStampCoversTheRead(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		before := clock.Stamp(1_700_000_000_000_000_000 + r.Int64N(1e12))
		after := before.Add(time.Duration(r.Int64N(int64(1) << (1 + r.Int64N(30)))))
		at, within := Stamp(before, after)
		if at%1000 != 0 || within%time.Microsecond != 0 {
			t.Fatalf("Stamp(%d, %d) = %d ± %d: not whole microseconds", before, after, at, within)
		}
		if at.Add(-within) > before || at.Add(within) < after {
			t.Fatalf("Stamp(%d, %d) = %d ± %d does not cover the read", before, after, at, within)
		}
		if wide := within - after.Sub(before)/2; wide >= 2*time.Microsecond {
			t.Fatalf("Stamp(%d, %d) = %d ± %d is %v wider than the read", before, after, at, within, wide)
		}
	}
}

func TestStampOfClockThatStoodStill(t *testing.T) {
	at, within := Stamp(5000, 5000)
	if at != 5000 || within != 0 {
		t.Errorf("got %d ± %d, want 5000 ± 0", at, within)
	}
}
