package sampler

import (
	"context"
	"time"

	"agentwatt/shared/power"
)

// Publisher is the bus as the sampler sees it. Publish stores b durably or returns an error; it honours ctx, and it keeps
// nothing of b after it returned, because the sampler fills b again.
type Publisher interface {
	Publish(ctx context.Context, b *power.Batch) error
}

const (
	attemptLimit = 5 * time.Second       // one attempt to publish; an fsync on a busy disk can take seconds
	firstPause   = 50 * time.Millisecond // between attempts, doubled up to lastPause
	lastPause    = 2 * time.Second
)

// publish delivers batches in order until the queue is closed and empty. When ctx ends, what is left is dropped.
func (s *Sampler) publish(ctx context.Context, q *queue) {
	outage := false
	for b := range q.ready {
		s.stats.queued.Store(int64(len(q.ready)))
		b.Losses = s.losses.attach(b.Losses)
		if err := s.deliver(ctx, q, b, &outage); err != nil {
			s.lose(b, power.LostRefused, err)
		} else {
			s.losses.said(len(b.Losses))
			s.stats.batches.Add(1)
			if (outage || s.dropping.Load()) && len(q.ready) == 0 {
				outage = false
				s.dropping.Store(false)
				s.Log.Info("bus keeps up again", "source", s.Name, "seq", b.Seq, "dropped", s.stats.dropped.Load())
			}
		}
		q.recycle(b)
	}
	s.stats.queued.Store(0)
}

// deliver tries to publish b until it succeeds. It gives up, and returns the last error, when ctx ends or when the queue
// behind b is full: b is then the oldest batch, the one to drop, and a batch that the bus will never take does not block
// the others for ever.
func (s *Sampler) deliver(ctx context.Context, q *queue, b *power.Batch, outage *bool) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := s.attempt(ctx, b)
		if err == nil {
			return nil
		}
		s.stats.refused.Add(1)
		if !*outage {
			*outage = true
			s.Log.Warn("publish", "source", s.Name, "seq", b.Seq, "err", err)
		}
		if ctx.Err() != nil || q.full() {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return err
		}
	}
}

func (s *Sampler) attempt(ctx context.Context, b *power.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	return s.Bus.Publish(ctx, b)
}

// lose counts a dropped batch, keeps its name for the next one, and says so in the log once per episode; an episode ends when
// the bus has taken all that waited.
func (s *Sampler) lose(b *power.Batch, reason string, cause error) {
	s.stats.dropped.Add(1)
	s.losses.add(b, reason)
	if !s.dropping.Swap(true) {
		s.Log.Warn("drop batches", "source", s.Name, "seq", b.Seq, "samples", len(b.Samples), "err", cause)
	}
}

// Unsaid returns the batches that were lost and are not named in any stored batch: all of them after Run, to be put on record
// elsewhere.
func (s *Sampler) Unsaid() []power.Loss { return s.losses.list() }
