package sampler

import (
	"slices"
	"strconv"
	"time"

	"agentwatt/shared/power"
)

// selfNotes is when the sampler last spoke of itself: once a minute it says what watching costs.
type selfNotes struct {
	next time.Time
	last time.Time     // of the reading of usage
	used time.Duration // processor time by then
}

const selfEvery = time.Minute

// note puts into the batch what the source came upon, what a study found, and what the sampler knows of itself. took is how long
// the read lasted.
func (r *reader) note(took time.Duration) {
	if r.noter != nil {
		had := len(r.pending)
		r.pending = r.noter.Notes(r.pending)
		r.hear(r.pending[had:])
	}
	r.release()
	if r.slow.add(took) {
		r.tellPace()
	}
	if now := time.Now(); !now.Before(r.own.next) {
		if !r.own.next.IsZero() {
			r.tellCost(now)
			r.describe.refresh()
		}
		r.own.next = now.Add(selfEvery)
	}
}

// release moves what is to be said into the batch, as much as it takes; the rest waits for the next one.
func (r *reader) release() {
	n := min(len(r.pending), max(maxNotes-len(r.batch.Notes), 0))
	if n == 0 {
		return
	}
	for _, x := range r.pending[:n] {
		x.Device, x.Key, x.Value = clean(x.Device), clean(x.Key), clean(x.Value)
		r.batch.Notes = append(r.batch.Notes, x)
	}
	r.pending = slices.Delete(r.pending, 0, n)
}

// hear tells whoever listens what the source noted: a calibration may depend on a driver's version.
func (r *reader) hear(notes []power.Note) {
	if r.Heard != nil && len(notes) > 0 {
		r.Heard(notes)
		r.describe.refresh()
	}
}

// tellPace says that the schedule was stretched, or is back.
func (r *reader) tellPace() {
	r.say("read_interval_seconds", r.slow.now().Seconds())
	r.say("read_p99_seconds", r.slow.p99.Seconds())
	r.Log.Warn("reads take longer or shorter than before", "source", r.Name, "p99", r.slow.p99, "baseline", r.slow.baseline,
		"interval", r.slow.now())
}

// tellCost says how long reads take and how late they begin, since the start, and what part of one processor all of meterd
// used since it last said so.
func (r *reader) tellCost(now time.Time) {
	read, late := r.stats.read.summary(), r.stats.late.summary()
	r.say("read_p50_seconds", read.P50.Seconds())
	r.say("read_p99_seconds", read.P99.Seconds())
	r.say("read_max_seconds", read.Max.Seconds())
	r.say("late_p99_seconds", late.P99.Seconds())
	r.batch.Notes = append(r.batch.Notes, power.Note{Time: r.Clock.Now(), Key: "read_histogram", Value: r.stats.read.String()})
	if r.Usage == nil {
		return
	}
	used := r.Usage()
	if !r.own.last.IsZero() {
		r.say("meterd_cpu_share", (used-r.own.used).Seconds()/now.Sub(r.own.last).Seconds())
	}
	r.own.used, r.own.last = used, now
}

// say adds a note about the source.
func (r *reader) say(key string, value float64) {
	r.batch.Notes = append(r.batch.Notes, power.Note{Time: r.Clock.Now(), Key: key, Value: strconv.FormatFloat(value, 'g', 4, 64)})
}
