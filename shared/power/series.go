package power

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"agentwatt/shared/clock"
)

// Series is one meter's samples made ready for questions: re-reads removed, counters unwrapped, energy summed up. Build it
// once per meter and ask it for as many intervals as there are. It is not changed after NewSeries and safe for concurrent use.
type Series struct {
	meter   Meter  // with its calibration worked into the scale
	claims  Meter  // as declared
	problem string // why the meter's declaration makes no sense; empty: it does
	period  int64  // between fresh values, declared or inferred, in µs; 0: every read is fresh
	limit   int64  // more than this between fresh values is a gap, in µs

	// The fresh values, in columns so that sums run at the speed of memory.
	at     []int64 // first seen, in µs since the epoch, strictly increasing
	before []int64 // the read before that still gave the old value, in µs: the change lies in (before, at]
	within []int64 // half the duration of the read, in µs
	value  []int64 // raw counts; Counter: raw counts since the first value, unwrapped, standing still over a reset
	sum    []int64 // power: twice the integral from the first value in raw counts · µs, modulo 2^64, standing still over a gap

	events  []event // what happened between fresh values, in order
	faults  []fault // reads without a usable value, in order
	steady  []span  // stretches over which one power value was repeated for suspiciously long
	largest int64   // power: the largest of value
	first   int64   // first and last successful read, in µs
	last    int64
}

// event is something that happened between the fresh values k-1 and k.
type event struct {
	k    int
	what Code
}

// fault is a read without a usable value.
type fault struct {
	at   int64
	what Code
}

// span is a stretch of time in µs.
type span struct{ begin, end int64 }

const (
	second      = int64(time.Second / time.Microsecond)
	leastGap    = second / 2     // METHOD 6: a gap is more than max(3 periods, this)
	mostShift   = 24 * time.Hour // bound on what a meter may declare as period, window or delay
	unlimited   = math.MaxInt64
	mostStep    = 1 << 60
	manyPeriods = 60 // that many refreshes, and 10 s, without a change are suspicious
	longSteady  = 10 * second
)

// NewSeries reads the samples of meter m. They may be unsorted, repeated and without values; Sample.Meter is ignored, so
// pass only m's. Stamps count in whole microseconds, as Sample says; the slice is not kept and not changed.
//
// A value is fresh when it differs from the one before. The time of a fresh value is when it was first seen. Of a power,
// the same value also counts as fresh when the sensor must have refreshed since, as a constant load repeats the same integer:
// when it is still read one and a half periods after it was last fresh, or when the reads are three quarters of a period
// apart. (One period would not do: periods jitter, and a re-read just before a change would undo the removal of re-reads.)
// Of a counter it does not: a counter must move while the device draws power, and one that stands still is frozen, or its
// device draws nothing that could be told from that.
func NewSeries(m Meter, samples []Sample) *Series {
	s := &Series{meter: m.corrected(), claims: m, problem: cmp.Or(m.problem(), m.corrected().problem())}
	if s.problem != "" {
		return s
	}
	samples = m.Placed(samples)
	if !ordered(samples) {
		samples = slices.Clone(samples)
		slices.SortFunc(samples, inOrder)
	}
	s.period = int64(m.Period / time.Microsecond)
	if m.Quantity == Counter {
		s.read(samples, unlimited, m.mostCount())
		s.count()
		return s
	}
	if s.period == 0 && m.PeriodFrom == Unknown {
		s.period = refresh(samples)
	}
	s.limit = max(3*s.period, leastGap)
	s.read(samples, s.period+s.period/2, m.mostCount())
	if m.Quantity == Held {
		s.hold()
	} else {
		s.trapezoid()
	}
	return s
}

// problem says why nothing can be computed from the meter's declaration, or "".
func (m Meter) problem() string {
	switch {
	case m.Quantity < Counter || m.Quantity > Held:
		return fmt.Sprintf("%v is not a quantity", m.Quantity)
	case m.Scale.Num <= 0 || m.Scale.Den <= 0 || m.Scale.Den > mostDen:
		return fmt.Sprintf("scale %d/%d is not usable", m.Scale.Num, m.Scale.Den)
	case m.Quantity == Mean && m.Averaging <= 0:
		return "a mean without its window"
	case m.GainPPM < 0 || m.GainPPM > 0 && (m.GainPPM < leastGain || m.GainPPM > mostGain):
		return fmt.Sprintf("a gain of %d ppm is not that of a meter", m.GainPPM)
	case m.Step < 0 || m.Step > mostStep:
		return fmt.Sprintf("a step of %d counts is not usable", m.Step)
	case m.Wrap < 0 || m.Limit < 0 || math.IsNaN(m.Accuracy) || math.IsInf(m.Accuracy, 0):
		return "a negative wrap or limit, or an accuracy that is not a number"
	}
	for _, d := range []time.Duration{m.Period, m.Averaging, m.Delay} {
		if d < 0 || d > mostShift {
			return fmt.Sprintf("%v is not a usable period, window or delay", d)
		}
	}
	return ""
}

// inOrder sorts by time; of reads with one stamp the tightest, then the smallest, comes first and is the one that counts.
func inOrder(a, b Sample) int {
	if c := cmp.Compare(a.Time, b.Time); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Status, b.Status), cmp.Compare(a.Within, b.Within), cmp.Compare(a.Raw, b.Raw))
}

// Placed returns the samples of a device that keeps its values (Buffered) with the time at which each was taken, not that of
// their handing over; others as they are.
func (m Meter) Placed(samples []Sample) []Sample {
	if !m.Buffered {
		return samples
	}
	samples = slices.Clone(samples)
	for i := range samples {
		if samples[i].Device != 0 {
			samples[i].Time = samples[i].Device
		}
	}
	return samples
}

// ordered reports whether samples are sorted by inOrder, looking at more than the time only where it must.
func ordered(samples []Sample) bool {
	for i := 1; i < len(samples); i++ {
		if a, b := &samples[i-1], &samples[i]; a.Time > b.Time || a.Time == b.Time && inOrder(*a, *b) > 0 {
			return false
		}
	}
	return true
}

// read fills the columns with the fresh values among samples. An unchanged value is fresh again once it is read `again` µs
// after it last was, or half of that after the last read. Values outside [0, most] cannot be.
func (s *Series) read(samples []Sample, again, most int64) {
	s.at, s.before = make([]int64, 0, len(samples)), make([]int64, 0, len(samples))
	s.within, s.value = make([]int64, 0, len(samples)), make([]int64, 0, len(samples))
	var fresh, value, since int64 // last fresh value: its time, the value, and when it was first seen
	for i := range samples {
		x := &samples[i]
		at := int64(x.Time) / int64(time.Microsecond)
		switch {
		case at <= 0:
			continue // no stamp: it cannot be placed
		case x.Status != OK:
			s.faults = append(s.faults, fault{at, ReadFailed})
			continue
		case x.Raw < 0 || x.Raw > most:
			s.faults = append(s.faults, fault{at, Implausible})
			continue
		case s.first == 0:
			s.first, s.last = at, at
			since = at
		case at == s.last:
			if x.Raw != value {
				s.faults = append(s.faults, fault{at, Implausible})
			}
			continue
		case x.Raw != value:
			s.endSteady(since, s.last, value)
			since = at
		case at-fresh < again && at-s.last < again/2:
			s.last = at
			continue
		}
		s.at, s.before = append(s.at, at), append(s.before, s.last)
		s.within, s.value = append(s.within, int64(x.Within/time.Microsecond)), append(s.value, x.Raw)
		s.last, fresh, value = at, at, x.Raw
	}
	s.endSteady(since, s.last, value)
}

// endSteady notes that one value was read from since until last, if that is suspiciously long for a power: a real load is
// not constant to less than 0.5 %. Simulated meters may be.
func (s *Series) endSteady(since, last, value int64) {
	if s.meter.Quantity == Counter || s.meter.Simulated || value <= 200 {
		return
	}
	if last-since > max(longSteady, manyPeriods*s.period) {
		s.steady = append(s.steady, span{since, last})
	}
}

// refresh infers the period of a power meter whose period nobody knows, in µs: the lower quartile of the time between
// changes, as equal neighbours only lengthen it. It is 0, every read is fresh, unless most changes were seen with
// re-reads before them.
func refresh(samples []Sample) int64 {
	const enough = 4096
	var between []int64
	var changed, last, value int64
	reread, changes := false, 0
	for i := range samples {
		x := &samples[i]
		if x.Status != OK || x.Time <= 0 {
			continue
		}
		at := int64(x.Time) / int64(time.Microsecond)
		switch {
		case last != 0 && x.Raw == value:
			reread = at > changed
		default:
			if changes++; changes > 2 && reread { // the first value is not a change
				between = append(between, at-changed)
			}
			changed, value, reread = at, x.Raw, false
		}
		if last = at; changes > enough {
			break
		}
	}
	return quantile(between, changes-2, 4)
}

// quantile returns the 1/part quantile of xs, which it sorts; 0 if xs is too few to say or less than half of all.
func quantile(xs []int64, all, part int) int64 {
	if len(xs) < 8 || 2*len(xs) < all {
		return 0
	}
	slices.Sort(xs)
	return min(xs[len(xs)/part], int64(mostShift/time.Microsecond))
}

// find returns the index of the last fresh value not after x, in µs, given at[0] <= x. Fresh values come at a steady
// rate, so a straight line guesses well; a binary search helps where it does not.
func (s *Series) find(x int64) int {
	const steps = 16
	n := len(s.at)
	if x >= s.at[n-1] {
		return n - 1
	}
	i := int(float64(n-1) * (float64(x-s.at[0]) / float64(s.at[n-1]-s.at[0])))
	for range steps {
		switch {
		case s.at[i] > x:
			i--
		case s.at[i+1] <= x:
			i++
		default:
			return i
		}
	}
	i, found := slices.BinarySearch(s.at, x)
	if !found {
		i--
	}
	return i
}

// stamp returns the time of a fresh value as a stamp.
func stamp(micros int64) clock.Stamp { return clock.Stamp(micros * int64(time.Microsecond)) }
