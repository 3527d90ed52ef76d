package characterise

import (
	"errors"
	"fmt"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Reference is the better meter that a sensor is compared with.
type Reference struct {
	Name        string      // meter ID or file name
	Digest      string      // sha256 of the file in hex; empty for a meter
	Certificate string      // of its calibration; empty: none
	Scope       power.Scope // what it measures; empty: the very same as the sensor, as the user says
	Accuracy    float64     // of its gain, relative, k = 2; 0 or negative: not known
	Floor       float64     // of its zero, in watts, k = 2; 0: none
	Align       bool        // its clock is not ours: find the offset by the load's switching
	ClockU      float64     // of its clock against ours, in seconds, k = 2; 0: it is ours. Align finds it itself

	points  []reading // in order
	counter bool      // the readings are energies
	quantum float64   // size of one count in watts; 0 for a counter, whose count adds up
}

// reading is one value of a reference: of power in watts, or of energy in joules since the first.
type reading struct {
	at    clock.Stamp
	value float64
}

// FromTrace makes a reference of another meter's samples, with the meter's own delay, scope and accuracy.
func FromTrace(t Trace) (Reference, error) {
	m := t.Meter
	r := Reference{Name: m.ID, Scope: m.Scope, Accuracy: m.Accuracy, counter: m.Quantity == power.Counter}
	if len(t.Samples) == 0 {
		return r, fmt.Errorf("reference %s: no samples", m.ID)
	}
	origin := t.Samples[0].Time
	v, err := readings(t, origin)
	if err != nil {
		return r, fmt.Errorf("reference %s: %w", m.ID, err)
	}
	delay := m.Delay
	switch {
	case m.Quantity == power.Mean:
		delay += m.Averaging / 2
	case m.Quantity == power.Held && m.DelayFrom == power.Unknown: // nobody knows; most likely the mean of the period before
		delay = v.half()
	case m.Quantity == power.Held: // it is said to hold for the period that begins Delay before it is read
		delay -= v.half()
	}
	if !r.counter {
		r.quantum = v.quantum
	}
	for _, p := range v.fill(v.period().Value) {
		at := origin.Add(seconds(p.at)).Add(-delay)
		r.points = append(r.points, reading{at, p.value})
	}
	if len(r.points) < 2 {
		return r, fmt.Errorf("reference %s: its value never changed", m.ID)
	}
	return r, nil
}

// curve returns the reference's energy over time, after origin and on our clock.
func (r *Reference) curve(marks []Mark, origin clock.Stamp) (*curve, error) {
	if len(r.points) < 2 {
		return nil, errors.New("the reference has no values")
	}
	points := make([]point, len(r.points))
	for i, p := range r.points {
		points[i] = point{p.at.Sub(origin).Seconds(), p.value}
	}
	c := powerCurve(points)
	if r.counter {
		c = energyCurve(points)
	}
	c.quantum = r.quantum
	for i := 1; i < len(points); i++ {
		if d := points[i].at - points[i-1].at; d > 10*c.step && d > 0.5 {
			return nil, fmt.Errorf("the reference has a gap of %.3g s, %.3f s after the first mark", d, points[i-1].at)
		}
	}
	last := marks[len(marks)-1].At.Sub(origin).Seconds()
	clock := r.ClockU / 2
	if r.Align {
		offset, u, err := align(c, marks, origin)
		if err != nil {
			return nil, err
		}
		c, clock = c.moved(-offset), u
	}
	c.clock = clock
	if !c.covers(0, last) {
		return nil, fmt.Errorf("the reference does not cover the load's schedule: it runs from %.3f s to %.3f s, the schedule from 0 to %.3f s",
			c.at[0], c.at[len(c.at)-1], last)
	}
	return c, nil
}
