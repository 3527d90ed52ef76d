// Package rollup makes roll-ups of the stored batches and stores them: rows of a second, a minute and an hour (shared/rollup).
//
// What was read is not remembered. At the start the batches of the two hours before the last row are read again, which makes the
// same rows: those that are stored already are left out, the others follow.
package rollup

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/rollup"
	"agentwatt/shared/wire"
)

// streams hold the rows, in the order of rollup.Resolutions.
var streams = [3]string{bus.RollupSecond, bus.RollupMinute, bus.RollupHour}

const (
	again    = 2 * time.Hour // of batches are read again: the hour that is open, and as long as a slow counter may take
	together = 30            // rows of a second of one meter in one message
	pause    = time.Second   // after a failure
	every    = 5 * time.Second
)

// Roller makes roll-ups. Make it with New.
type Roller struct {
	server  *bus.Server
	log     *slog.Logger
	every   time.Duration // between looks for new batches
	writers [3]*bus.Writer
	sources map[key]*source
}

type key struct{ host, source string }

// source is one source under way.
type source struct {
	rollup.Source
	stored  [3]map[string]clock.Stamp // where the stored rows of each meter end
	pending [3][]rollup.Series        // that are not stored yet
	batch   power.Batch
}

// New finds out how far the stored roll-ups go.
func New(ctx context.Context, server *bus.Server, log *slog.Logger) (*Roller, error) {
	r := &Roller{server: server, log: log, every: every, sources: map[key]*source{}}
	conn, err := server.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	for i, stream := range streams {
		if r.writers[i], err = server.Writer(stream); err != nil {
			return nil, err
		}
		if err := r.known(ctx, conn, i); err != nil {
			return nil, fmt.Errorf("find the end of the roll-ups: %w", err)
		}
	}
	return r, nil
}

// known finds the ends of the rows of one resolution in what was stored last.
func (r *Roller) known(ctx context.Context, conn *bus.Conn, resolution int) error {
	last, err := r.server.LastIn(ctx, streams[resolution])
	if err != nil {
		return err
	}
	var newest clock.Stamp
	for _, m := range last {
		newest = max(newest, m.Stored)
	}
	if newest == 0 {
		return nil
	}
	return conn.ReadStream(ctx, streams[resolution], newest.Add(-2*again), newest+1, func(m bus.Message) error {
		message, err := rollup.Decode(m.Payload)
		if err != nil {
			return err
		}
		s := r.source(m.Host, m.Source)
		for _, x := range message.Series {
			s.note(resolution, x)
		}
		return nil
	})
}

// note takes note of rows that are stored.
func (s *source) note(resolution int, x rollup.Series) {
	if s.stored[resolution] == nil {
		s.stored[resolution] = map[string]clock.Stamp{}
	}
	for _, row := range x.Rows {
		s.stored[resolution][x.Meter.ID] = max(s.stored[resolution][x.Meter.ID], row.End())
	}
}

func (r *Roller) source(host, name string) *source {
	k := key{host, name}
	if r.sources[k] == nil {
		r.sources[k] = &source{}
	}
	return r.sources[k]
}

// Run rolls up until ctx ends. What is not full or not stored by then is made again at the next start.
func (r *Roller) Run(ctx context.Context) error {
	conn, err := r.server.Dial(ctx)
	if err != nil {
		return fmt.Errorf("roll up: %w", err)
	}
	defer conn.Close()
	var from clock.Stamp
	for _, s := range r.sources {
		for _, end := range s.stored[0] {
			from = max(from, end)
		}
	}
	if from > 0 {
		from = from.Add(-again)
	}
	var decoder wire.Decoder
	return conn.FollowSlowly(ctx, bus.Power, from, r.every, func(m bus.Message) error {
		s := r.source(m.Host, m.Source)
		if err := decoder.Decode(&s.batch, m.Payload); err != nil {
			r.log.Error("a batch is not in the roll-ups", "sequence", m.Sequence, "err", err)
			return nil
		}
		s.Take(&s.batch)
		return r.drain(ctx, key{m.Host, m.Source}, s)
	})
}

// drain stores the rows that became full, some at a time.
func (r *Roller) drain(ctx context.Context, k key, s *source) error {
	for i := range streams {
		for _, x := range s.Drain(i) {
			s.pending[i] = add(s.pending[i], fresh(x, s.stored[i][x.Meter.ID]))
		}
		if rows := longest(s.pending[i]); rows == 0 || i == 0 && rows < together {
			continue
		}
		if err := r.store(ctx, k, i, s.pending[i]); err != nil {
			return err
		}
		for _, x := range s.pending[i] {
			s.note(i, x)
		}
		s.pending[i] = nil
	}
	return nil
}

func longest(list []rollup.Series) (rows int) {
	for _, x := range list {
		rows = max(rows, len(x.Rows))
	}
	return rows
}

// fresh leaves out the rows that are stored already.
func fresh(x rollup.Series, stored clock.Stamp) rollup.Series {
	n := 0
	for n < len(x.Rows) && x.Rows[n].End() <= stored {
		n++
	}
	x.Rows = x.Rows[n:]
	return x
}

// add puts rows behind those of the same meter and run.
func add(list []rollup.Series, x rollup.Series) []rollup.Series {
	if len(x.Rows) == 0 {
		return list
	}
	for i := range list {
		if list[i].Meter == x.Meter && list[i].Run == x.Run {
			list[i].Rows = append(list[i].Rows, x.Rows...)
			return list
		}
	}
	return append(list, x)
}

// store stores rows of one resolution, and tries until it can or ctx ends.
func (r *Roller) store(ctx context.Context, k key, resolution int, series []rollup.Series) error {
	m := rollup.Message{Host: k.host, Source: k.source, Resolution: rollup.Resolutions[resolution], Series: series}
	first := series[0]
	id := fmt.Sprintf("rollup/%v/%s/%s/%s/%s/%d+%d", m.Resolution, k.host, k.source, first.Run, first.Meter.ID, int64(first.Rows[0].Begin), len(first.Rows))
	for failed := false; ; failed = true {
		err := r.writers[resolution].Store(ctx, bus.RollupSubject(streams[resolution], k.host, k.source), id, m.Encode(nil))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if !failed {
			r.log.Warn("roll-ups are not stored", "err", err)
		}
		clock.Sleep(ctx, pause)
	}
}
