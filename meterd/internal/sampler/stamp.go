package sampler

import (
	"time"

	"agentwatt/shared/clock"
)

// Stamp gives the time of a reading that took place between before and after: t is the middle in whole microseconds,
// and within, in whole microseconds, is wide enough that t ± within covers the whole read. Sources use it so that every
// sample claims no more than was seen.
func Stamp(before, after clock.Stamp) (t clock.Stamp, within time.Duration) {
	const step = clock.Stamp(time.Microsecond)
	if after < before {
		before, after = after, before
	}
	middle := before + (after-before)/2
	t = (middle + step/2) / step * step
	reach := max(after-t, t-before)
	return t, time.Duration((reach + step - 1) / step * step)
}
