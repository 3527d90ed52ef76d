package bus

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// Recorder stores losses, in a batch in the stream Power, before they take place.
type Recorder func(ctx context.Context, losses []power.Loss) error

const (
	keepEvery   = 10 * time.Second // between looks at the store; who finds it full has it looked at once
	recordLimit = 1024             // most losses of one record
)

// Keep looks after the store until ctx ends: it makes room before the limits are reached, and brings the store back when it
// has failed, for example because the disk was full.
//
// What is to be discarded of the stream Power is named to record first; if that fails, nothing is discarded. So a batch is in
// the stream, or a later batch says that it is lost. After a crash in between the same losses may be named twice, and what is
// named may still be there for a while. A record that is discarded in its turn is named and carried on.
func (s *Server) Keep(ctx context.Context, record func(ctx context.Context, losses []power.Loss) error) error {
	k := &keeper{server: s, record: record, log: s.options.Log}
	for ctx.Err() == nil {
		full, down := s.sealers[Power].refused.next(), s.health.changed.next()
		if s.health.reason() != "" {
			s.bringBack(ctx)
			continue
		}
		k.look(ctx)
		wait := time.NewTimer(keepEvery)
		select {
		case <-ctx.Done():
		case <-full:
		case <-down:
		case <-wait.C:
		}
		wait.Stop()
	}
	return nil
}

// keeper makes room.
type keeper struct {
	server *Server
	record Recorder
	log    *slog.Logger
	failed string // what was logged last
}

// look makes room where it is needed, and logs once what keeps it from doing so.
func (k *keeper) look(ctx context.Context) {
	err := k.trimPower(ctx)
	for i, kind := range kinds {
		if e := k.trimRollups(ctx, kind.stream, k.server.options.Rollups[i]); err == nil {
			err = e
		}
	}
	switch {
	case err == nil:
		k.failed = ""
	case ctx.Err() == nil && err.Error() != k.failed:
		k.failed = err.Error()
		k.log.Warn("make room in the store", "err", err)
	}
}

// bounds say what a stream may hold.
type bounds struct {
	high, low uint64      // above high bytes, the oldest messages go until there are low
	oldest    clock.Stamp // what was stored before goes,
	trigger   clock.Stamp // once the oldest message was stored before this
}

// reserve is how far below the limit of the server room is made: enough for what is published until that is done.
func reserve(maxBytes int64) int64 { return min(maxBytes/8, 64<<20) }

// slack is how much older than its limit a message gets, so that there is one record an hour and not one a second.
func slack(age time.Duration) time.Duration { return min(age/64, time.Hour) }

func (o ServerOptions) bounds(now time.Time) bounds {
	r := reserve(o.MaxBytes)
	oldest := now.Add(-o.MaxAge)
	return bounds{
		high: uint64(o.MaxBytes - r), low: uint64(o.MaxBytes - 2*r),
		oldest: clock.At(oldest), trigger: clock.At(oldest.Add(-slack(o.MaxAge))),
	}
}

// trimPower discards the oldest batches, after they were named.
func (k *keeper) trimPower(ctx context.Context) error {
	info, err := streamState(ctx, k.server.js, Power)
	if err != nil {
		return err
	}
	b := k.server.options.bounds(time.Now())
	state := info.State
	if state.Msgs < 2 || state.Bytes <= b.high && clock.At(state.FirstTime) >= b.trigger {
		return k.limit(ctx, info, k.server.options.MaxBytes)
	}
	upTo, losses, err := k.doomed(ctx, state, b)
	if err != nil || upTo == 0 {
		return err
	}
	// If the limit is near, or was lowered, there is no room for the record. It is given some, for so long.
	needed := int64(state.Bytes) + reserve(k.server.options.MaxBytes) + maxPayload
	if err := k.limit(ctx, info, max(k.server.options.MaxBytes, needed)); err != nil {
		return err
	}
	for len(losses) > 0 {
		n := min(len(losses), recordLimit)
		if err := k.record(ctx, losses[:n]); err != nil {
			return fmt.Errorf("record what is to be discarded: %w", err)
		}
		losses = losses[n:]
	}
	if err := k.purge(ctx, Power, upTo+1); err != nil {
		return err
	}
	if info, err = streamState(ctx, k.server.js, Power); err != nil {
		return err
	}
	return k.limit(ctx, info, k.server.options.MaxBytes)
}

// limit sets the most bytes that the server takes into the stream Power.
func (k *keeper) limit(ctx context.Context, info *jetstream.StreamInfo, maxBytes int64) error {
	if info.Config.MaxBytes == maxBytes {
		return nil
	}
	c := info.Config
	c.MaxBytes = maxBytes
	if _, err := k.server.js.UpdateStream(ctx, c); err != nil {
		return fmt.Errorf("set the limit of stream %s: %w", Power, err)
	}
	return nil
}

// doomed goes through the oldest batches, and returns the sequence of the last one that has to go and what goes with it. The
// last batch of the stream stays: the chain goes on from it.
func (k *keeper) doomed(ctx context.Context, state jetstream.StreamState, b bounds) (upTo uint64, losses []power.Loss, err error) {
	f, err := newFetcher(k.server.js.Conn(), directGet(Power))
	if err != nil {
		return 0, nil, err
	}
	defer f.close()
	left, decoder, batch := state.Bytes, new(wire.Decoder), new(power.Batch)
	next, more := state.FirstSeq, true
	for more && next < state.LastSeq && len(losses) < recordLimit {
		stop := false
		more, err = f.fetch(ctx, getRequest{Seq: next}, func(m Message) error {
			reason := reasonToGo(m, left, b)
			stop = stop || reason == "" || m.Sequence >= state.LastSeq
			if stop {
				return nil
			}
			left -= min(left, storedSize(m))
			next, upTo = m.Sequence+1, m.Sequence
			if err := decoder.Decode(batch, m.Payload); err != nil {
				k.log.Error("a batch that is discarded cannot be read, so it is not named", "sequence", m.Sequence, "err", err)
				return nil
			}
			losses = append(losses, batch.Losses...)
			losses = append(losses, power.Loss{Run: batch.Run, Source: batch.Source, First: batch.Seq, Last: batch.Seq, Reason: reason})
			return nil
		})
		if err != nil {
			return 0, nil, fmt.Errorf("read the oldest batches: %w", err)
		}
		losses = mergeLosses(losses)
		if stop {
			break
		}
	}
	return upTo, losses[max(0, len(losses)-maxCarried):], nil
}

// reasonToGo says why a message has to be discarded, while there are left bytes in the stream; empty: it stays.
func reasonToGo(m Message, left uint64, b bounds) string {
	switch {
	case m.Stored < b.oldest:
		return power.LostAge
	case left > b.low:
		return power.LostSize
	}
	return ""
}

// storedSize is about what a message takes in the store: head, subject, identity, payload, checksum.
func storedSize(m Message) uint64 { return uint64(len(m.Payload) + 2*len(m.Subject) + 100) }

// trimRollups discards roll-ups older than age, all but the last one: the chain goes on from it.
func (k *keeper) trimRollups(ctx context.Context, stream string, age time.Duration) error {
	info, err := streamState(ctx, k.server.js, stream)
	if err != nil {
		return err
	}
	oldest := time.Now().Add(-age)
	if info.State.Msgs < 2 || !info.State.FirstTime.Before(oldest.Add(-slack(age))) {
		return nil
	}
	f, err := newFetcher(k.server.js.Conn(), directGet(stream))
	if err != nil {
		return err
	}
	defer f.close()
	keep := info.State.LastSeq
	_, err = f.fetch(ctx, getRequest{StartTime: &oldest, Batch: 1}, func(m Message) error {
		keep = min(keep, m.Sequence)
		return nil
	})
	if err != nil {
		return err
	}
	return k.purge(ctx, stream, keep)
}

// purge discards what comes before a sequence.
func (k *keeper) purge(ctx context.Context, stream string, before uint64) error {
	s, err := k.server.js.Stream(ctx, stream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(before))
	}
	if err != nil {
		return fmt.Errorf("discard what is before sequence %d of stream %s: %w", before, stream, err)
	}
	k.log.Info("room was made in the store", "stream", stream, "before", before)
	return nil
}
