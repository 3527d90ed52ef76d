package clock

import (
	"math"
	"slices"
	"time"
)

// Comparison is what a number of exchanges say about the clock of one boot of one host against the runner's. It is a pure
// function of them and not changed once made.
type Comparison struct{ knots []knot }

// knot is one measurement.
type knot struct {
	at     time.Duration // on the host's clock
	ahead  time.Duration // of the host's clock before the runner's
	within time.Duration // bound of its error
	wander time.Duration // from here to the next knot: what the offset may depart from the straight line
}

const (
	// apart is how far apart knots are at least: of closer ones the better counts. The rate of a clock between two knots is
	// known the worse the closer they are.
	apart = 10 * time.Second
	// drift is how fast two clocks may part where nothing was measured: the most by which Linux slews a clock for NTP.
	drift = 500e-6
)

// Compare makes a comparison of exchanges with one boot, in any order. Those that cannot have taken place are left out; nil
// if none is left.
func Compare(list []Exchange) *Comparison {
	var knots []knot
	for _, x := range list {
		if x.plausible() {
			ahead, within := x.Offset()
			knots = append(knots, knot{at: x.Received + (x.Sent-x.Received)/2, ahead: ahead, within: within})
		}
	}
	if len(knots) == 0 {
		return nil
	}
	slices.SortFunc(knots, func(a, b knot) int { return int(a.at - b.at) })
	c := &Comparison{knots: knots[:1]}
	for _, k := range knots[1:] {
		switch last := &c.knots[len(c.knots)-1]; {
		case k.at-last.at >= apart:
			c.knots = append(c.knots, k)
		case k.within < last.within:
			*last = k
		}
	}
	for i := range len(c.knots) - 1 {
		c.knots[i].wander = c.wander(i)
	}
	return c
}

// rate returns how fast the host's clock gained on the runner's between knots i and i+1, and the bound of its error.
func (c *Comparison) rate(i int) (rate, within float64) {
	a, b := c.knots[i], c.knots[i+1]
	length := float64(b.at - a.at)
	return float64(b.ahead-a.ahead) / length, float64(a.within+b.within) / length
}

// wander bounds by how much the offset departs, between knots i and i+1, from the straight line through them. A clock keeps
// its rate but for slews. If one lies here, the rate here differs from that of a stretch which it does not touch, and over the
// whole stretch by at least as much as it takes the offset off the line, whenever in the stretch it begins and ends. One of the
// two stretches to either side is such a stretch. The rates are known only so well, which counts in full. With few knots
// there is not enough to compare with, and the clocks are taken to part as fast as they can.
func (c *Comparison) wander(i int) time.Duration {
	here, within := c.rate(i)
	var most float64
	for j := max(0, i-2); j <= min(i+2, len(c.knots)-2); j++ {
		if j != i {
			beside, doubt := c.rate(j)
			most = max(most, math.Abs(here-beside)+within+doubt)
		}
	}
	if len(c.knots) < 4 {
		most = max(most, drift/2)
		if math.Abs(here)-within > drift { // they part faster than that
			most = max(most, math.Abs(here)+within)
		}
	}
	return ceil(float64(c.knots[i+1].at-c.knots[i].at) * most)
}

func ceil(ns float64) time.Duration { return time.Duration(math.Ceil(min(ns, float64(longest)))) }

// Ahead returns how far the host's clock is ahead of the runner's at a time on the host's clock, and the bound of its error:
// on the straight line between two measurements, and as the nearest one says before the first and after the last, with
// 500 ppm of the distance to it added to the error.
func (c *Comparison) Ahead(at time.Duration) (ahead, within time.Duration) {
	i, _ := slices.BinarySearchFunc(c.knots, at, func(k knot, at time.Duration) int { return int(k.at - at) })
	switch {
	case i == 0:
		k := c.knots[0]
		return k.ahead, k.within + ceil(drift*float64(k.at-at))
	case i == len(c.knots):
		k := c.knots[i-1]
		return k.ahead, k.within + ceil(drift*float64(at-k.at))
	}
	a, b := c.knots[i-1], c.knots[i]
	part := float64(at-a.at) / float64(b.at-a.at)
	return a.ahead + time.Duration(math.Round(part*float64(b.ahead-a.ahead))), max(a.within, b.within) + a.wander
}

// Span returns the times of the first and the last measurement, on the host's clock.
func (c *Comparison) Span() (first, last time.Duration) {
	return c.knots[0].at, c.knots[len(c.knots)-1].at
}

// Measurements returns how many measurements the comparison rests on.
func (c *Comparison) Measurements() int { return len(c.knots) }

// Rate returns how fast, on average, the host's clock gains on the runner's; 0 where only one moment was measured.
func (c *Comparison) Rate() float64 {
	first, last := c.knots[0], c.knots[len(c.knots)-1]
	if last.at <= first.at {
		return 0
	}
	return float64(last.ahead-first.ahead) / float64(last.at-first.at)
}
