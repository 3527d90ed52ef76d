package power

import (
	"sort"
	"time"

	"agentwatt/shared/clock"
)

// doubts adds what the reads inside the interval say against the meter: reads without a value, values that cannot be and
// values that do not move. They are found at the time of the read, so they do not depend on the shift.
func (s *Series) doubts(u Use) Use {
	begin, end := int64(u.Begin)/1000, int64(u.End)/1000
	failed, impossible := 0, 0
	for i := sort.Search(len(s.faults), func(i int) bool { return s.faults[i].at >= begin }); i < len(s.faults) && s.faults[i].at < end; i++ {
		if s.faults[i].what == ReadFailed {
			failed++
		} else {
			impossible++
		}
	}
	if failed > 0 {
		u = u.doubt(ReadFailed, "%d reads without a value", failed)
	}
	if impossible > 0 {
		u = u.doubt(Implausible, "%d values left out: negative, beyond what the device can be, or two values at one time", impossible)
	}
	longest := span{}
	for _, x := range s.steady {
		x.begin, x.end = max(x.begin, begin), min(x.end, end)
		if x.end-x.begin > longest.end-longest.begin {
			longest = x
		}
	}
	if d := longest.end - longest.begin; d > max(longSteady, manyPeriods*s.period) {
		u = u.doubt(Stuck, "the same value for %v from %v: a very even load or a stuck sensor", micros(d), stamp(longest.begin))
	}
	return u
}

// explain adds why parts of the interval are not covered, and what happened to the counter.
func (s *Series) explain(u Use, q question, c covered) Use {
	if !c.begin {
		u = u.doubt(EdgeUncovered, "the beginning is not between fresh values; %s", s.absence())
	}
	if !c.end {
		u = u.doubt(EdgeUncovered, "the end is not between fresh values; %s", s.absence())
	}
	if c.gaps > 0 {
		u = u.doubt(Gap, "%d stretches of more than %v without fresh values, the longest %v from %v",
			c.gaps, micros(s.limit), time.Duration(c.gap), clock.Stamp(c.where))
	}
	for _, x := range [...]struct {
		what Code
		text string
	}{
		{Reset, "the counter went backward"},
		{Wrapped, "the counter wrapped"},
		{Implausible, "the counter ran ahead faster than its device can draw"},
	} {
		if times, first := s.happened(x.what, q); times > 0 {
			u = u.doubt(x.what, "%s: %d times, first at %v", x.text, times, stamp(s.at[first]))
		}
	}
	return u
}

// happened returns how often an event fell into q, and the fresh value after the first.
func (s *Series) happened(what Code, q question) (times, first int) {
	for _, e := range s.eventsIn(q) {
		if e.what == what && int64(stamp(s.at[e.k])) > q.from && int64(stamp(s.at[e.k-1])) < q.to {
			if times++; times == 1 {
				first = e.k
			}
		}
	}
	return times, first
}

// absence says in words where fresh values are.
func (s *Series) absence() string {
	switch {
	case s.first == 0:
		return "nothing was read"
	case len(s.at) == 0 || s.meter.Quantity == Counter && len(s.at) == 1:
		return "the counter did not move while it was read from " + stamp(s.first).String() + " to " + stamp(s.last).String()
	}
	return "fresh values from " + stamp(s.at[0]).String() + " to " + stamp(s.at[len(s.at)-1]).String() +
		", last read " + stamp(s.last).String()
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
