package sampler

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Every duration is in the bucket that its size says, and in all above it.
func TestBuckets(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	var sum time.Duration
	var want [len(bounds)]uint64
	add := func(d time.Duration) {
		h.add(d)
		sum += d
		for i, b := range bounds {
			if d < b {
				want[i]++
			}
		}
	}
	for _, b := range bounds {
		for _, d := range []time.Duration{b - 1, b, b + 1} {
			add(d)
		}
	}
	for range 10_000 {
		add(time.Duration(1) << rng.UintN(35) * time.Duration(rng.UintN(9)+1) / 3)
	}
	got := h.buckets()
	if got.Below != want || got.Sum != sum || got.Count != 10_000+3*uint64(len(bounds)) {
		t.Errorf("got %+v, want %v of %d, sum %v", got, want, 10_000+3*len(bounds), sum)
	}
}
