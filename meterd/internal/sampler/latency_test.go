package sampler

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramSlotsHoldTheirValues(t *testing.T) {
	for v := uint64(0); v < 1<<16; v++ {
		checkSlot(t, v)
	}
	for shift := range 39 {
		for _, v := range []uint64{1<<shift - 1, 1 << shift, 1<<shift + 1} {
			checkSlot(t, v)
		}
	}
}

func checkSlot(t *testing.T, v uint64) {
	t.Helper()
	i := slot(v)
	if top(i) < v || i > 0 && top(i-1) >= v {
		t.Fatalf("value %d is in slot %d, which holds (%d, %d]", v, i, top(max(i-1, 0)), top(i))
	}
	if top(i)-v > v/32 {
		t.Fatalf("value %d reads as %d, more than 1/32 above", v, top(i))
	}
}

func TestHistogramQuantilesBoundTheOrderStatistics(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, n := range []int{1, 2, 99, 100, 101, 5000} {
		var h histogram
		values := make([]time.Duration, n)
		var sum time.Duration
		for i := range values {
			values[i] = time.Duration(r.ExpFloat64() * 50_000)
			sum += values[i]
			h.add(values[i])
		}
		slices.Sort(values)
		got := h.summary()
		for _, q := range []struct {
			percent int
			got     time.Duration
		}{{50, got.P50}, {99, got.P99}} {
			want := values[(n*q.percent+99)/100-1]
			if q.got < want || q.got > want+want/32 {
				t.Errorf("n=%d: P%d = %v, want %v to 1/32 above", n, q.percent, q.got, want)
			}
		}
		if got.Max != values[n-1] || got.Mean != sum/time.Duration(n) || got.Count != uint64(n) {
			t.Errorf("n=%d: got %+v, want max %v, mean %v", n, got, values[n-1], sum/time.Duration(n))
		}
	}
	if got := new(histogram).summary(); got != (Latency{}) {
		t.Errorf("an empty histogram gave %+v", got)
	}
}

func TestHistogramByPowersOfTwo(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, 1, 2, 3, 1000, 1023, 1024, 1_000_000} {
		h.add(d)
	}
	if got, want := h.String(), "1ns:1 2ns:1 4ns:2 1.024µs:2 2.048µs:1 1.048576ms:1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHistogramHoldsAnyDuration(t *testing.T) {
	var h histogram
	h.add(-time.Second)
	h.add(1<<63 - 1)
	if got := h.summary(); got.Count != 2 || got.Max != 1<<63-1 {
		t.Errorf("got %+v", got)
	}
}
