package sampler

import (
	"slices"
	"time"
)

// backoff slows a source down while its reads take much longer than they used to: whoever waits behind the same lock, the
// workload first of all, then waits less for us. It is arithmetic: the reader tells it how long reads took.
//
// Reads are judged in windows of windowReads. The best P99 of any window so far is the baseline. Two windows in a row whose P99 is
// above grown times the baseline, and above 1/leastShare of the interval, double the stretch: one alone may be a moment in which we
// were not given a processor. Three windows in a row below calmer times the baseline halve it. The stretched interval stays within max(2 intervals, 400 ms), so that slowing down makes no gap (METHOD 6).
type backoff struct {
	interval time.Duration
	took     [windowReads]time.Duration
	n        int           // of took
	baseline time.Duration // 0: no window yet
	slow     int           // slow windows in a row
	calm     int           // calm windows in a row
	stretch  int           // the interval is interval times this; 0 and 1: as configured
	p99      time.Duration // of the last window
}

const (
	windowReads = 200
	grown       = 4
	slowWindows = 2
	calmer      = 2
	calmWindows = 3
	leastShare  = 50 // 1/50 of the interval
	mostStretch = 400 * time.Millisecond
)

// add takes in one read and reports whether the stretch changed.
func (b *backoff) add(took time.Duration) bool {
	b.took[b.n] = took
	if b.n++; b.n < windowReads {
		return false
	}
	b.n = 0
	slices.Sort(b.took[:])
	b.p99 = rank(b.took[:], 0.99)
	return b.judge()
}

func (b *backoff) judge() bool {
	before := b.factor()
	switch slow := b.baseline > 0 && b.p99 > grown*b.baseline && b.p99 > b.interval/leastShare; {
	case slow:
		b.calm = 0
		if b.slow++; b.slow < slowWindows {
			break
		}
		b.slow = 0
		if wider := 2 * before; time.Duration(wider)*b.interval <= max(2*b.interval, mostStretch) {
			b.stretch = wider
		}
	case before > 1 && b.p99 <= max(calmer*b.baseline, b.interval/leastShare):
		b.slow = 0
		if b.calm++; b.calm >= calmWindows {
			b.calm, b.stretch = 0, before/2
		}
	default:
		b.slow, b.calm = 0, 0
	}
	if b.baseline == 0 || b.p99 < b.baseline {
		b.baseline = b.p99
	}
	return b.factor() != before
}

func (b *backoff) factor() int { return max(b.stretch, 1) }

// now returns the interval to keep.
func (b *backoff) now() time.Duration { return time.Duration(b.factor()) * b.interval }
