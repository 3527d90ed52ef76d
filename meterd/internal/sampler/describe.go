package sampler

import (
	"time"

	"agentwatt/shared/power"
)

// description is the meters of a source as they are published: what the source declares, improved by what is known here, the
// schedule, what was measured of the sensors at the start, and their calibrations.
type description struct {
	interval time.Duration
	refine   func(power.Meter) power.Meter // calibration; nil: none
	measured map[string]time.Duration      // refresh periods, by meter ID

	inner, outer []power.Meter
}

// Limits of METHOD 6: more than 0.5 s between fresh values of a fast meter is a gap.
const (
	leastGap = 500 * time.Millisecond
	slowest  = time.Second // the longest interval that is taken for a period: what is read less often than that has gaps
)

// of returns the published form of meters, the same slice for the same slice.
func (d *description) of(meters []power.Meter) []power.Meter {
	if d.outer != nil && same(meters, d.inner) {
		return d.outer
	}
	d.inner, d.outer = meters, make([]power.Meter, len(meters))
	for i, m := range meters {
		d.outer[i] = d.publish(m)
	}
	return d.outer
}

// publish improves one meter. A meter that is read less often than its sensor refreshes has the schedule's period: its values
// are fresh at every read and no sooner. That is for the quiet schedules of METHOD 6's counters, up to a second.
func (d *description) publish(m power.Meter) power.Meter {
	if p := d.measured[m.ID]; p > 0 {
		m.Period, m.PeriodFrom = p, power.Measured
	}
	if d.interval > leastGap/3 && m.Period < min(d.interval, slowest) && (m.Period > 0 || m.PeriodFrom != power.Unknown) {
		m.Period = min(d.interval, slowest)
		m.PeriodFrom = max(m.PeriodFrom, power.Specification)
	}
	m = cleanMeter(m)
	if d.refine != nil {
		m = d.refine(m)
	}
	return m
}

// learn takes in a measured period and forgets the published form, so that the next read has a new one.
func (d *description) learn(t MeterTiming) {
	if t.Period <= 0 || t.Bound || t.Changes < enoughChanges {
		return
	}
	if d.measured == nil {
		d.measured = map[string]time.Duration{}
	}
	d.measured[t.Meter.ID] = t.Period
	d.outer = nil
}

// refresh publishes the meters anew where that makes a difference, as when a calibration has expired.
func (d *description) refresh() {
	for i, m := range d.inner {
		if d.publish(m) != d.outer[i] {
			d.outer = nil
			return
		}
	}
}
