package clock

import (
	"sync"
	"time"
)

// anchorings is how often New reads the clocks; the tightest reading wins.
const anchorings = 5

// Clock is one process's anchored clock: the wall clock as it was when New read it, plus monotonic time since. Make one
// per process and pass it on: stamps of two Clocks differ by the two anchors' errors. A Clock is safe for concurrent use.
type Clock struct {
	start time.Time     // monotonic reading that the anchor belongs to
	wall  Stamp         // wall clock at start
	err   time.Duration // the wall clock was read within ± this of start

	epoch func() (Stamp, error) // see Epoch; read once, so that all of the process agree to the nanosecond
}

// New anchors a clock to the wall clock as it is now.
func New() *Clock {
	c := new(Clock)
	for i := range anchorings {
		before, wall, after := time.Now(), time.Now(), time.Now()
		width := after.Sub(before)
		if half := (width + 1) / 2; i == 0 || half < c.err {
			c.start, c.wall, c.err = before.Add(width/2), At(wall), half
		}
	}
	c.epoch = sync.OnceValues(func() (Stamp, error) { return epoch(c) })
	return c
}

// Now returns the present stamp. It costs one reading of the monotonic clock and does not allocate.
func (c *Clock) Now() Stamp { return c.wall + Stamp(time.Since(c.start)) }

// At converts a time that carries a monotonic reading, as time.Now returns it. A time without one is compared by its
// wall clock and keeps whatever step lies between it and the anchor; the zero time becomes the zero Stamp.
func (c *Clock) At(t time.Time) Stamp {
	if t.IsZero() {
		return 0
	}
	return c.wall + Stamp(t.Sub(c.start))
}

// FromWall converts a wall-clock stamp (CLOCK_REALTIME) that the kernel took moments ago, such as the receive stamp of a
// packet, by the difference between the two clocks now. A step between the kernel's stamp and this call is not seen.
// The zero Stamp stays zero. It costs two readings of the clock and does not allocate.
func (c *Clock) FromWall(s Stamp) Stamp {
	if s == 0 {
		return 0
	}
	ahead, _ := c.compare(At)
	return s + ahead
}

// hurried is how long the two readings in compare may take before a preemption is suspected between them.
const hurried = 2 * time.Microsecond

// compare returns how far the anchored clock is ahead of the wall clock now, to within ± width. time.Now reads the wall and
// then the monotonic clock; if the thread is preempted between the two, the difference is wrong by the pause, so a slow pair
// is read again. wall takes the wall clock's part out of a reading.
func (c *Clock) compare(wall func(time.Time) Stamp) (ahead Stamp, width time.Duration) {
	for i := range 3 {
		before := time.Since(c.start)
		now := time.Now()
		after := now.Sub(c.start)
		if took := after - before; i == 0 || took < width {
			ahead, width = c.wall+Stamp(after)-wall(now), took
		}
		if width <= hurried {
			break
		}
	}
	return ahead, width
}

// Epoch returns the clock's stamp of the zero of CLOCK_MONOTONIC of this boot, as the first time namespace has it, always the
// same for one Clock. Processes of one boot (BootID) compare clocks exactly by it: a stamp of process A becomes one of process
// B by adding B's epoch and subtracting A's, whatever NTP did between the two anchors.
func (c *Clock) Epoch() (Stamp, error) { return c.epoch() }

// Error returns how far, at most, the anchor is from the wall clock that it was read from. What that clock was worth is
// the kernel's to say: see Kernel.
func (c *Clock) Error() time.Duration { return c.err }
