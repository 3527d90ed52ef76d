package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentwatt/shared/clock"
)

// pollEvery is how often Follow asks for new batches once it has read all. A source publishes about once a second, so
// this is soon enough. Asking costs less than being told of each batch, and holds no state in the server that a restart
// could lose.
const pollEvery = 100 * time.Millisecond

// Follow hands every batch that was stored at or after from to fn: first those already there, then new ones as they come,
// in the order of the stream, each once. It goes on through restarts of the server, and returns nil when ctx ends, or
// else the error of fn. Batches that the store lost meanwhile show as Message.Gap on the next one.
//
// Stored times are the server's; a batch holds samples from before it was stored, by up to the time it took to fill.
func (c *Conn) Follow(ctx context.Context, from clock.Stamp, fn func(Message) error) error {
	f, err := newFetcher(c.nc, getAPI)
	if err != nil {
		return fmt.Errorf("follow %s: %w", c.name, err)
	}
	defer f.close()
	p := &place{conn: c, from: from, deliver: fn}
	for ctx.Err() == nil {
		more, err := p.advance(ctx, f)
		switch {
		case p.failed != nil:
			return p.failed
		case c.nc.IsClosed():
			return fmt.Errorf("follow %s: %w", c.name, ErrClosed)
		case more && err == nil:
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(pollEvery):
		}
	}
	return nil
}

// place is how far a follower has read.
type place struct {
	conn    *Conn
	from    clock.Stamp         // where to begin
	deliver func(Message) error //
	failed  error               // of deliver

	last       uint64    // sequence read last; 0: none
	stored     time.Time // and when it was stored
	created    time.Time // of the stream that it was read from; zero: not known
	newStore   bool      // the stream was made anew since
	reconnects uint64    // of the connection, when created was asked for
}

// advance reads the next messages and reports whether there are more.
func (p *place) advance(ctx context.Context, f *fetcher) (more bool, err error) {
	if err := p.sameStream(ctx); err != nil {
		return false, err
	}
	return f.fetch(ctx, p.request(), func(m Message) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m.Sequence <= p.last && !p.newStore {
			return nil // each once, whatever the server or another reader sends
		}
		if p.newStore || p.last != 0 && m.Sequence != p.last+1 {
			m.Gap = &Gap{After: p.last, Before: m.Sequence, NewStore: p.newStore}
		}
		p.last, p.stored, p.newStore = m.Sequence, m.Stored.Time(), false
		p.failed = p.deliver(m)
		return p.failed
	})
}

// sameStream makes sure, after each reconnect, that the sequences still mean what they did.
func (p *place) sameStream(ctx context.Context) error {
	reconnects := p.conn.nc.Stats().Reconnects
	if !p.created.IsZero() && reconnects == p.reconnects {
		return nil
	}
	info, err := p.conn.info(ctx)
	if err != nil {
		return err
	}
	if p.last != 0 && !info.Created.Equal(p.created) {
		p.newStore = true
	}
	p.created, p.reconnects = info.Created, reconnects
	return nil
}

func (p *place) request() getRequest {
	switch {
	case p.newStore:
		after := p.stored.Add(1)
		return getRequest{StartTime: &after}
	case p.last != 0:
		return getRequest{Seq: p.last + 1}
	case p.from <= 0:
		return getRequest{Seq: 1}
	}
	start := p.from.Time()
	return getRequest{StartTime: &start}
}

// errEnough ends a fetch.
var errEnough = errors.New("enough")

// Read returns the batches that are stored with a time in [from, to), in the order of the stream; what is discarded
// meanwhile shows as Message.Gap. See Follow for what the time of a batch is.
func (c *Conn) Read(ctx context.Context, from, to clock.Stamp) ([]Message, error) {
	f, err := newFetcher(c.nc, getAPI)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.name, err)
	}
	defer f.close()
	var out []Message
	p := &place{conn: c, from: from, deliver: func(m Message) error {
		if m.Stored >= to {
			return errEnough
		}
		out = append(out, m)
		return nil
	}}
	for more := true; more; {
		if more, err = p.advance(ctx, f); err != nil && !errors.Is(err, errEnough) {
			return nil, fmt.Errorf("read %s from %v to %v: %w", c.name, from, to, err)
		}
	}
	return out, nil
}

// Seen is a source that has published batches.
type Seen struct {
	Host, Source string
	Last         clock.Stamp // when its last batch was stored
}

// Hosts lists the sources that have batches in the store, by the time of the last one; at most 1024.
func (c *Conn) Hosts(ctx context.Context) ([]Seen, error) {
	f, err := newFetcher(c.nc, getAPI)
	if err != nil {
		return nil, fmt.Errorf("list hosts of %s: %w", c.name, err)
	}
	defer f.close()
	var out []Seen
	_, err = f.fetch(ctx, getRequest{MultiLast: []string{subjects}}, func(m Message) error {
		out = append(out, Seen{m.Host, m.Source, m.Stored})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list hosts of %s: %w", c.name, err)
	}
	return out, nil
}
