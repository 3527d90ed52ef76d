package search

import (
	"slices"
	"sync"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// log gathers what the agents emit. Phases take what ended during them.
type log struct {
	mu      sync.Mutex
	phase   int
	begin   clock.Stamp // of the phase
	records []bench.Record
	taken   int // records that are in the file of the phase before
}

// add is the fleet's Emit.
func (l *log) add(r bench.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Phase = l.phase
	if r.Sched < l.begin { // begun before the phase: it belongs to the one before and is kept as context only
		r.Phase--
	}
	l.records = append(l.records, r)
}

// start begins a phase and forgets the records that were taken. What ended since then goes into the new phase's file, so
// that every request is in some file.
func (l *log) start(phase int, begin clock.Stamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase, l.begin = phase, begin
	l.records, l.taken = slices.Clone(l.records[l.taken:]), 0
}

// take returns the records of the phase, which are about to be written.
func (l *log) take() []bench.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken = len(l.records)
	return l.records[:l.taken:l.taken]
}

// snapshot returns the records so far. The slice is only appended to by others and must not be changed.
func (l *log) snapshot() []bench.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[:len(l.records):len(l.records)]
}
