package wire

import (
	"fmt"
	"slices"

	"agentwatt/shared/clock"
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
	rare      bool  // either
}

// gather fills the columns with the samples of b. Both of its passes go run by run, a run being samples of one meter, and
// keep what changes from sample to sample in registers: a counter in memory would cost more than all the rest.
func (c *columns) gather(b *power.Batch) error {
	n := len(b.Samples)
	for _, col := range [...]*[]int64{&c.time, &c.within, &c.raw, &c.device, &c.status} {
		*col = slices.Grow((*col)[:0], n)[:n]
	}
	if c.inTurns(b) {
		return nil
	}
	if err := c.survey(b); err != nil {
		return err
	}
	c.origin = 0
	if n == 0 {
		return nil
	}
	next := c.first[1:]
	times, withins, raws := c.time[:n], c.within[:n], c.raw[:n]
	meter := b.Samples[0].Meter
	at := next[meter]
	for i := range b.Samples {
		s := &b.Samples[i]
		if s.Meter != meter {
			next[meter] = at
			meter = s.Meter
			at = next[meter]
		}
		us, moved := micros(int64(s.Time))
		times[at], withins[at], raws[at] = us, int64((uint64(s.Within)+moved+999)/1000), s.Raw
		if c.rare {
			c.device[at], _ = micros(int64(s.Device))
			c.status[at] = int64(s.Status)
		}
		at++
	}
	next[meter] = at
	c.origin = times[0]
	return nil
}

// inTurns does all of gather for samples as most sources read them: of each meter one, in order, again and again, without
// anything unusual. Then it is known where each sample goes, and one pass is enough. It returns false for others.
func (c *columns) inTurns(b *power.Batch) bool {
	n, meters := len(b.Samples), len(b.Meters)
	if n == 0 || meters == 0 || n%meters != 0 {
		return false
	}
	turns := n / meters
	times, withins, raws := c.time[:n], c.within[:n], c.raw[:n]
	for turn := range turns {
		at := turn
		for i, row := 0, b.Samples[turn*meters:]; i < meters; i++ {
			s := &row[i]
			if s.Meter != i || s.Device != 0 || s.Status != power.OK || !inRange(s) {
				return false
			}
			us, moved := micros(int64(s.Time))
			times[at], withins[at], raws[at] = us, int64((uint64(s.Within)+moved+999)/1000), s.Raw
			at += turns
		}
	}
	c.first = slices.Grow(c.first[:0], meters+1)[:meters+1]
	for m := range c.first {
		c.first[m] = m * turns
	}
	c.hasDevice, c.hasStatus, c.rare, c.origin = false, false, false, times[0]
	return true
}

// survey looks at every sample for what cannot be encoded, and counts those of each meter, so that first[m+1] is where
// meter m's samples begin. Dealing the samples out moves it to where they end, which is where those of meter m+1 begin, as
// the name promises.
func (c *columns) survey(b *power.Batch) error {
	n := len(b.Meters)
	c.first = slices.Grow(c.first[:0], n+2)[:n+2]
	clear(c.first)
	count := c.first[2:]
	var device clock.Stamp
	var status power.Status
	meter, since := -1, 0
	for i := range b.Samples {
		s := &b.Samples[i]
		if s.Meter != meter || i == 0 {
			if uint(s.Meter) >= uint(n) {
				return fmt.Errorf("sample %d of meter %d: the batch has %d meters", i, s.Meter, n)
			}
			if meter >= 0 {
				count[meter] += i - since
			}
			meter, since = s.Meter, i
		}
		if !inRange(s) {
			return fmt.Errorf("sample %d of meter %d: %w", i, s.Meter, refusal(s))
		}
		device |= s.Device
		status |= s.Status
	}
	if meter >= 0 {
		count[meter] += len(b.Samples) - since
	}
	c.hasDevice, c.hasStatus = device != 0, status != power.OK
	c.rare = c.hasDevice || c.hasStatus
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

// refusal says why a sample is not inRange.
func refusal(s *power.Sample) error {
	if s.Status > power.Denied {
		return fmt.Errorf("status %d: not known", s.Status)
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
