package search

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// keep is how much decoded power is held in memory before the phase under way: an edge needs the change before it.
const keep = 30 * time.Second

// Power follows the bus: every batch goes to the run directory as it came, and what a phase needs stays in memory.
type Power struct {
	Conn  *bus.Conn
	Dir   *rundir.Dir
	Now   func() clock.Stamp
	Boot  string      // of the runner: hosts of another boot are asked for their clocks
	Epoch clock.Stamp // of the runner's clock; zero: not known, nobody is asked

	mu       sync.Mutex
	batches  []power.Batch
	warnings []string
	latest   map[string]clock.Stamp // newest sample, by host and source
	boots    map[string]string      // of the last batch of each host
	clocks   []clock.Exchange
	changed  chan struct{} // closed and replaced with every batch
}

// Run follows the bus from the given stamp until ctx ends. It flushes the evidence once a second.
func (p *Power) Run(ctx context.Context, from clock.Stamp) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	flushing, stop := context.WithCancel(ctx)
	defer stop()
	var flushed error
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-flushing.Done():
				return
			case <-tick.C:
				if flushed = p.Dir.FlushBatches(); flushed != nil {
					return
				}
			}
		}
	})
	var asked error
	wg.Go(func() { asked = p.askClocks(flushing) })
	err := p.Conn.Follow(ctx, from, p.take)
	stop()
	wg.Wait()
	if ctx.Err() != nil {
		err = nil
	}
	return cmp.Or(err, flushed, asked)
}

// take stores one message and keeps its batch.
func (p *Power) take(m bus.Message) error {
	if err := p.Dir.AppendBatch(m.Host, rundir.Received{Sequence: m.Sequence, Stored: m.Stored, Payload: m.Payload}); err != nil {
		return err
	}
	b, err := wire.Decode(m.Payload)
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.Gap != nil {
		p.warnings = append(p.warnings, fmt.Sprintf("power stream of %s: %v", m.Host, m.Gap))
	}
	if err != nil { // kept as evidence, useless as power: doubt, not an end
		p.warnings = append(p.warnings, fmt.Sprintf("power message %d of %s cannot be decoded: %v", m.Sequence, m.Subject, err))
		return nil
	}
	p.batches = append(p.batches, *b)
	if p.latest == nil {
		p.latest, p.boots = map[string]clock.Stamp{}, map[string]string{}
	}
	p.boots[b.Host] = b.Boot
	key := b.Host + "/" + b.Source
	for _, s := range b.Samples {
		p.latest[key] = max(p.latest[key], s.Time)
	}
	if p.changed != nil {
		close(p.changed)
		p.changed = nil
	}
	return nil
}

// Forget drops batches that end before the stamp, minus what an edge needs.
func (p *Power) Forget(before clock.Stamp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	cut := before.Add(-keep)
	p.batches = slices.DeleteFunc(p.batches, func(b power.Batch) bool {
		return !slices.ContainsFunc(b.Samples, func(s power.Sample) bool { return s.Time >= cut })
	})
}

// Batches returns what is in memory. Batches are not changed after they were received.
func (p *Power) Batches() []power.Batch {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.batches)
}

// Warnings returns what went wrong on the way.
func (p *Power) Warnings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.warnings)
}

// Sources returns the hosts and sources seen so far.
func (p *Power) Sources() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for k := range p.latest {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// Await blocks until every source seen so far has samples after the stamp, or the wait is over. A source that stays away
// is no error here: the join will find it uncovered.
func (p *Power) Await(ctx context.Context, after clock.Stamp, wait time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		p.mu.Lock()
		behind := len(p.latest) == 0
		for _, newest := range p.latest {
			behind = behind || newest <= after
		}
		if p.changed == nil {
			p.changed = make(chan struct{})
		}
		changed := p.changed
		p.mu.Unlock()
		if !behind {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
