package characterise

import (
	"fmt"
	"math"

	"agentwatt/shared/power"
)

// plateau is one phase without its edges: the mean of the sensor's values, and of the truth over the same windows.
type plateau struct {
	busy   bool
	x, y   float64   // truth and reading in watts
	u      float64   // standard uncertainty of y - gain·x from noise
	spread []float64 // what is left of each value, in watts
}

// alike is the relative standard uncertainty below which no plateau is believed: one whose values happen to be equal would
// take all the weight.
const alike = 1e-4

// rounding is the standard uncertainty of a power value from the size of one count. A counter's is in each plateau already.
func (m *study) rounding() float64 {
	if m.values.counter {
		return 0
	}
	return m.values.quantum / math.Sqrt(12)
}

// leastValues is how many values of the sensor a plateau needs.
const leastValues = 4

// steady estimates noise, gain and offset from the plateaus.
func (m *study) steady(ref *Reference) {
	r := &m.result
	truth := m.truth
	if truth == nil {
		truth = stepCurve(m.phases)
	}
	if m.values.counter {
		r.Noise = Estimate{Reason: "a counter's noise is its count"}
	}
	list := m.plateaus(truth)
	if !m.values.counter {
		r.Noise = noise(list, m.values.quantum)
	}
	no := Estimate{Reason: m.noGain(ref, list)}
	if !no.Known() {
		r.Gain, r.Offset = no, no
		return
	}
	m.gain(ref, list)
}

// noGain says why the readings cannot be compared with the truth; empty: they can.
func (m *study) noGain(ref *Reference, list []plateau) string {
	switch {
	case m.truth == nil:
		return m.why
	case ref.Scope != "" && ref.Scope != m.meter.Scope:
		return fmt.Sprintf("the reference measures the %s and the sensor the %s: other loads and conversion losses lie between them", ref.Scope, m.meter.Scope)
	case ref.Accuracy <= 0:
		return "the accuracy of the reference is not known, so a gain against it would have no uncertainty"
	}
	var sum, count [2]float64
	for _, p := range list {
		sum[index(p.busy)] += p.x
		count[index(p.busy)]++
	}
	if count[0] == 0 || count[1] == 0 {
		return fmt.Sprintf("%.0f idle and %.0f busy phases long enough for sensor and reference to be steady, want one of each", count[0], count[1])
	}
	if idle, busy := sum[0]/count[0], sum[1]/count[1]; busy-idle < 0.05*busy || idle < 0 {
		return fmt.Sprintf("no step: the reference shows %.4g W idle and %.4g W busy", idle, busy)
	}
	return ""
}

func index(busy bool) int {
	if busy {
		return 1
	}
	return 0
}

// plateaus cuts the edges off the phases: what a window, the delay, and their uncertainties reach over, and what the
// reference needs to settle.
func (m *study) plateaus(truth *curve) []plateau {
	w, c := m.windowDelay()
	edge := m.result.Delay.U + m.result.Window.U + 2*truth.step
	if !m.result.Delay.Known() {
		edge += max(1, 2*m.result.Period.Value)
	}
	var list []plateau
	for _, p := range m.phases {
		settle := edge + (p.end-p.begin)/10 // a load needs a while to be steady
		begin, end := p.begin+settle, p.end-settle
		var at []point
		for _, q := range m.refresh {
			if q.at-c-w/2 >= begin && q.at-c+w/2 <= end && truth.covers(q.at-c-w/2, q.at-c+w/2) {
				at = append(at, q)
			}
		}
		if one, ok := m.plateau(truth, at, w, c); ok {
			one.busy = p.busy
			one.u = math.Hypot(math.Hypot(one.u, m.rounding()), alike*one.y)
			list = append(list, one)
		}
	}
	return list
}

// windowDelay returns what was measured, or else what the meter declares.
func (m *study) windowDelay() (w, c float64) {
	w, c = m.meter.Averaging.Seconds(), m.meter.Delay.Seconds()
	if m.meter.Quantity == power.Mean {
		c += w / 2
	}
	if m.result.Window.Known() {
		w = m.result.Window.Value
	}
	if m.result.Delay.Known() {
		c = m.result.Delay.Value
	}
	return w, c
}

// plateau averages the values of one phase.
func (m *study) plateau(truth *curve, at []point, w, c float64) (plateau, bool) {
	if m.values.counter {
		return m.counted(truth, at, c)
	}
	if len(at) < leastValues {
		return plateau{}, false
	}
	var xs, ys []float64
	for _, q := range at {
		xs, ys = append(xs, truth.mean(q.at-c, w)), append(ys, q.value)
	}
	var p plateau
	p.x, _ = meanOf(xs)
	p.y, _ = meanOf(ys)
	ratio := 0.0 // the truth's own swings, as the sensor shows them
	if m.truth != nil && p.x > 0 {
		ratio = p.y / p.x
	}
	for i := range xs {
		p.spread = append(p.spread, ys[i]-p.y-ratio*(xs[i]-p.x))
	}
	_, sd := meanOf(p.spread)
	p.u = sd / math.Sqrt(effective(p.spread))
	return p, true
}

// counted is the mean power between the first and the last count of one phase. Each count is known to half a read.
func (m *study) counted(truth *curve, at []point, c float64) (plateau, bool) {
	if len(at) < 2 {
		return plateau{}, false
	}
	a, b := at[0], at[len(at)-1]
	d := b.at - a.at
	p := plateau{x: (truth.to(b.at-c) - truth.to(a.at-c)) / d, y: (b.value - a.value) / d}
	p.u = math.Hypot(p.y*m.values.poll, m.values.quantum) / math.Sqrt(6) / d
	return p, d > 0
}

// noise pools the spread of the values within plateaus.
func noise(list []plateau, quantum float64) Estimate {
	var sum, n, worth float64
	for _, p := range list {
		for _, x := range p.spread {
			sum += x * x
		}
		if len(p.spread) > 1 {
			n += float64(len(p.spread) - 1)
			worth += effective(p.spread) - 1
		}
	}
	if n < leastValues {
		return Estimate{Reason: "no phase is long enough for the sensor to be steady"}
	}
	sd := math.Sqrt(sum / n)
	return Estimate{Value: sd, U: 2 * math.Hypot(sd/math.Sqrt(2*max(worth, 1)), quantum/math.Sqrt(12))}
}
