package model

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/power"
)

// Course is what happened.
type Course struct {
	Requests []Served      // in the order of their arrival; those of one instant by agent
	Until    time.Duration // the end of the course
	Tokens   int           // output tokens

	p        simulate.Params
	requests []*Served
	steps    []step
	work     int64 // µJ of all steps begun
}

// step is one step of the engine.
type step struct {
	begin, duration time.Duration
	before, work    int64 // µJ above idle: of the steps before it, and its own
}

func (c *Course) add(begin, duration time.Duration, work int64) {
	c.steps = append(c.steps, step{begin, duration, c.work, work})
	c.work += work
}

func (c *Course) close() {
	for _, r := range c.requests {
		c.Requests = append(c.Requests, *r)
		c.Tokens += r.Output
	}
	slices.SortStableFunc(c.Requests, func(a, b Served) int {
		return cmp.Or(cmp.Compare(a.Arrived, b.Arrived), cmp.Compare(a.Agent, b.Agent))
	})
}

// Steps returns how many steps were begun.
func (c *Course) Steps() int { return len(c.steps) }

// Energy returns E(t), what all devices together have used ("Power" in docs/simulate.md). t is not after Until.
func (c *Course) Energy(t time.Duration) power.Energy {
	idle := floorDiv(int64(c.p.Devices)*int64(c.p.Idle), int64(t), int64(time.Second))
	i, found := slices.BinarySearchFunc(c.steps, t, func(s step, t time.Duration) int { return cmp.Compare(s.begin, t) })
	if !found {
		i-- // the step that began before t
	}
	if i < 0 {
		return power.Energy(idle)
	}
	s := c.steps[i]
	done := floorDiv(s.work, int64(min(t-s.begin, s.duration)), int64(s.duration))
	return power.Energy(idle + s.before + done)
}

// Mean returns the mean power of all devices together over [begin, end), rounded to a microwatt.
func (c *Course) Mean(begin, end time.Duration) power.Power {
	return (c.Energy(end) - c.Energy(begin)).Over(end - begin)
}

// floorDiv returns floor(a*b/c) for a, b >= 0 and c > 0.
func floorDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}
