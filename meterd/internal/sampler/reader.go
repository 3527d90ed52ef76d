package sampler

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// reader is the sampling side: it owns the schedule and the batch that is being filled. Its steady path does not allocate.
type reader struct {
	*Sampler
	queue   *queue
	segment *clock.Segment
	batch   *power.Batch // being filled
	seq     uint64       // of the batch being filled
	flush   time.Time    // when it is due to be closed
	missed  uint64       // ticks missed by the time of the last closed batch
	origin  uint64       // ticks missed by the time that the segment began
	failing bool         // an episode of failed reads has been logged

	noter    Noter // the source, if it has notes
	describe description
	slow     backoff
	own      selfNotes
	pending  []power.Note // of ours, for the batch
	watching *watch       // of a slow source that is being characterised; nil: none

	watchUntil clock.Stamp
}

func newReader(s *Sampler, q *queue) *reader {
	r := &reader{Sampler: s, queue: q, segment: s.Clock.Current()}
	r.noter, _ = s.Source.(Noter)
	r.describe = description{interval: s.Interval, refine: s.Refine}
	r.slow.interval = s.Interval
	r.begin(r.describe.of(s.Source.Meters()))
	return r
}

// run serves ticks until ctx ends or the source is gone, and hands over the last batch.
func (r *reader) run(ctx context.Context, p pace) error {
	defer p.stop()
	defer r.cut()
	r.study(ctx)
	due := time.Now()
	r.flush = due.Add(r.Flush)
	for {
		interval := r.slow.now()
		cancelled := p.wait(ctx, due)
		late := time.Since(due)
		if n := late / interval; n > 0 { // woken so late that whole ticks have passed
			r.miss(n)
			due = due.Add(n * interval)
		}
		if cancelled != nil {
			return nil
		}
		if now := r.Clock.Current(); now != r.segment {
			r.enter(now)
		}
		r.stats.late.add(late)
		err := r.read(ctx)
		due = due.Add(interval)
		if over := time.Since(due); over > 0 { // ticks came due during the read
			n := (over + interval - 1) / interval
			r.miss(n)
			due = due.Add(n * interval)
		}
		if err != nil {
			return err
		}
		if !due.Before(r.flush) || len(r.batch.Samples) >= maxSamples || len(r.batch.Notes) >= maxNotes {
			r.turn(due)
		}
	}
}

// turn closes the batch and begins the next; the flush schedule is absolute too.
func (r *reader) turn(due time.Time) {
	meters := r.batch.Meters
	r.close()
	r.begin(meters)
	if n := due.Sub(r.flush)/r.Flush + 1; n > 0 {
		r.flush = r.flush.Add(n * r.Flush)
	}
}

// enter closes the last batch of a segment and begins the first of the next. What comes in late and was read before goes into
// the new segment, on its clock: its place on the axis of the boot is the same.
func (r *reader) enter(next *clock.Segment) {
	meters := r.batch.Meters
	r.cut()
	r.segment, r.seq, r.origin = next, 0, r.missed
	r.begin(meters)
	r.Log.Info("clock began a new segment", "source", r.Name, "why", string(next.Why), "step", next.Step, "run", next.Run)
}

// read serves one tick. It returns an error only when the source is gone for good.
func (r *reader) read(ctx context.Context) error {
	r.stats.ticks.Add(1)
	had := len(r.batch.Samples)
	began, before := time.Now(), r.Clock.Now()
	r.stats.served.Store(began.UnixNano())
	samples, err := r.Source.Read(ctx, r.batch.Samples)
	took := time.Since(began)
	r.stats.read.add(took)
	if err != nil {
		if ctx.Err() != nil {
			return nil // the read was called off, which says nothing about the source
		}
		return r.fail(err, before)
	}
	r.batch.Samples = samples
	inner := r.Source.Meters()
	if r.watching != nil {
		r.watch(inner, samples[had:])
	}
	if meters := r.describe.of(inner); !same(meters, r.batch.Meters) {
		r.plug(meters, had)
	}
	r.note(took)
	r.stats.samples.Add(uint64(len(samples) - had))
	if r.failing {
		r.failing = false
		r.Log.Info("source reads again", "source", r.Name, "failed", r.stats.failed.Load())
	}
	return nil
}

// fail records a read that failed as a whole: no value, but the attempt is on record for every meter.
func (r *reader) fail(err error, before clock.Stamp) error {
	r.stats.failed.Add(1)
	status := power.Failed
	gone := errors.Is(err, ErrGone)
	if gone {
		status = power.Lost
	}
	t, within := Stamp(before, r.Clock.Now())
	for i := range r.batch.Meters {
		r.batch.Samples = append(r.batch.Samples, power.Sample{Meter: i, Time: t, Within: within, Status: status})
	}
	if gone {
		return fmt.Errorf("read %s: %w", r.Name, err)
	}
	if !r.failing {
		r.failing = true
		r.Log.Warn("read", "source", r.Name, "err", err)
	}
	return nil
}

// plug closes the batch in front of a read that came with other meters, and moves that read into the next one.
func (r *reader) plug(meters []power.Meter, had int) {
	fresh := r.batch.Samples[had:]
	next := r.queue.empty()
	next.Samples = append(next.Samples, fresh...)
	r.batch.Samples = r.batch.Samples[:had]
	r.cut()
	r.use(next, meters)
	r.Log.Info("meters changed", "source", r.Name, "meters", len(meters))
}

// begin takes an empty batch for meters.
func (r *reader) begin(meters []power.Meter) { r.use(r.queue.empty(), meters) }

func (r *reader) use(b *power.Batch, meters []power.Meter) {
	if want := maxSamples + 2*len(meters); cap(b.Samples) < want {
		b.Samples = append(make([]power.Sample, 0, want), b.Samples...)
	}
	r.seq++
	b.Host, b.Boot, b.Run, b.Source, b.Seq, b.Meters = r.Host, r.Boot, r.segment.Run, r.Name, r.seq, meters
	r.batch = b
}

// cut closes the batch out of turn, unless it has nothing to say.
func (r *reader) cut() {
	if len(r.batch.Samples) == 0 && len(r.batch.Notes) == 0 && r.stats.missed.Load() == r.missed {
		r.queue.recycle(r.batch)
		r.seq--
		return
	}
	r.close()
}

// close stamps the batch and hands it over. At a flush an empty one goes too: it says that the sampler was there, which
// is not the same as silence.
func (r *reader) close() {
	r.missed = r.stats.missed.Load()
	r.batch.Missed = r.missed - r.origin
	r.batch.Clock = r.segment.State(r.Clock.Kernel())
	if r.segment.Moved() {
		r.move()
	}
	r.hand(r.batch, r.queue)
}

// move puts the stamps of the batch onto the clock of its segment.
func (r *reader) move() {
	for i := range r.batch.Samples {
		x := &r.batch.Samples[i]
		x.Time = r.segment.Stamp(x.Time)
		if r.batch.Meters[x.Meter].Buffered { // then the device's time is on the host's clock, too
			x.Device = r.segment.Stamp(x.Device)
		}
	}
	for i := range r.batch.Notes {
		r.batch.Notes[i].Time = r.segment.Stamp(r.batch.Notes[i].Time)
	}
}

func (r *reader) miss(ticks time.Duration) { r.stats.missed.Add(uint64(ticks)) }

// same reports whether a and b are one slice: a source never changes a slice of meters that it has returned.
func same(a, b []power.Meter) bool {
	return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b)
}
