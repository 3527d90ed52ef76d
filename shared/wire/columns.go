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

// gather fills the columns with the samples of b.
func (c *columns) gather(b *power.Batch) error {
	if err := c.group(b); err != nil {
		return err
	}
	n := len(b.Samples)
	for _, col := range [...]*[]int64{&c.time, &c.within, &c.raw, &c.device, &c.status} {
		*col = slices.Grow((*col)[:0], n)[:n]
	}
	c.origin, c.hasDevice, c.hasStatus = 0, false, false
	for i := range b.Samples {
		s := &b.Samples[i]
		at := c.first[s.Meter+1]
		c.first[s.Meter+1]++
		if err := c.put(at, s); err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
	}
	if n > 0 {
		c.origin = c.time[0]
	}
	return nil
}

// group counts the samples of each meter, so that first[m+1] is where meter m's samples begin. Dealing the samples out
// moves it to where they end, which is where those of meter m+1 begin, as the name promises.
func (c *columns) group(b *power.Batch) error {
	n := len(b.Meters)
	c.first = slices.Grow(c.first[:0], n+2)[:n+2]
	clear(c.first)
	for i := range b.Samples {
		m := b.Samples[i].Meter
		if m < 0 || m >= n {
			return fmt.Errorf("sample %d: meter %d of %d", i, m, n)
		}
		c.first[m+2]++
	}
	for m := range n {
		c.first[m+2] += c.first[m+1]
	}
	return nil
}

// put writes one sample into row at.
func (c *columns) put(at int, s *power.Sample) error {
	if s.Within < 0 {
		return fmt.Errorf("within %v", s.Within)
	}
	if s.Status > power.Denied {
		return fmt.Errorf("status %d: not known", s.Status)
	}
	time, moved := micros(int64(s.Time))
	within := int64(s.Within)/1000 + (int64(s.Within)%1000+moved+999)/1000 // rounded up, without overflow
	device, _ := micros(int64(s.Device))
	if !inMicros(time) || !inMicros(device) || within > maxMicros {
		return fmt.Errorf("time %d ± %d ns, device time %d ns: out of range", s.Time, s.Within, s.Device)
	}
	c.time[at], c.within[at], c.device[at] = time, within, device
	c.raw[at], c.status[at] = s.Raw, int64(s.Status)
	c.hasDevice = c.hasDevice || device != 0
	c.hasStatus = c.hasStatus || s.Status != power.OK
	return nil
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
func micros(nanos int64) (us, moved int64) {
	us, rest := nanos/1000, nanos%1000
	switch {
	case rest >= 500:
		return us + 1, 1000 - rest
	case rest >= 0:
		return us, rest
	case rest < -500:
		return us - 1, 1000 + rest
	}
	return us, -rest
}

// inMicros reports whether us microseconds fit into the nanoseconds of a clock.Stamp.
func inMicros(us int64) bool { return -maxMicros <= us && us <= maxMicros }
