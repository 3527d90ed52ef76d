package influx

import (
	"context"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
)

const (
	mostMessages = 64               // of one round, so 64 MiB at the very most; usually some hundred kB
	mostBytes    = 4 << 20          // of one request, before compression
	reportEvery  = 10 * time.Second // how often the Sink speaks of itself
	share        = 4                // catching up takes at most 1/share of one processor
)

// Run forwards the stream until ctx ends. What is not written then stays in the stream.
func (s *Sink) Run(ctx context.Context) {
	defer s.client.close()
	for pause := firstPause; ctx.Err() == nil; {
		begin := time.Now()
		n, err := s.round(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			s.note(func(st *Stats) { st.LastError, st.LastFailure = err.Error(), time.Now() })
			s.store.begin(false, func() { s.o.Log.Warn("the stream cannot be read for InfluxDB", hinted(err, "err", err)...) })
			_ = s.sleep(ctx, pause)
			pause = min(2*pause, lastPause)
		default:
			pause = firstPause
			s.store.end(func(lasted time.Duration) {
				s.o.Log.Info("the stream can be read for InfluxDB again", "after", lasted.Round(time.Millisecond))
			})
			s.rest(ctx, n, begin)
		}
	}
}

// round forwards what is there, up to mostMessages, and returns how many messages that was.
func (s *Sink) round(ctx context.Context) (n int, err error) {
	messages, err := s.cursor.Next(ctx, mostMessages)
	if err != nil {
		return 0, err
	}
	s.worked, s.client.wire.took = 0, 0
	for _, m := range messages {
		if err := s.forward(ctx, m); err != nil {
			return 0, err
		}
	}
	if err := s.report(ctx); err != nil {
		return 0, err
	}
	if err := s.flush(ctx); err != nil {
		return 0, err
	}
	if err := s.cursor.Done(ctx); err != nil {
		return 0, err
	}
	s.note(func(st *Stats) { st.Messages += uint64(len(messages)) })
	return len(messages), nil
}

// forward turns a message into lines, and sends them as requests fill up.
func (s *Sink) forward(ctx context.Context, m bus.Message) error {
	begin := time.Now()
	defer func() { s.worked += time.Since(begin) }()
	seq, unread := s.encode.lines(m)
	s.count(m, unread)
	for line := range seq {
		s.lines.add(line)
		if s.lines.count() < s.most && len(s.lines.text) < mostBytes {
			continue
		}
		s.worked += time.Since(begin)
		err := s.flush(ctx)
		begin = time.Now()
		if err != nil {
			return err
		}
	}
	return nil
}

// count counts and logs what is lost with a message.
func (s *Sink) count(m bus.Message, unread error) {
	var lost uint64
	if m.Gap != nil {
		s.o.Log.Error("batches were gone from the store before InfluxDB took them", "err", m.Gap)
		if !m.Gap.NewStore {
			lost = m.Gap.Before - 1 - m.Gap.After
		}
	}
	if unread == nil {
		s.unread.end(func(time.Duration) { s.o.Log.Info("stored batches can be decoded again", "sequence", m.Sequence) })
	} else {
		lost++
		s.unread.begin(false, func() {
			s.o.Log.Error("stored batches are passed over", "subject", m.Subject, "sequence", m.Sequence, "err", unread)
		})
	}
	if lost > 0 {
		s.note(func(st *Stats) { st.Lost += lost })
	}
}

// flush sends the lines that have come together.
func (s *Sink) flush(ctx context.Context) error {
	if err := s.deliver(ctx, s.lines, new(batch)); err != nil {
		return err
	}
	s.lines.reset()
	return nil
}

// report adds the point in which the Sink speaks of itself, when that is due.
func (s *Sink) report(ctx context.Context) error {
	now := time.Now()
	if now.Sub(s.reported) < reportEvery {
		return nil
	}
	lag, err := s.cursor.Lag(ctx)
	if err != nil {
		return err
	}
	s.reported = now
	s.note(func(st *Stats) { st.Lag = lag })
	s.lines.add(said(s.o.Host, clock.At(now), s.Stats()))
	return nil
}

// rest waits before the next round: for more to come together, or, where there is more than a round, so long that catching up
// leaves the processors to others.
func (s *Sink) rest(ctx context.Context, messages int, begin time.Time) {
	pause := time.Until(begin.Add(s.o.Flush))
	if messages == mostMessages {
		pause = (share - 1) * (s.worked + s.client.wire.took)
	}
	if pause > 0 {
		_ = s.sleep(ctx, pause)
	}
}
