// Package characterise measures a power sensor: how often it is refreshed, over which window it averages, how late it is,
// and how its readings relate to those of a better meter. It works on a recording made while a load was switched between
// idle and busy (see Drive), and says of everything how uncertain it is, or why the recording cannot tell.
//
// Measure and what it uses are pure: the same recording gives the same result. docs/characterise.md has the formulae.
package characterise

import (
	"errors"
	"fmt"
	"math"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Mark is one switching of the load: from At on it was busy, or idle.
type Mark struct {
	At   clock.Stamp
	Busy bool
}

// Trace is what one meter said during the recording. Sample.Meter is ignored.
type Trace struct {
	Meter   power.Meter
	Samples []power.Sample
}

// Estimate is one measured property. Reason says why the recording does not tell it; Value and U are then 0.
type Estimate struct {
	Value  float64
	U      float64 // expanded uncertainty, k = 2, in the unit of Value
	Reason string
}

// Known reports whether there is a value.
func (e Estimate) Known() bool { return e.Reason == "" }

// Result is what a recording says about a sensor. Times are in seconds, powers in watts.
type Result struct {
	Cycles   int      // pairs of a busy and an idle phase that were used
	Against  string   // what window and delay were fitted to: the reference, or the load's own switching
	Period   Estimate // between refreshes of the value
	Window   Estimate // length of the boxcar that one value averages over; not of a counter
	Delay    Estimate // from the middle of the window (counter: from the count) to the moment the value shows
	Rise     Estimate // from 10 % to 90 % of a step, as the values show it
	Noise    Estimate // standard deviation of a value while the load is steady, k = 1
	Gain     Estimate // slope of reading over truth
	Offset   Estimate // reading at no power
	Cross    float64  // correlation of the errors of Gain and Offset, -1 to 1
	Idle     float64  // truth while idle, by the reference; 0 where there is no gain
	Busy     float64  // truth while busy; the gain is known from Idle to Busy and nowhere else
	Residual float64  // spread of the plateaus around the line, k = 1
	Notes    []string // what limits the result, for people
}

// Ratio returns reading / truth at a power in watts, with its expanded uncertainty (k = 2, relative to truth).
func (r Result) Ratio(watts float64) (ratio, u float64) {
	return Ratio(r.Gain, r.Offset, r.Cross, watts)
}

// Ratio returns reading / truth = gain + offset/P at P watts, and its expanded uncertainty: the errors of gain and offset
// are correlated, so it is smallest between the plateaus and grows outside of them.
func Ratio(gain, offset Estimate, cross, watts float64) (ratio, u float64) {
	if watts <= 0 || !gain.Known() || !offset.Known() {
		return 0, math.Inf(1)
	}
	o := offset.U / watts
	return gain.Value + offset.Value/watts, math.Sqrt(max(gain.U*gain.U+o*o+2*cross*gain.U*o, 0))
}

// Options bounds what Measure accepts. The zero value is right.
type Options struct {
	LeastCycles int // cycles below which nothing is estimated but the period; 0: 3
}

// Measure characterises one sensor. ref is nil where there is no better meter; then window and delay are those against the
// load's own switching, and there is no gain. It returns an error where the recording is of no use at all; what a
// usable recording does not tell is an Estimate with a Reason.
func Measure(sensor Trace, ref *Reference, marks []Mark, o Options) (Result, error) {
	if o.LeastCycles == 0 {
		o.LeastCycles = 3
	}
	if err := checkMarks(marks); err != nil {
		return Result{}, fmt.Errorf("characterise %s: %w", sensor.Meter.ID, err)
	}
	origin := marks[0].At
	s, err := readings(sensor, origin)
	if err != nil {
		return Result{}, fmt.Errorf("characterise %s: %w", sensor.Meter.ID, err)
	}
	m := &study{meter: sensor.Meter, values: s, phases: phasesOf(marks, origin, s.until()), least: o.LeastCycles}
	m.result.Period = s.period()
	m.refresh = s.fill(m.result.Period.Value)
	m.result.Cycles = cycles(m.phases)
	if reason := m.tooFew(); reason != "" {
		m.refuse(reason)
		return m.result, nil
	}
	m.against(ref, marks, origin)
	m.timing()
	m.steady(ref)
	return m.result, nil
}

// study is one measurement in progress. Times are in seconds after the first mark.
type study struct {
	meter   power.Meter
	values  values  // as read
	refresh []point // one per refresh
	phases  []phase
	least   int

	curve  *curve // what window and delay are fitted to
	coarse float64
	truth  *curve // the reference; nil: none
	why    string // the reason for truth being nil
	result Result
}

// refuse gives one reason for everything but the period.
func (m *study) refuse(reason string) {
	no := Estimate{Reason: reason}
	r := &m.result
	r.Window, r.Delay, r.Rise, r.Noise, r.Gain, r.Offset = no, no, no, no, no, no
}

// tooFew says why the schedule is not enough; empty: it is.
func (m *study) tooFew() string {
	if n := m.result.Cycles; n < m.least {
		return fmt.Sprintf("%d cycles of busy and idle that the sensor's samples cover, want %d", n, m.least)
	}
	if len(m.refresh) < leastPoints {
		return fmt.Sprintf("the value was refreshed %d times, want %d", len(m.refresh), leastPoints)
	}
	return ""
}

// against chooses what the sensor's response is compared with: the reference where it is fine enough, else the switching.
func (m *study) against(ref *Reference, marks []Mark, origin clock.Stamp) {
	m.curve, m.result.Against = stepCurve(m.phases), "switching"
	if ref == nil {
		m.why = "no reference was given"
		return
	}
	c, err := ref.curve(marks, origin)
	if err != nil {
		m.why = err.Error()
		m.result.Notes = append(m.result.Notes, "the reference is not used: "+m.why)
		return
	}
	m.truth = c
	if ref.Align {
		m.result.Notes = append(m.result.Notes, "the reference has a clock of its own, which was set by the load's switching: what the load needs to rise is in the delay")
	}
	if c.step <= max(m.result.Period.Value, m.meter.Averaging.Seconds()) {
		m.curve, m.coarse, m.result.Against = c, c.step, "reference"
		return
	}
	m.result.Notes = append(m.result.Notes, fmt.Sprintf(
		"the reference gives a value every %.3g s, too coarse for window and delay: they are against the load's own switching", c.step))
}

func checkMarks(marks []Mark) error {
	if len(marks) < 2 {
		return errors.New("fewer than two marks: the load was not switched")
	}
	for i := 1; i < len(marks); i++ {
		if marks[i].At <= marks[i-1].At || marks[i].Busy == marks[i-1].Busy {
			return fmt.Errorf("mark %d: not later than the one before, or the same", i+1)
		}
	}
	return nil
}

// phase is a stretch of the schedule with a constant load.
type phase struct {
	begin, end float64
	busy       bool
}

// phasesOf turns marks into phases, with the one before the first mark and the one after the last; until is where the
// recording ends.
func phasesOf(marks []Mark, origin clock.Stamp, until [2]float64) []phase {
	var list []phase
	begin := until[0]
	for _, m := range marks {
		at := m.At.Sub(origin).Seconds()
		if at > begin {
			list = append(list, phase{begin, at, !m.Busy})
		}
		begin = max(begin, at)
	}
	if until[1] > begin {
		list = append(list, phase{begin, until[1], marks[len(marks)-1].Busy})
	}
	for i, p := range list { // nothing after the recording
		if p.end > until[1] {
			list[i].end = until[1]
			list = list[:i+1]
			break
		}
	}
	return list
}

// cycles counts the busy phases that are followed by an idle one.
func cycles(list []phase) (n int) {
	for i := 1; i < len(list); i++ {
		if list[i-1].busy && !list[i].busy {
			n++
		}
	}
	return n
}
