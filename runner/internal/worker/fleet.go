package worker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// Fleet is the agents of all workers together.
type Fleet struct {
	*Crew
	emit func(bench.Record)
	asks atomic.Int64
}

// Start begins to listen to the workers: emit gets every record, on the coordinator's clock.
func (c *Crew) Start(ctx context.Context, emit func(bench.Record)) (*Fleet, error) {
	f := &Fleet{Crew: c, emit: emit}
	beside, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	if err := c.each(func(m *Member) error { return c.measure(ctx, m) }); err != nil {
		return nil, err
	}
	now := time.Now()
	for _, m := range c.Members {
		m.pulse.heard = now
		beats, err := c.nc.Subscribe(subject(c.Run, "beat."+number(m.index)), func(msg *nats.Msg) {
			var b beat
			if unpack(msg.Data, &b) == nil {
				m.pulse.take(b, m.track.shift(c.Epoch), time.Now())
			}
		})
		if err != nil {
			return nil, fmt.Errorf("listen to worker %s: %w", m.Name, err)
		}
		context.AfterFunc(beside, func() { _ = beats.Unsubscribe() })
		if err := f.follow(beside, m); err != nil {
			return nil, err
		}
	}
	f.beside(func() { f.leases(beside) })
	f.beside(func() { f.clocks(beside) })
	return f, nil
}

// beside runs something until it returns; Close waits for it.
func (f *Fleet) beside(do func()) {
	done := make(chan struct{})
	f.done = append(f.done, done)
	go func() {
		defer close(done)
		do()
	}()
}

// follow reads the records of a worker, in their order.
func (f *Fleet) follow(ctx context.Context, m *Member) error {
	consumer, err := f.js.OrderedConsumer(ctx, streamName(f.Run), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject(f.Run, "records."+number(m.index))},
	})
	if err != nil {
		return fmt.Errorf("follow the records of worker %s: %w", m.Name, err)
	}
	following, err := consumer.Consume(func(msg jetstream.Msg) {
		var b batch
		if err := unpack(msg.Data(), &b); err != nil {
			m.pulse.lose(err)
			return
		}
		shift := m.track.shift(f.Epoch)
		for _, r := range b.Records {
			f.emit(r.Shift(shift))
		}
		m.pulse.took(b)
	})
	if err != nil {
		return fmt.Errorf("follow the records of worker %s: %w", m.Name, err)
	}
	context.AfterFunc(ctx, following.Stop)
	return nil
}

// leases tells the workers that their coordinator is there.
func (f *Fleet) leases(ctx context.Context) {
	for {
		_ = f.nc.Publish(subject(f.Run, "lease"), nil)
		if !clock.Sleep(ctx, lease/15) {
			return
		}
	}
}

// clocks measures the workers' clocks again and again.
func (f *Fleet) clocks(ctx context.Context) {
	for clock.Sleep(ctx, askEvery) {
		_ = f.each(func(m *Member) error { return f.measure(ctx, m) }) // a worker that does not answer is noticed by its beats
	}
}

// Lost returns an error that names the workers that are lost.
func (f *Fleet) Lost() error {
	var errs []error
	now := time.Now()
	for _, m := range f.Members {
		if err := m.pulse.look(now); err != nil {
			errs = append(errs, fmt.Errorf("worker %s on %s is lost: %w", m.Name, m.Host, err))
		}
	}
	return errors.Join(errs...)
}

// Resize tells the workers to be n agents together and blocks until exactly n are active and none is about to leave. It returns
// the stamp of that moment.
func (f *Fleet) Resize(ctx, _ context.Context, n int) (full clock.Stamp, err error) {
	ask := int(f.asks.Add(1))
	err = f.each(func(m *Member) error {
		r := resize{Ask: ask, Agents: share(n, m.index, len(f.Members))}
		if f.spawn > 0 {
			r.Delay = time.Duration(float64(m.index) * float64(time.Second) / f.spawn)
		}
		return f.ask(ctx, m, verbResize, askFor, r, &struct{}{})
	})
	if err != nil {
		return 0, err
	}
	for _, m := range f.Members {
		at, err := f.await(ctx, m, func(p *pulse) bool { return p.beat.Ask == ask })
		if err != nil {
			return 0, fmt.Errorf("bring the fleet to %d agents: worker %s on %s: %w", n, m.Name, m.Host, err)
		}
		full = max(full, at)
	}
	return full, nil
}

// share returns how many of n agents are those of worker i of k.
func share(n, i, k int) int { return (n - i + k - 1) / k }

// await waits until the pulse of a worker is as wanted, the worker is lost, or ctx ends.
func (f *Fleet) await(ctx context.Context, m *Member, wanted func(p *pulse) bool) (full clock.Stamp, err error) {
	for {
		p := &m.pulse
		p.mu.Lock()
		ok, at, more := wanted(p), p.shifted, p.changed()
		p.mu.Unlock()
		if ok {
			return at, nil
		}
		if err := p.look(time.Now()); err != nil {
			return 0, err
		}
		select {
		case <-more:
		case <-time.After(silence / 3):
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// InFlight returns the requests under way, after emit has had the records of all that ended before. Of a worker that does not
// answer it returns nothing; that one is lost.
func (f *Fleet) InFlight() (out []bench.Record) {
	ctx, cancel := context.WithTimeout(context.Background(), silence)
	defer cancel()
	var mu sync.Mutex
	_ = f.each(func(m *Member) error {
		if m.pulse.gone() {
			return nil
		}
		var s state
		err := f.ask(ctx, m, verbState, askFor, struct{}{}, &s)
		if err == nil {
			_, err = f.await(ctx, m, func(p *pulse) bool { return p.records >= s.Records })
		}
		if err != nil {
			m.pulse.lose(err)
			return err
		}
		shift := m.track.shift(f.Epoch)
		mu.Lock()
		defer mu.Unlock()
		for _, r := range s.InFlight {
			out = append(out, r.Shift(shift))
		}
		return nil
	})
	return out
}

// Active returns how many agents are live, as far as was heard.
func (f *Fleet) Active() (n int) {
	for _, m := range f.Members {
		m.pulse.mu.Lock()
		n += m.pulse.beat.Active
		m.pulse.mu.Unlock()
	}
	return n
}

// Costs returns what the workers cost and sent since the last call.
func (f *Fleet) Costs(ctx context.Context) []bench.WorkerFacts {
	facts := make([]bench.WorkerFacts, len(f.Members))
	_ = f.each(func(m *Member) error {
		w := bench.WorkerFacts{Name: m.Name}
		if !m.pulse.gone() {
			w.Answered = f.ask(ctx, m, verbCost, askFor, struct{}{}, &w.Client) == nil
		}
		w.Clock = m.track.said()
		m.pulse.mu.Lock()
		w.Records, m.pulse.counted = m.pulse.counted, 0
		m.pulse.mu.Unlock()
		facts[m.index] = w
		return nil
	})
	return facts
}

// Wait ends the workers' jobs and blocks until they have.
func (f *Fleet) Wait() { f.Close() }
