package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// The journal is what meterd says of itself: batches without samples, of a source of their own. They mark where a run begins and
// ends, what the clock did, and which batches are lost.
const (
	journalSource = "meterd"
	noteStart     = "start"
	noteStop      = "stop"
	noteReload    = "reload"
	noteSegment   = "segment"
	noteSource    = "source" // once for each source under way, as the note's device
)

// publisher is the bus as the daemon sees it.
type publisher interface {
	Publish(ctx context.Context, b *power.Batch) error
	PublishSigned(ctx context.Context, b *power.Batch) error
}

// journal writes the batches of the source meterd. It is safe for concurrent use.
type journal struct {
	bus      publisher
	host     string
	boot     string
	segments *clock.Segments
	log      *slog.Logger

	mu      sync.Mutex
	run     string // of the last batch
	seq     uint64
	sources []string
	owed    []power.Loss // what no batch has said yet: losses, and batches of the journal of which it is not known whether they are stored
	unsaid  []power.Note // what happened and no batch has said yet
}

const (
	journalTries = 3
	journalLimit = 5 * time.Second        // of one try
	journalPause = 300 * time.Millisecond // between them: as long as it takes to make room, and more
)

// setSources says which sources are under way.
func (j *journal) setSources(names []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sources = names
}

// write stores one batch with what happened, signed, and the losses. Notes get the present time. What cannot be stored now is in
// the next batch that can.
func (j *journal) write(ctx context.Context, notes []power.Note, losses []power.Loss) error {
	segment := j.segments.Current()
	for i := range notes {
		notes[i].Time = segment.Stamp(j.segments.Now())
	}
	err := j.attempt(ctx, notes, losses)
	if err != nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.owed = append(j.owed, losses...)
		j.unsaid = append(j.unsaid, notes...)
	}
	return err
}

// record stores losses that are about to take place. If it cannot, they do not take place.
func (j *journal) record(ctx context.Context, losses []power.Loss) error {
	return j.attempt(ctx, nil, losses)
}

// attempt tries a few times, with a batch of its own each time, so that others can be stored in between: the store may be full,
// and who makes room in it has to say here first what goes.
func (j *journal) attempt(ctx context.Context, notes []power.Note, losses []power.Loss) (err error) {
	for range journalTries {
		if err = j.try(ctx, notes, losses); err == nil || ctx.Err() != nil || !clock.Sleep(ctx, journalPause) {
			return err
		}
	}
	return err
}

// try stores one batch.
func (j *journal) try(ctx context.Context, notes []power.Note, losses []power.Loss) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	segment := j.segments.Current()
	if segment.Run != j.run {
		j.run, j.seq = segment.Run, 0
	}
	j.seq++
	b := &power.Batch{
		Host: j.host, Boot: j.boot, Run: j.run, Source: journalSource, Seq: j.seq,
		Clock: segment.State(j.segments.Kernel()), Losses: slices.Concat(losses, j.owed), Notes: slices.Concat(j.unsaid, notes),
	}
	for _, name := range j.sources {
		b.Notes = append(b.Notes, power.Note{Key: noteSource, Device: name, Value: "on", Time: segment.Stamp(j.segments.Now())})
	}
	limited, cancel := context.WithTimeout(ctx, journalLimit)
	defer cancel()
	if err := j.bus.PublishSigned(limited, b); err != nil {
		j.refused(b)
		return fmt.Errorf("write to the journal: %w", err)
	}
	j.owed, j.unsaid = nil, nil
	return nil
}

// refused notes that a batch of the journal is not known to be stored.
func (j *journal) refused(b *power.Batch) {
	if n := len(j.owed); n > 0 {
		if l := &j.owed[n-1]; l.Run == b.Run && l.Source == b.Source && l.Reason == power.LostRefused && l.Last == b.Seq-1 {
			l.Last = b.Seq
			return
		}
	}
	j.owed = append(j.owed, power.Loss{Run: b.Run, Source: b.Source, First: b.Seq, Last: b.Seq, Reason: power.LostRefused})
}

// segment puts a new segment of the clock on record.
func (j *journal) segment(ctx context.Context, s clock.Segment) {
	notes := []power.Note{{Key: noteSegment, Value: string(s.Why)}}
	for _, f := range s.Facts() {
		notes = append(notes, power.Note{Key: f.Key, Value: f.Value})
	}
	if err := j.write(ctx, notes, nil); err != nil {
		j.log.Warn("a new segment of the clock is not on record", "run", s.Run, "err", err)
	}
}

// start marks the beginning of a run, with what the run before lost if it did not come to its end. stored are the last batches
// of every source.
func (j *journal) start(ctx context.Context, stored []bus.Message) error {
	notes := []power.Note{{Key: noteStart, Value: version}, {Key: "uptime_seconds", Value: strconv.FormatInt(int64(time.Since(processStart)/time.Second), 10)}}
	return j.write(ctx, notes, notStopped(stored))
}

var processStart = time.Now()

// notStopped names what a run had in memory that was killed, or whose host lost its power: of each of its sources all after the
// last batch that is stored. How much that was is not known.
func notStopped(stored []bus.Message) []power.Loss {
	batches := map[string]*power.Batch{}
	for _, m := range stored {
		if b, err := wire.Decode(m.Payload); err == nil {
			batches[b.Source] = b
		}
	}
	last := batches[journalSource]
	if last == nil {
		return nil // a store of the version before journals, or an empty one
	}
	sources := map[string]bool{journalSource: true}
	for _, n := range last.Notes {
		switch n.Key {
		case noteStop:
			return nil
		case noteSource:
			sources[n.Device] = true
		}
	}
	var out []power.Loss
	lose := func(run, source string, first uint64) {
		out = append(out, power.Loss{Run: run, Source: source, First: first, Reason: power.LostStop})
	}
	for source, b := range batches {
		if clock.Process(b.Run) == clock.Process(last.Run) {
			sources[source] = true
		}
	}
	for source := range sources {
		b := batches[source]
		switch {
		case b == nil || clock.Process(b.Run) != clock.Process(last.Run):
			lose(last.Run, source, 1)
		case b.Run != last.Run: // it has stored nothing in the last segment
			lose(b.Run, source, b.Seq+1)
			lose(last.Run, source, 1)
		default:
			lose(b.Run, source, b.Seq+1)
		}
	}
	return out
}
