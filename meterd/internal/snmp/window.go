package snmp

import (
	"math"
	"time"

	"agentwatt/shared/power"
)

// windowCounts is how many counts a counter must move so that the worst error at the edges, one count, is 0.5 %.
const windowCounts = 200

// ShortestWindow is the shortest time over which an energy counter whose last digit is worth count gives a mean power of p
// within 0.5 %. It is 0 where either is not positive: nothing can be said then.
func ShortestWindow(count power.Energy, p power.Power) time.Duration {
	if count <= 0 || p <= 0 {
		return 0
	}
	seconds := windowCounts * float64(count) / float64(p)
	if seconds >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(seconds * float64(time.Second))
}

// worth is the energy or power of n counts.
func (p *point) worth(n int64) int64 {
	w := float64(n) * float64(p.scale.Num) / float64(p.scale.Den)
	return int64(min(w, math.MaxInt64/2))
}
