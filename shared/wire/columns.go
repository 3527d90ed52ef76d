package wire

import (
	"fmt"
	"slices"

	"agentwatt/shared/power"
)

// columns are the samples of a batch, grouped by meter and turned on their side. Times are in microseconds.
type columns struct {
	first     []int // where each meter's samples begin, and the end
	time      []int64
	within    []int64
	raw       []int64
	device    []int64
	status    []int64
	origin    int64 // where the columns time start
	hasDevice bool  // some device time is given
	hasStatus bool  // some status is not OK
}

// gather fills the columns with the samples of b. It is half the cost of encoding, hence two plain loops.
func (c *columns) gather(b *power.Batch) error {
	if err := c.group(b); err != nil {
		return err
	}
	n := len(b.Samples)
	for _, col := range [...]*[]int64{&c.time, &c.within, &c.raw, &c.device, &c.status} {
		*col = slices.Grow((*col)[:0], n)[:n]
	}
	first, times, withins, raws := c.first[1:], c.time, c.within, c.raw
	for i := range b.Samples {
		s := &b.Samples[i]
		at := first[s.Meter]
		first[s.Meter] = at + 1
		us, moved := micros(int64(s.Time))
		times[at], withins[at], raws[at] = us, int64((uint64(s.Within)+moved+999)/1000), s.Raw
		if c.hasDevice {
			c.device[at], _ = micros(int64(s.Device))
		}
		if c.hasStatus {
			c.status[at] = int64(s.Status)
		}
	}
	c.origin = 0
	if n > 0 {
		c.origin = c.time[0]
	}
	return nil
}

// group counts the samples of each meter, so that first[m+1] is where meter m's samples begin. Dealing the samples out
// moves it to where they end, which is where those of meter m+1 begin, as the name promises. On the way it looks at
// each sample for what cannot be encoded.
func (c *columns) group(b *power.Batch) error {
	n := len(b.Meters)
	c.first = slices.Grow(c.first[:0], n+2)[:n+2]
	clear(c.first)
	count := c.first[2:]
	c.hasDevice, c.hasStatus = false, false
	for i := range b.Samples {
		s := &b.Samples[i]
		if uint(s.Meter) >= uint(n) || !inRange(s) {
			return fmt.Errorf("sample %d of meter %d: %w", i, s.Meter, refusal(s, n))
		}
		count[s.Meter]++
		if s.Device != 0 {
			c.hasDevice = true
		}
		if s.Status != power.OK {
			c.hasStatus = true
		}
	}
	for m := range n {
		c.first[m+2] += c.first[m+1]
	}
	return nil
}

// maxNanos is the last whole microsecond of a clock.Stamp, and with the sign turned the first.
const maxNanos = maxMicros * 1000

// inRange reports whether a sample survives rounding to microseconds, and has a status that is known.
func inRange(s *power.Sample) bool {
	return uint64(s.Time+maxNanos) <= 2*maxNanos && uint64(s.Device+maxNanos) <= 2*maxNanos &&
		uint64(s.Within) <= maxNanos-1000 && s.Status <= power.Denied
}

// refusal says why a sample cannot be encoded.
func refusal(s *power.Sample, meters int) error {
	switch {
	case s.Status > power.Denied:
		return fmt.Errorf("status %d: not known", s.Status)
	case inRange(s):
		return fmt.Errorf("the batch has %d meters", meters)
	}
	return fmt.Errorf("time %d ± %d ns, device time %d ns: out of range", s.Time, s.Within, s.Device)
}

// carry repeats the raw count before each sample without a value, which costs less than going to 0 and back.
func (c *columns) carry(from, to int) {
	last := int64(0)
	for i := from; i < to; i++ {
		if c.status[i] != int64(power.OK) {
			c.raw[i] = last
		}
		last = c.raw[i]
	}
}

// sameTimes reports whether meter i was read at the very times of the meter before, as when one call reads both.
func (c *columns) sameTimes(i int) bool {
	if i == 0 {
		return false
	}
	a, b, end := c.first[i-1], c.first[i], c.first[i+1]
	return slices.Equal(c.time[a:b], c.time[b:end]) && slices.Equal(c.within[a:b], c.within[b:end])
}

// micros rounds nanoseconds to the nearest microsecond and returns how far that moved it, in nanoseconds.
func micros(nanos int64) (us int64, moved uint64) {
	// Unsigned, because that division is cheaper.
	if nanos < 0 {
		us = -int64((uint64(-nanos) + 500) / 1000)
	} else {
		us = int64((uint64(nanos) + 500) / 1000)
	}
	off := us*1000 - nanos
	return us, uint64(max(off, -off))
}
