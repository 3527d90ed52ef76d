package influx

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

// Pauses between tries, doubled from the first to the last, unless the server asks for another.
const (
	firstPause  = time.Second
	lastPause   = time.Minute
	firstClosed = 10 * time.Second // where somebody has to change something first
	lastClosed  = 5 * time.Minute
)

// enough is how many refused lines of one batch are searched for. Beyond, a server that says how many lines it left out, having
// written the others, is believed.
const enough = 16

// batch is the lines of one request, and what became of its parts.
type batch struct {
	proven bool // the server has taken something meanwhile, so it is not everything that it refuses
	found  int  // refused lines
}

// deliver writes lines: all, but those that the server will never take. It returns an error only when ctx ends.
func (s *Sink) deliver(ctx context.Context, l lines, b *batch) error {
	if l.count() == 0 {
		return nil
	}
	for try := 0; ; try++ {
		o := s.attempt(ctx, l.text)
		if err := ctx.Err(); err != nil && o.verdict != written {
			return err
		}
		switch o.verdict {
		case written:
			b.proven = true
			s.wrote(l.count())
			return nil
		case tooLarge:
			s.most = max(1, min(s.most, l.count()/2))
			if l.count() > 1 {
				return s.split(ctx, l, b)
			}
			s.reject(l, 1, o.err)
			return nil
		case refused:
			if done, err := s.sift(ctx, l, b, &o); done || err != nil {
				return err
			}
		}
		s.note(func(st *Stats) { st.Retries++ })
		if err := s.wait(ctx, o, try); err != nil {
			return err
		}
	}
}

// attempt sends one request and follows what it says about the server.
func (s *Sink) attempt(ctx context.Context, text []byte) outcome {
	o := s.client.send(ctx, text)
	switch {
	case o.verdict == busy || o.verdict == closed:
		s.failed(ctx, o)
	case o.verdict == written:
		s.succeeded()
	}
	return o
}

// sift deals with lines of which the server refuses some. done says that they are dealt with; else the server refuses
// everything, o says so, and it is to be waited for.
func (s *Sink) sift(ctx context.Context, l lines, b *batch, o *outcome) (done bool, err error) {
	n := l.count()
	if o.dropped >= n || o.dropped > 0 && b.found >= enough { // all of them, or we have seen enough
		lost := min(o.dropped, n)
		b.found += lost
		s.wrote(n - lost)
		s.reject(l, lost, o.err)
		return true, nil
	}
	if n > 1 {
		return true, s.split(ctx, l, b)
	}
	if !b.proven {
		probe := s.attempt(ctx, said(s.o.Host, clock.At(time.Now()), s.Stats()))
		if probe.verdict != written {
			if probe.verdict == refused || probe.verdict == tooLarge {
				probe = outcome{verdict: closed, err: fault.Hint(o.err, "it refuses every line: is influx.url an InfluxDB, and influx.bucket right?")}
				s.failed(ctx, probe)
			}
			*o = probe
			return false, ctx.Err()
		}
		b.proven = true
	}
	b.found++
	s.reject(l, 1, o.err)
	return true, nil
}

func (s *Sink) split(ctx context.Context, l lines, b *batch) error {
	first, second := l.halves()
	if err := s.deliver(ctx, first, b); err != nil {
		return err
	}
	return s.deliver(ctx, second, b)
}

// wait pauses before try number try+1.
func (s *Sink) wait(ctx context.Context, o outcome, try int) error {
	first, last := firstPause, lastPause
	if o.verdict == closed {
		first, last = firstClosed, lastClosed
	}
	pause := o.wait
	if pause == 0 {
		pause = min(first<<min(try, 16), last)
		pause = pause*4/5 + rand.N(pause*2/5) // many hosts wait for one server
	}
	if err := s.sleep(ctx, pause); err != nil {
		return err
	}
	if !o.denied {
		return nil
	}
	if err := s.client.renew(); err != nil {
		s.note(func(st *Stats) { st.LastError = err.Error() })
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return ctx.Err()
}

func (s *Sink) wrote(n int) { s.note(func(st *Stats) { st.Points += uint64(n) }) }

func (s *Sink) succeeded() {
	s.note(func(st *Stats) { st.Requests++; st.LastSuccess = time.Now(); st.Failing = false })
	s.trouble.end(func(lasted time.Duration) {
		s.o.Log.Info("InfluxDB takes points again", "url", s.o.URL, "after", lasted.Round(time.Millisecond))
	})
}

func (s *Sink) failed(ctx context.Context, o outcome) {
	if ctx.Err() != nil {
		return
	}
	s.note(func(st *Stats) { st.LastError, st.LastFailure, st.Failing = o.err.Error(), time.Now(), true })
	s.trouble.begin(o.verdict == closed, func() {
		s.o.Log.Warn("InfluxDB does not take points; they stay in the store and are tried again", hinted(o.err, "url", s.o.URL, "err", o.err)...)
	})
}

// hinted adds the hint of err to the attributes of a log line.
func hinted(err error, attrs ...any) []any {
	if advice := fault.Advice(err); advice != "" {
		attrs = append(attrs, "hint", advice)
	}
	return attrs
}

// reject counts lines that are passed over, and logs one.
func (s *Sink) reject(l lines, n int, err error) {
	s.note(func(st *Stats) { st.Rejected += uint64(n); st.LastError, st.LastFailure = err.Error(), time.Now() })
	s.refusals.add(s.o.Log, n, l.part(0, 1).text, err)
}

// episode is a stretch of trouble, which is logged once and at its end; and once more when it gets worse.
type episode struct {
	since time.Time // zero: there is none
	worse bool
}

func (e *episode) begin(worse bool, tell func()) {
	if e.since.IsZero() || worse && !e.worse {
		tell()
	}
	if e.since.IsZero() {
		e.since = time.Now()
	}
	e.worse = e.worse || worse
}

func (e *episode) end(tell func(lasted time.Duration)) {
	if !e.since.IsZero() {
		tell(time.Since(e.since))
	}
	*e = episode{}
}

// refusals logs lines that are passed over, one a minute at most.
type refusals struct {
	last  time.Time
	since uint64 // points, since the last line of the log
}

func (r *refusals) add(log *slog.Logger, n int, line []byte, err error) {
	r.since += uint64(n)
	if !r.last.IsZero() && time.Since(r.last) < time.Minute {
		return
	}
	log.Error("InfluxDB refuses points for good; they are passed over", "points", r.since, "line", clip(string(line)), "err", err)
	*r = refusals{last: time.Now()}
}
