package audit

import (
	"time"

	"agentwatt/shared/clock"
)

// times holds stored times, which no seal covers, against the samples and against each other, and the samples of a source
// against those before.
type times struct {
	a      *Auditor
	last   *facts
	newest map[key]clock.Stamp
	allow  time.Duration // by how much the wall clock is known to have stepped
}

const (
	storedEarly = 2 * time.Second  // a stored time may be before the newest sample: two clocks of one host, one of which is slewed
	storedLate  = 10 * time.Minute // or after it: the bus may have been away, as long as the sampler's queue lasts
	storedBack  = time.Second      // or before that of the message before
	sampleBack  = 10 * time.Second // a device may hand over values that it kept
)

// take takes a batch of the chain, in its order.
func (t *times) take(f *facts) {
	if f.step != 0 {
		t.allow = max(t.allow, f.step, -f.step)
	}
	p := f.place
	switch {
	case f.newest != 0 && p.Stored < f.newest.Add(-storedEarly-t.allow):
		t.a.find(StoredTime, p, 1, "stored %v before its newest sample was read", f.newest.Sub(p.Stored))
	case f.newest != 0 && p.Stored > f.newest.Add(storedLate+t.allow):
		t.a.find(StoredTime, p, 1, "stored %v after its newest sample was read", p.Stored.Sub(f.newest))
	case t.last != nil && p.Stored < t.last.place.Stored.Add(-storedBack-t.allow):
		t.back(f)
	}
	t.last = f
	if f.newest == 0 {
		return
	}
	k := key{f.run, f.source}
	if t.newest == nil {
		t.newest = map[key]clock.Stamp{}
	}
	if before := t.newest[k]; f.newest < before.Add(-sampleBack) {
		t.a.find(Clock, p, 1, "its newest sample is %v before that of the batch before", before.Sub(f.newest))
	} else if len(t.newest) < mostRuns || before != 0 {
		t.newest[k] = f.newest
	}
}

// back finds which of two stored times is the odd one: the one that is further from its samples.
func (t *times) back(f *facts) {
	odd, other := f, t.last
	if late(t.last) > late(f) {
		odd, other = t.last, f
	}
	t.a.find(StoredTime, odd.place, 1, "its stored time and that of record %d go back by %v", other.place.Record, t.last.place.Stored.Sub(f.place.Stored))
}

// late is how far a stored time is from the newest sample.
func late(f *facts) time.Duration {
	if f.newest == 0 {
		return 0
	}
	d := f.place.Stored.Sub(f.newest)
	return max(d, -d)
}
