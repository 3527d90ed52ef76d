package sampler

import (
	"fmt"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"
)

// Latency sums up durations since the sampler started. Quantiles are upper bounds, at most 1/32 (3 %) above the true
// order statistic; Mean and Max are exact.
type Latency struct {
	Count               uint64
	Mean, P50, P99, Max time.Duration
}

// The histogram has 32 equal steps per power of two; 40 powers reach 18 minutes, longer than any read lasts.
const (
	stepBits = 5
	steps    = 1 << stepBits
	powers   = 40
)

// histogram counts durations without allocating. One goroutine adds, any may summarise.
type histogram struct {
	counts [powers * steps]atomic.Uint64
	sum    atomic.Int64
	max    atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[slot(uint64(d))].Add(1)
	h.sum.Add(int64(d))
	if int64(d) > h.max.Load() {
		h.max.Store(int64(d))
	}
}

// summary may run beside add: it then is a picture of some moment during the call, with quantiles from one set of counts.
func (h *histogram) summary() Latency {
	var counts [powers * steps]uint64
	l := Latency{Max: time.Duration(h.max.Load())}
	for i := range h.counts {
		counts[i] = h.counts[i].Load()
		l.Count += counts[i]
	}
	if l.Count == 0 {
		return Latency{}
	}
	l.Mean = time.Duration(uint64(h.sum.Load()) / l.Count)
	l.P50 = min(l.Max, quantile(&counts, l.Count, 50))
	l.P99 = min(l.Max, quantile(&counts, l.Count, 99))
	return l
}

// String writes the histogram by powers of two, e.g. "32.768µs:120 65.536µs:7": 120 reads took less than
// 32.768 µs and not less than half of it.
func (h *histogram) String() string {
	var b strings.Builder
	at := 0
	for power := 0; power <= stepBits+powers; power++ {
		var n uint64
		for ; at < len(h.counts) && top(at) < 1<<power; at++ {
			n += h.counts[at].Load()
		}
		if n > 0 {
			fmt.Fprintf(&b, " %v:%d", time.Duration(1)<<power, n)
		}
	}
	return strings.TrimPrefix(b.String(), " ")
}

// quantile returns the upper end of the slot that holds the nearest-rank percentile.
func quantile(counts *[powers * steps]uint64, n uint64, percent uint64) time.Duration {
	rank := max((n*percent+99)/100, 1)
	var seen uint64
	for i, c := range counts {
		if seen += c; seen >= rank {
			return time.Duration(top(i))
		}
	}
	return time.Duration(top(len(counts) - 1))
}

// slot returns the index of v: values below 32 have their own, above that the index is the position of the leading bit
// and the 5 bits after it.
func slot(v uint64) int {
	if v < steps {
		return int(v)
	}
	shift := bits.Len64(v) - stepBits - 1
	return min((shift+1)*steps+int(v>>shift)-steps, powers*steps-1)
}

// top returns the largest value of slot i.
func top(i int) uint64 {
	if i < steps {
		return uint64(i)
	}
	shift := i/steps - 1
	return (uint64(i%steps+steps)+1)<<shift - 1
}
