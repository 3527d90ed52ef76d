package simulate

import (
	"math/bits"
	"time"

	"agentwatt/shared/power"
)

// meter integrates the engine's power exactly. Above idle, the power of a step is its work spread evenly over it:
//
//	P(t) = Devices*Idle + Work/Duration          during a step
//	E(t) = floor(Devices*Idle*(t-start)) + work of ended steps + floor(Work*(t-Begin)/Duration)
//
// What devices show is E at the last multiple of CounterPeriod after start.
type meter struct {
	p     Params
	start time.Time
	done  power.Energy // work of the steps before the last
	last  Step         // in progress, or ended; its Begin is start if there was none

	index  int64        // of the multiple that is shown
	shown  power.Energy // E there
	before power.Energy // E one period earlier
}

func newMeter(p Params, start time.Time) *meter {
	return &meter{p: p, start: start, last: Step{Begin: start, Duration: 1}}
}

// begin tells the meter of the next step. Its Begin must not be before the end of the last.
func (m *meter) begin(s Step) {
	m.show(s.Begin)
	m.done += m.last.Work
	m.last = s
}

// energy returns E(t) for a t that is not before the begin of the last step.
func (m *meter) energy(t time.Time) power.Energy {
	return idleEnergy(m.p, t.Sub(m.start)) + m.done + workBy(m.last, t)
}

// show brings what the devices show up to t. A value once shown for a multiple stays, even if the engine is late and the
// step that covers it is only told afterwards: counters must not change between two multiples.
func (m *meter) show(t time.Time) {
	k := int64(t.Sub(m.start) / m.p.CounterPeriod)
	if k <= m.index {
		return
	}
	m.before = m.shown
	if k > m.index+1 {
		m.before = m.energy(m.multiple(k - 1))
	}
	m.index, m.shown = k, m.energy(m.multiple(k))
}

// multiple returns the time of the k-th change of the counters.
func (m *meter) multiple(k int64) time.Time {
	return m.start.Add(time.Duration(k) * m.p.CounterPeriod)
}

// idleEnergy returns what all devices use in d doing nothing.
func idleEnergy(p Params, d time.Duration) power.Energy {
	return power.Energy(mulDiv(int64(p.Idle)*int64(p.Devices), int64(d), int64(time.Second)))
}

// workBy returns the part of the step's work that is done by t.
func workBy(s Step, t time.Time) power.Energy {
	d := min(max(t.Sub(s.Begin), 0), s.Duration)
	return power.Energy(mulDiv(int64(s.Work), int64(d), int64(s.Duration)))
}

// mulDiv returns floor(a*b/c) for a, b >= 0 and c > 0 without overflow of the product.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// split returns device i's equal share of e among n; the shares add up to e exactly, and none ever falls while e grows.
func split(e power.Energy, i, n int) power.Energy {
	share := e / power.Energy(n)
	if power.Energy(i) < e%power.Energy(n) {
		share++
	}
	return share
}
