package sampler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Sampler reads one source on an absolute schedule and publishes what it says. The exported fields are set before Run and
// not changed after.
type Sampler struct {
	Name     string                        // becomes Batch.Source
	Source   Source                        // closed by whoever opened it, after Run
	Bus      Publisher                     //
	Interval time.Duration                 // between reads; see Precise
	Study    time.Duration                 // start-up characterisation: how long a fast source is read before its schedule; 0: none
	Refine   func(power.Meter) power.Meter // gives a meter its calibration; nil: none. Asked again every minute
	Heard    func([]power.Note)            // is told the source's notes, after which Refine is asked again; nil: nobody
	Usage    func() time.Duration          // processor time that the process has used, for its notes; nil: no such note
	Flush    time.Duration                 // a batch is closed at least this often; 0: 1 s
	Queue    int                           // batches that wait while the bus is away; 0: 64
	Host     string                        // becomes Batch.Host
	Boot     string                        // becomes Batch.Boot
	Clock    Clock                         // gives Batch.Run, Batch.Clock and the stamps; the source stamps with its Now
	Log      *slog.Logger                  // nil: no log

	stats    counters
	losses   losses
	dropping atomic.Bool // an episode of dropped batches has been logged
}

// Clock is the process's clock and its segments (clock.Segments).
type Clock interface {
	Now() clock.Stamp        // the process's clock, which never steps
	Current() *clock.Segment // the segment under way: another pointer when a new one has begun
	Kernel() clock.State     // the kernel's clock state now, on the process's clock
}

const (
	defaultFlush = time.Second
	defaultQueue = 64              // about a minute of outage at the default flush
	drainLimit   = 3 * time.Second // for publishing what is left after cancellation
	maxNotes     = 1000            // in a batch, well below what the codec takes
	maxSamples   = 1000            // in a batch, give or take one read: where the codec's cost per sample is flat
)

// Run samples until ctx is cancelled, then publishes what is left, for at most 3 seconds, and returns nil. It returns an
// error wrapping ErrGone when the source is gone for good; other samplers are not concerned.
//
// Ticks are due at the start and every Interval after. A tick that comes due while a read is still going on, or that is a
// whole interval late, is skipped and counted in Batch.Missed. Sampling never waits for the bus: batches queue, and when
// the queue is full the oldest is dropped, which shows as a gap in Batch.Seq and is named in the Losses of the next batch that
// is stored. A read that fails as a whole is recorded as one sample per meter with status power.Failed.
//
// When the clock begins a new segment, the batch is closed and the next one is the first of another Run, with Seq and Missed
// from the start. Each sample is on the clock of the batch that it is in, whenever it was read.
func (s *Sampler) Run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	q := newQueue(s.Queue)
	publishing, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	var publisher, reader sync.WaitGroup
	publisher.Go(func() { s.publish(publishing, q) })
	var err error
	reader.Go(func() { err = s.sample(ctx, q) })
	reader.Wait()
	close(q.ready)
	limit := time.AfterFunc(drainLimit, abandon)
	defer limit.Stop()
	publisher.Wait()
	return err
}

func (s *Sampler) prepare() error {
	switch {
	case s.Name == "" || s.Source == nil || s.Bus == nil || s.Clock == nil:
		return fmt.Errorf("sample %q: a name, a source, a bus and a clock are needed", s.Name)
	case s.Interval <= 0:
		return fmt.Errorf("sample %q: the interval %v is not positive", s.Name, s.Interval)
	case s.Flush < 0 || s.Queue < 0:
		return fmt.Errorf("sample %q: flush %v or queue %d is negative", s.Name, s.Flush, s.Queue)
	}
	if s.Flush == 0 {
		s.Flush = defaultFlush
	}
	if s.Queue == 0 {
		s.Queue = defaultQueue
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return nil
}

// sample runs the reader on its own goroutine. For a fast schedule the goroutine keeps its thread and never gives it back,
// so that the thread, and with it the priority, ends with the goroutine.
func (s *Sampler) sample(ctx context.Context, q *queue) error {
	var p pace = newTimerPace()
	if Precise(s.Interval) {
		runtime.LockOSThread()
		p = newThreadPace()
	}
	name := p.String()
	s.stats.schedule.Store(&name)
	return newReader(s, q).run(ctx, p)
}

var errQueueFull = errors.New("the bus is too slow or away, and the queue is full")

// hand gives a closed batch to the publisher.
func (s *Sampler) hand(b *power.Batch, q *queue) {
	if old := q.put(b); old != nil {
		s.lose(old, power.LostQueue, errQueueFull)
		q.recycle(old)
	}
	s.stats.queued.Store(int64(len(q.ready)))
}
