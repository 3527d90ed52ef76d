package sampler

import "time"

// Buckets is a histogram of durations with few, fixed bounds, as a scrape takes it.
type Buckets struct {
	Count uint64
	Sum   time.Duration
	Below [len(bounds)]uint64 // how many took less than Bound(i); cumulative
}

// bounds are powers of two, since there the fine histogram has an edge: 4 µs, 16 µs, ... 17 s.
var bounds = [...]time.Duration{1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28, 1 << 30, 1 << 32, 1 << 34}

// Bound returns the upper end of bucket i.
func (Buckets) Bound(i int) time.Duration { return bounds[i] }

// Latencies returns how long reads took, and how long after its tick each began, since the sampler started; safe to call
// at any time from any goroutine.
func (s *Sampler) Latencies() (read, late Buckets) {
	return s.stats.read.buckets(), s.stats.late.buckets()
}

// buckets may run beside add: it then is a picture of some moment during the call, whole in itself.
func (h *histogram) buckets() (b Buckets) {
	b.Sum = time.Duration(h.sum.Load())
	at := 0
	for i, bound := range bounds {
		for ; at < len(h.counts) && top(at) < uint64(bound); at++ {
			b.Count += h.counts[at].Load()
		}
		b.Below[i] = b.Count
	}
	for ; at < len(h.counts); at++ {
		b.Count += h.counts[at].Load()
	}
	return b
}
