package worker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"agentwatt/shared/clock"
)

// Time between signs of life, and how long without them a worker, or the coordinator, is taken for lost.
const (
	beatEvery  = 250 * time.Millisecond
	flushEvery = 250 * time.Millisecond
	silence    = 3 * time.Second
	lease      = 15 * time.Second
	askFor     = 2 * time.Second
)

// pulse is what a worker was heard to say.
type pulse struct {
	mu      sync.Mutex
	heard   time.Time // the last sign of life
	beat    beat
	shifted clock.Stamp   // the beat's Full on the coordinator's clock
	records int           // messages with records received, all of those before included
	counted int           // records in them
	more    chan struct{} // closed and replaced when anything changes
	lost    error
}

func (p *pulse) changed() <-chan struct{} {
	if p.more == nil {
		p.more = make(chan struct{})
	}
	return p.more
}

// change changes the pulse under its lock and wakes who waits.
func (p *pulse) change(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
	if p.more != nil {
		close(p.more)
		p.more = nil
	}
}

// take takes a sign of life.
func (p *pulse) take(b beat, shift time.Duration, now time.Time) {
	p.change(func() {
		p.beat, p.heard, p.shifted = b, now, b.Full.Add(shift)
		if b.Broken != "" && p.lost == nil {
			p.lost = errors.New(b.Broken)
		}
	})
}

// took notes that a message with records came. Each has to be the next.
func (p *pulse) took(b batch) {
	p.change(func() {
		if b.Seq != p.records+1 && p.lost == nil {
			p.lost = fmt.Errorf("records are missing: message %d came after %d", b.Seq, p.records)
		}
		p.records = b.Seq
		p.counted += len(b.Records)
	})
}

// look tells whether the worker is lost.
func (p *pulse) look(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if d := now.Sub(p.heard); p.lost == nil && d > silence {
		p.lost = fmt.Errorf("it has not been heard for %v", d.Round(100*time.Millisecond))
	}
	return p.lost
}

// lose says why the worker is lost.
func (p *pulse) lose(why error) {
	p.change(func() {
		if p.lost == nil {
			p.lost = why
		}
	})
}

// gone reports whether the worker is known to be lost: it is not asked any more.
func (p *pulse) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost != nil
}
