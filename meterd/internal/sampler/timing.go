package sampler

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// MeterTiming is what a probe saw of one meter.
type MeterTiming struct {
	Meter    power.Meter
	Samples  int           // seen, with or without a value
	Changes  int           // values that differ from the one before
	Last     power.Sample  // the last one: its Status says why there is no value
	Period   time.Duration // between changes; 0: fewer than 4 changes were seen, so nothing can be said
	Bound    bool          // the value changed in nearly every read, so the period is at most Period
	P50, P99 time.Duration // how long the hardware took to answer: twice Sample.Within
}

// FreshShare is the part of the reads that brought a new value, 0 to 1.
func (m MeterTiming) FreshShare() float64 {
	if m.Samples < 2 {
		return 0
	}
	return float64(m.Changes) / float64(m.Samples-1)
}

// Timing is what was seen of a source that was read fast for a while.
type Timing struct {
	Meters []MeterTiming // in the order of their appearance
	Notes  []power.Note
}

// MeasurePeriod reads src for span or until ctx ends, once every so often but never more than half of the time, and tells what it
// saw. Every millisecond is decent for a sensor on this host; a device on the network wants half a second. It returns an error if the
// source fails as a whole; what was seen until then is returned too.
func MeasurePeriod(ctx context.Context, src Source, every, span time.Duration) (Timing, error) {
	ctx, cancel := context.WithTimeout(ctx, span)
	defer cancel()
	w := newWatch()
	p := newTimerPace()
	defer p.stop()
	var samples []power.Sample
	var notes []power.Note
	var failed error
	noter, _ := src.(Noter)
	for due := time.Now(); p.wait(ctx, due) == nil; {
		began := time.Now()
		var err error
		if samples, err = src.Read(ctx, samples[:0]); err != nil {
			if ctx.Err() == nil {
				failed = fmt.Errorf("measure update periods: %w", err)
			}
			break
		}
		w.add(src.Meters(), samples)
		if noter != nil {
			notes = noter.Notes(notes)
		}
		due = time.Now().Add(max(every, time.Since(began)))
	}
	return Timing{w.timings(), notes}, failed
}

// watch collects what was seen, by meter ID, because indexes change when devices come and go.
type watch struct {
	order []string
	seen  map[string]*sight
}

type sight struct {
	MeterTiming
	valued  bool
	value   int64         // the last one
	changes []clock.Stamp // when they were first seen, or happened if the device says when
	costs   []time.Duration
}

func newWatch() *watch { return &watch{seen: map[string]*sight{}} }

func (w *watch) add(meters []power.Meter, samples []power.Sample) {
	for _, s := range samples {
		m := meters[s.Meter]
		x := w.seen[m.ID]
		if x == nil {
			x = &sight{MeterTiming: MeterTiming{Meter: m}}
			w.seen[m.ID] = x
			w.order = append(w.order, m.ID)
		}
		x.Samples++
		x.Last = s
		x.costs = append(x.costs, 2*s.Within)
		if s.Status != power.OK {
			x.valued = false // a value after a hole is not a change that was seen
			continue
		}
		if x.valued && s.Raw != x.value {
			x.Changes++
			at := s.Time
			if s.Device != 0 {
				at = s.Device
			}
			x.changes = append(x.changes, at)
		}
		x.value, x.valued = s.Raw, true
	}
}

func (w *watch) timings() []MeterTiming {
	var list []MeterTiming
	for _, id := range w.order {
		x := w.seen[id]
		slices.Sort(x.costs)
		x.P50, x.P99 = rank(x.costs, 0.50), rank(x.costs, 0.99)
		x.Period = period(x.changes)
		x.Bound = x.FreshShare() > 0.9
		list = append(list, x.MeterTiming)
	}
	return list
}

// rank returns the nearest-rank quantile of sorted values; 0 if there are none.
func rank(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(int(math.Ceil(q*float64(len(sorted)))), 1)-1]
}

// period estimates the time between refreshes from the times of changes. A refresh to the same value shows no change, so
// some gaps are multiples: the lower quartile says roughly what one period is, every gap is then so many of them, and
// the total over the total count is exact to the resolution of one read. 0 if there are fewer than 4 changes.
func period(changes []clock.Stamp) time.Duration {
	if len(changes) < 4 {
		return 0
	}
	gaps := make([]time.Duration, len(changes)-1)
	for i := range gaps {
		gaps[i] = changes[i+1].Sub(changes[i])
	}
	slices.Sort(gaps)
	one := rank(gaps, 0.25)
	if one <= 0 {
		return 0
	}
	var total time.Duration
	count := 0.0
	for _, g := range gaps {
		total += g
		count += max(math.Round(float64(g)/float64(one)), 1)
	}
	return time.Duration(math.Round(float64(total) / count))
}
