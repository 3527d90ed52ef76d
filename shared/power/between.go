package power

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"

	"agentwatt/shared/clock"
)

// The limits of METHOD 6 for one meter over one interval.
const (
	leastCoverage  = 0.99
	longestAllowed = 3 * time.Second
)

// Between returns what meter m says about [begin, end). For more than one interval make a Series once.
func Between(m Meter, samples []Sample, begin, end clock.Stamp) Use {
	return NewSeries(m, samples).Between(begin, end)
}

// Between returns what the meter says about [begin, end), as METHOD 6 asks for its quantity:
//
//   - Counter: E(end) - E(begin), each interpolated between the two changes of the counter around it.
//   - Instant: the trapezoid over the fresh values, shifted by Delay, interpolated at the edges.
//   - Mean: the same, shifted by Delay and half of Averaging, one Averaging dropped at each edge.
//   - Held: each fresh value holds until the next, shifted by Delay.
//
// Nothing is extrapolated: what lies outside the fresh values or in a gap between them is uncovered. A gap is more than
// max(3 periods, 0.5 s) between fresh values; see NewSeries for what is fresh.
func (s *Series) Between(begin, end clock.Stamp) Use {
	u := Use{Meter: s.claims, Begin: begin, End: end}
	if s.problem != "" {
		return u.doubt(BadMeter, "%s", s.problem)
	}
	if s.meter.Simulated {
		u = u.doubt(SimulatedCode, "no hardware behind %s", s.meter.ID)
	}
	if s.meter.Accuracy < 0 {
		u = u.doubt(AccuracyFree, "the accuracy of %s is not known, %g %% is taken", s.meter.ID, 100*defaultAccuracy)
	}
	if begin <= 0 || end <= begin || end > math.MaxInt64-clock.Stamp(4*mostShift) {
		return u.doubt(NoSamples, "the interval from %v to %v is empty or not known", begin, end)
	}
	q := s.question(begin, end)
	u = s.doubts(u)
	switch {
	case q.to <= q.from:
		return u.doubt(EdgeUncovered, "%v is too short for a mean over %v, which drops that much at each edge", end.Sub(begin), s.meter.Averaging)
	case len(s.at) == 0 || q.to <= s.start() || q.from >= s.end():
		u.LongestGap = q.length()
		return u.doubt(NoSamples, "%s", s.absence())
	}
	c := s.cover(q)
	u.Coverage = 1 - float64(c.uncovered)/float64(q.to-q.from)
	u.LongestGap = time.Duration(c.longest)
	u.Measured = q.length() - time.Duration(c.lost)
	u.Energy = Energy(s.energy(q.from, q.to))
	u.Mean = u.Energy.Over(u.Measured)
	u.Fresh = s.freshIn(q)
	u = s.explain(u, q, c)
	u.Uncertainty = s.uncertainty(u, q, c)
	u.Valid = c.begin && c.end && u.Coverage >= leastCoverage && u.LongestGap <= longestAllowed && u.Measured > 0
	return u
}

// doubt returns u with one more warning.
func (u Use) doubt(what Code, format string, args ...any) Use {
	u.Warnings = append(u.Warnings, Warning{what, fmt.Sprintf(format, args...)})
	return u
}

// question is an interval on the readings' axis, in ns: a reading describes the device some time before.
type question struct{ from, to int64 }

func (q question) length() time.Duration { return time.Duration(q.to - q.from) }

// shift returns how long before its reading a value describes the device.
func (m Meter) shift() time.Duration {
	if m.Quantity == Mean {
		return m.Delay + m.Averaging/2
	}
	return m.Delay
}

// dropped returns what is left out at each edge of an interval.
func (m Meter) dropped() time.Duration {
	if m.Quantity == Mean {
		return m.Averaging
	}
	return 0
}

func (s *Series) question(begin, end clock.Stamp) question {
	shift, drop := s.meter.shift(), s.meter.dropped()
	return question{int64(begin.Add(shift + drop)), int64(end.Add(shift - drop))}
}

// start and end are the times of the first and last fresh value, in ns.
func (s *Series) start() int64 { return int64(stamp(s.at[0])) }
func (s *Series) end() int64   { return int64(stamp(s.at[len(s.at)-1])) }

// covered says how fresh values cover a question.
type covered struct {
	begin, end bool  // the edge lies between fresh values without a gap
	uncovered  int64 // ns without fresh values
	longest    int64 // the longest such stretch, in ns
	lost       int64 // the part of uncovered whose energy is not known, in ns
	gaps       int   // gaps between fresh values
	gap        int64 // the longest of them, in ns
	where      int64 // where it begins, in ns
}

// cover finds the stretches of q that fresh values do not cover: before the first, after the last, in gaps and over
// resets. Over a gap in an unbroken counter only the course of the power is unknown, not the energy.
func (s *Series) cover(q question) covered {
	c := covered{begin: q.from >= s.start(), end: q.to <= s.end()}
	c.add(max(0, s.start()-q.from), true)
	c.add(max(0, q.to-s.end()), true)
	for events := s.eventsIn(q); len(events) > 0; {
		k := events[0].k
		lost, gap, broken := s.meter.Quantity != Counter, false, false
		for ; len(events) > 0 && events[0].k == k; events = events[1:] {
			gap = gap || events[0].what == Gap
			broken = broken || events[0].what == Reset || events[0].what == Implausible
		}
		if !gap && !broken {
			continue
		}
		from, to := int64(stamp(s.at[k-1])), int64(stamp(s.at[k]))
		c.begin = c.begin && (q.from < from || q.from >= to)
		c.end = c.end && (q.to <= from || q.to > to)
		d := min(to, q.to) - max(from, q.from)
		if d <= 0 {
			continue
		}
		c.add(d, lost || broken)
		if gap {
			c.gaps++
		}
		if gap && d > c.gap {
			c.gap, c.where = d, max(from, q.from)
		}
	}
	return c
}

func (c *covered) add(d int64, lost bool) {
	c.uncovered += d
	c.longest = max(c.longest, d)
	if lost {
		c.lost += d
	}
}

// eventsIn returns the events on the stretches between fresh values that touch q.
func (s *Series) eventsIn(q question) []event {
	if len(s.events) == 0 {
		return nil
	}
	i, _ := s.locate(q.from)
	j, _ := s.locate(q.to)
	first := sort.Search(len(s.events), func(n int) bool { return s.events[n].k > i })
	last := sort.Search(len(s.events), func(n int) bool { return s.events[n].k > j+1 })
	return s.events[first:last]
}

// freshIn returns how many fresh values lie inside q.
func (s *Series) freshIn(q question) int {
	i, _ := slices.BinarySearch(s.at, (q.from+999)/1000)
	j, _ := slices.BinarySearch(s.at, (q.to+999)/1000)
	return j - i
}
