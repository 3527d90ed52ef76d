package sampler

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// Keep returns a source that opens another one when it can, and opens it anew when it is gone: for what can be away when
// meterd starts, such as a rack PDU or a BMC. It has no meters until it is open. open gets at most limit, and is tried again
// after pauses from a second to a minute, and where it was refused (ErrRefused) from five minutes to an hour. The log says once why it is away.
// While a source is away that was there before, each of its meters is lost.
func Keep(name string, limit time.Duration, now func() clock.Stamp, log *slog.Logger, open func(context.Context) (Source, error)) Source {
	k := &kept{name: name, limit: limit, now: now, log: log, open: open, pause: firstOpen}
	k.meters.Store(&[]power.Meter{})
	return k
}

const (
	firstOpen    = time.Second
	lastOpen     = time.Minute
	firstRefused = 5 * time.Minute
	lastRefused  = time.Hour
)

type kept struct {
	name  string
	limit time.Duration
	now   func() clock.Stamp
	log   *slog.Logger
	open  func(context.Context) (Source, error)

	source Source // nil: away
	again  time.Time
	pause  time.Duration
	away   bool // has been logged
	meters atomic.Pointer[[]power.Meter]
}

// Meters lists the meters of the open source, or none.
func (k *kept) Meters() []power.Meter { return *k.meters.Load() }

// Read reads the source, after opening it if that is due.
func (k *kept) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if k.source == nil {
		if err := k.try(ctx); err != nil {
			return dst, err
		}
	}
	if k.source == nil {
		return k.lost(dst), nil
	}
	out, err := k.source.Read(ctx, dst)
	if errors.Is(err, ErrGone) {
		k.log.Warn("source is gone and will be opened anew", "source", k.name, "err", err)
		k.drop()
		return k.lost(dst), nil
	}
	k.publish()
	return out, err
}

// lost says of every meter that its device is away.
func (k *kept) lost(dst []power.Sample) []power.Sample {
	t, within := Stamp(k.now(), k.now())
	for i := range k.Meters() {
		dst = append(dst, power.Sample{Meter: i, Time: t, Within: within, Status: power.Lost})
	}
	return dst
}

// try opens the source, if its pause is over. That it is away is not an error of a read: it is said once.
func (k *kept) try(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Now().Before(k.again) {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, k.limit)
	defer cancel()
	source, err := k.open(limited)
	if err != nil {
		most := lastOpen
		if errors.Is(err, ErrRefused) {
			k.pause, most = max(k.pause, firstRefused), lastRefused
		}
		k.again = time.Now().Add(k.pause)
		k.pause = min(2*k.pause, most)
		if !k.away && ctx.Err() == nil {
			k.away = true
			attrs := []any{"source", k.name, "err", err}
			if advice := fault.Advice(err); advice != "" {
				attrs = append(attrs, "hint", advice)
			}
			k.log.Warn("source is away", attrs...)
		}
		return ctx.Err()
	}
	k.log.Info("source is there", "source", k.name, "meters", len(source.Meters()))
	k.source, k.pause, k.away = source, firstOpen, false
	k.publish()
	return nil
}

// publish shows the meters of the source, where they changed.
func (k *kept) publish() {
	if meters := k.source.Meters(); !same(meters, *k.meters.Load()) {
		k.meters.Store(&meters)
	}
}

func (k *kept) drop() {
	if err := k.source.Close(); err != nil {
		k.log.Warn("close a source that is gone", "source", k.name, "err", err)
	}
	k.source, k.again = nil, time.Now().Add(k.pause)
}

// Notes passes on the notes of the open source.
func (k *kept) Notes(dst []power.Note) []power.Note {
	if n, ok := k.source.(Noter); ok {
		return n.Notes(dst)
	}
	return dst
}

// Absent passes on what the open source lacks.
func (k *kept) Absent() []string {
	if a, ok := k.source.(interface{ Absent() []string }); ok {
		return a.Absent()
	}
	return nil
}

// Close closes the source if it is open.
func (k *kept) Close() error {
	if k.source == nil {
		return nil
	}
	return k.source.Close()
}
