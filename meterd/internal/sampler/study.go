package sampler

import (
	"context"
	"strconv"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Start-up characterisation: how often a sensor really refreshes, and what a read costs, on this device. A source that is read
// often is read as fast as is decent for a moment before its schedule begins; one that is read once a second or less, such as
// a BMC, is watched on its schedule until it has changed often enough.
const (
	enoughChanges = 10
	watchChanges  = 30
	watchLongest  = 10 * time.Minute
)

// study measures a fast source before its schedule. What it saw goes into the description and, as notes, into the stream.
func (r *reader) study(ctx context.Context) {
	if r.Study <= 0 {
		return
	}
	if r.Interval >= slowest {
		r.watching, r.watchUntil = newWatch(), r.Clock.Now().Add(watchLongest)
		return
	}
	seen, err := MeasurePeriod(ctx, r.Source, time.Millisecond, r.Study)
	if err != nil {
		r.Log.Warn("characterise", "source", r.Name, "err", err)
	}
	r.pending = append(r.pending, seen.Notes...)
	r.hear(seen.Notes)
	r.conclude(seen.Meters)
}

// watch adds one read to the study of a slow source, and ends it when it can.
func (r *reader) watch(meters []power.Meter, samples []power.Sample) {
	r.watching.add(meters, samples)
	if !r.watching.enough() && r.Clock.Now() < r.watchUntil {
		return
	}
	r.conclude(r.watching.timings())
	r.watching = nil
}

// enough reports whether every meter that has values changed often enough to say how often it does, or changes in every read.
func (w *watch) enough() bool {
	for _, x := range w.seen {
		if x.valued && x.Changes < watchChanges {
			return false
		}
	}
	return len(w.seen) > 0
}

// conclude puts what a study found where it belongs.
func (r *reader) conclude(timings []MeterTiming) {
	now := r.Clock.Now()
	for _, t := range timings {
		r.describe.learn(t)
		r.pending = t.notes(r.pending, now)
	}
}

// notes appends what the study says of one meter. The period of a meter that changes in nearly every read is only bounded.
func (t MeterTiming) notes(dst []power.Note, at clock.Stamp) []power.Note {
	add := func(key string, value float64) {
		dst = append(dst, power.Note{Time: at, Device: t.Meter.ID, Key: key, Value: strconv.FormatFloat(value, 'g', 6, 64)})
	}
	switch {
	case t.Period > 0 && t.Bound:
		add("measured_period_at_most_seconds", t.Period.Seconds())
	case t.Period > 0:
		add("measured_period_seconds", t.Period.Seconds())
	}
	add("fresh_share", t.FreshShare())
	add("read_p50_seconds", t.P50.Seconds())
	add("read_p99_seconds", t.P99.Seconds())
	return dst
}
