package characterise

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// point is one refresh of a value.
type point struct {
	at    float64 // when it happened: the middle between the read that gave the new value and the one before
	value float64 // watts; counter: joules since the first
}

// values is what a sensor said, in order, ready for questions.
type values struct {
	first, last float64 // reads
	poll        float64 // median time between reads
	changes     []point // refreshes that changed the value
	quantum     float64 // the smallest step, in watts or joules: what divides all changes. It may be many counts
	counter     bool
	bound       bool // the value changed in nearly every read
}

func (v values) until() [2]float64 { return [2]float64{v.first, v.last} }

// readings turns samples into values. The stretch before the first change is dropped: when it began is not known.
func readings(t Trace, origin clock.Stamp) (values, error) {
	m := t.Meter
	if m.Scale.Num <= 0 || m.Scale.Den <= 0 {
		return values{}, fmt.Errorf("scale %d/%d is not usable", m.Scale.Num, m.Scale.Den)
	}
	list := slices.DeleteFunc(slices.Clone(m.Placed(t.Samples)), func(s power.Sample) bool { return s.Status != power.OK || s.Time <= 0 })
	slices.SortStableFunc(list, func(a, b power.Sample) int { return cmp.Compare(a.Time, b.Time) })
	if len(list) < 2 {
		return values{}, errors.New("fewer than two samples with a value")
	}
	unit := float64(m.Scale.Num) / float64(m.Scale.Den) / 1e6
	at := func(s power.Sample) float64 { return s.Time.Sub(origin).Seconds() }
	v := values{first: at(list[0]), last: at(list[len(list)-1]), counter: m.Quantity == power.Counter}
	var between []float64
	var total, step int64
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		between = append(between, at(b)-at(a))
		if b.Raw == a.Raw {
			continue
		}
		step = divisor(step, b.Raw-a.Raw)
		p := point{(at(a) + at(b)) / 2, float64(b.Raw) * unit}
		if v.counter {
			moved := b.Raw - a.Raw
			if moved < 0 && m.Wrap > 0 {
				moved += m.Wrap
			}
			if moved < 0 {
				return values{}, fmt.Errorf("the counter went back from %d to %d: it was reset during the recording", a.Raw, b.Raw)
			}
			total += moved
			p.value = float64(total) * unit
		}
		v.changes = append(v.changes, p)
	}
	v.poll = medianOf(between)
	v.quantum = unit * float64(max(step, 1))
	v.bound = float64(len(v.changes)) > 0.9*float64(len(between))
	return v, nil
}

// divisor returns the greatest common divisor of two differences; of 0 and x it is |x|.
func divisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return max(a, -a)
}

// period estimates the time between refreshes. A refresh to the same value shows no change, so some gaps are multiples of
// the period: the lower quartile says roughly what one is, every gap is then so many of them.
func (v values) period() Estimate {
	if len(v.changes) < 8 {
		return Estimate{Reason: fmt.Sprintf("the value changed %d times, want 8", len(v.changes))}
	}
	gaps := make([]float64, len(v.changes)-1)
	for i := range gaps {
		gaps[i] = v.changes[i+1].at - v.changes[i].at
	}
	one := slices.Sorted(slices.Values(gaps))[len(gaps)/4]
	if one <= 0 {
		return Estimate{Reason: "changes share one time"}
	}
	var each []float64
	for range 3 { // the count of periods in a gap follows from the period, and the period from the count
		var total, count float64
		each = each[:0]
		for _, g := range gaps {
			n := math.Round(g / one)
			if n < 1 || n > 3 { // longer ones are not needed and count their periods wrong
				continue
			}
			total, count = total+g, count+n
			each = append(each, g/n)
		}
		if count == 0 {
			return Estimate{Reason: "changes come without any period"}
		}
		one = total / count
	}
	_, spread := meanOf(each)
	u := 2 * spread / math.Sqrt(float64(len(each)))
	if v.bound { // the reads are no faster than the sensor: the period may be anything below
		u = one
	}
	return Estimate{Value: one, U: u}
}

// half returns half a period; 0 if it is not known.
func (v values) half() time.Duration { return seconds(v.period().Value / 2) }

// fill returns one point per refresh: where a value stayed for longer than one and a half periods, the sensor was refreshed
// to the same value. A counter's count is known when it changes, so nothing is added to it.
func (v values) fill(period float64) []point {
	if v.counter || period <= 0 || v.bound {
		return v.changes
	}
	var list []point
	for i, p := range v.changes {
		list = append(list, p)
		next := v.last
		if i+1 < len(v.changes) {
			next = v.changes[i+1].at
		}
		for n := 1.0; p.at+n*period < next-period/2; n++ {
			list = append(list, point{p.at + n*period, p.value})
		}
	}
	return list
}
