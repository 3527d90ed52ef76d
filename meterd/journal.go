package main

import (
	"context"
	"fmt"
	"log/slog"
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
	unsure  []power.Loss // batches of the journal of which it is not known whether they are stored
}

const (
	journalTries = 3
	journalLimit = 5 * time.Second // of one try
)

// setSources says which sources are under way.
func (j *journal) setSources(names []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.sources = names
}

// write stores one batch with what happened, signed, and the losses. Notes get the present time and the sources under way.
func (j *journal) write(ctx context.Context, notes []power.Note, losses []power.Loss) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	segment := j.segments.Current()
	if segment.Run != j.run {
		j.run, j.seq = segment.Run, 0
	}
	j.seq++
	b := &power.Batch{
		Host: j.host, Boot: j.boot, Run: j.run, Source: journalSource, Seq: j.seq,
		Clock: segment.State(j.segments.Kernel()), Losses: append(losses[:len(losses):len(losses)], j.unsure...),
	}
	for _, name := range j.sources {
		notes = append(notes, power.Note{Key: noteSource, Device: name, Value: "on"})
	}
	for _, n := range notes {
		n.Time = segment.Stamp(j.segments.Now())
		b.Notes = append(b.Notes, n)
	}
	err := j.publish(ctx, b)
	if err != nil {
		j.unsure = append(j.unsure, power.Loss{Run: b.Run, Source: b.Source, First: b.Seq, Last: b.Seq, Reason: power.LostRefused})
		return fmt.Errorf("write to the journal: %w", err)
	}
	j.unsure = nil
	return nil
}

// publish tries a few times. It is the same batch each time, so it is stored once at most.
func (j *journal) publish(ctx context.Context, b *power.Batch) (err error) {
	for range journalTries {
		limited, cancel := context.WithTimeout(ctx, journalLimit)
		err = j.bus.PublishSigned(limited, b)
		cancel()
		if err == nil || ctx.Err() != nil || !clock.Sleep(ctx, 100*time.Millisecond) {
			return err
		}
	}
	return err
}

// record stores losses that are about to take place.
func (j *journal) record(ctx context.Context, losses []power.Loss) error {
	return j.write(ctx, nil, losses)
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
