package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"agentwatt/shared/clock"
)

// pollEvery is how often Follow asks for new batches once it has read all. A source publishes about once a second, so
// this is soon enough. Asking costs less than being told of each batch, and holds no state in the server that a restart
// could lose.
const pollEvery = 100 * time.Millisecond

// Follow hands every batch that was stored at or after from to fn: first those already there, then new ones as they come,
// each once, those of a host in the order of its stream. It goes on through restarts of the server, and returns nil when ctx
// ends, or else the error of fn. Batches that the store lost meanwhile show as Message.Gap on the next one.
//
// Stored times are the server's; a batch holds samples from before it was stored, by up to the time it took to fill.
func (c *Conn) Follow(ctx context.Context, from clock.Stamp, fn func(Message) error) error {
	f := followers{conn: c, from: from, fn: fn, known: map[string]bool{}}
	ctx, f.stop = context.WithCancel(ctx)
	defer f.stop()
	for ctx.Err() == nil {
		wait := newStreamsEvery
		if streams, err := c.powerStreams(ctx); err == nil && len(streams) > 0 {
			f.start(ctx, streams)
		} else if c.nc.IsClosed() {
			f.fail(fmt.Errorf("follow %s: %w", c.name, ErrClosed))
		} else {
			wait = pollEvery
		}
		pause(ctx, wait)
	}
	f.running.Wait()
	return f.err
}

const newStreamsEvery = 5 * time.Second // between looks for hosts that a hub did not have before

// followers follow streams at the same time; fn is called by one of them at a time.
type followers struct {
	conn    *Conn
	from    clock.Stamp
	known   map[string]bool
	running sync.WaitGroup
	stop    context.CancelFunc

	mu  sync.Mutex // of fn and err
	fn  func(Message) error
	err error
}

func (f *followers) start(ctx context.Context, streams []string) {
	for _, s := range streams {
		if f.known[s] {
			continue
		}
		f.known[s] = true
		f.running.Go(func() {
			if err := f.conn.FollowStream(ctx, s, f.from, f.deliver); err != nil {
				f.fail(err)
			}
		})
	}
}

func (f *followers) deliver(m Message) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	f.err = f.fn(m)
	return f.err
}

func (f *followers) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
	f.stop()
}

// FollowStream is Follow for one stream, of batches or of anything else.
func (c *Conn) FollowStream(ctx context.Context, stream string, from clock.Stamp, fn func(Message) error) error {
	return c.FollowSlowly(ctx, stream, from, pollEvery, fn)
}

// FollowSlowly is FollowStream for who is not in a hurry: it asks for new messages only so often, once it has read all.
func (c *Conn) FollowSlowly(ctx context.Context, stream string, from clock.Stamp, every time.Duration, fn func(Message) error) error {
	f, err := newFetcher(c.nc, getAPI+stream)
	if err != nil {
		return fmt.Errorf("follow %s: %w", c.name, err)
	}
	defer f.close()
	p := &place{conn: c, stream: stream, from: from, deliver: fn}
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
		pause(ctx, every)
	}
	return nil
}

// place is how far a follower has read.
type place struct {
	conn    *Conn
	stream  string
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
	info, err := p.conn.info(ctx, p.stream)
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

// Read returns the batches that are stored with a time in [from, to), stream after stream, in the order of each; what is
// discarded meanwhile shows as Message.Gap. See Follow for what the time of a batch is.
func (c *Conn) Read(ctx context.Context, from, to clock.Stamp) ([]Message, error) {
	streams, err := c.powerStreams(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", c.name, err)
	}
	var out []Message
	for _, s := range streams {
		err := c.ReadStream(ctx, s, from, to, func(m Message) error {
			out = append(out, m)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// ReadStream hands the messages of one stream that are stored with a time in [from, to) to fn, in order, and returns its error.
func (c *Conn) ReadStream(ctx context.Context, stream string, from, to clock.Stamp, fn func(Message) error) error {
	f, err := newFetcher(c.nc, getAPI+stream)
	if err != nil {
		return fmt.Errorf("read %s: %w", c.name, err)
	}
	defer f.close()
	p := &place{conn: c, stream: stream, from: from, deliver: func(m Message) error {
		if m.Stored >= to {
			return errEnough
		}
		return fn(m)
	}}
	for more := true; more; {
		if more, err = p.advance(ctx, f); err != nil && !errors.Is(err, errEnough) {
			return fmt.Errorf("read stream %s of %s from %v to %v: %w", stream, c.name, from, to, err)
		}
	}
	return nil
}

// Seen is a source that has published batches.
type Seen struct {
	Host, Source string
	Last         clock.Stamp // when its last batch was stored
}

// Hosts lists the sources that have batches in the store, of each stream by the time of the last one, and at most 1024.
func (c *Conn) Hosts(ctx context.Context) ([]Seen, error) {
	streams, err := c.powerStreams(ctx)
	if err != nil {
		return nil, fmt.Errorf("list hosts of %s: %w", c.name, err)
	}
	var out []Seen
	for _, s := range streams {
		err := c.last(ctx, s, func(m Message) error {
			out = append(out, Seen{m.Host, m.Source, m.Stored})
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list hosts of %s: %w", c.name, err)
		}
	}
	return out, nil
}

// last hands the last message of each subject of a stream to fn.
func (c *Conn) last(ctx context.Context, stream string, fn func(Message) error) error {
	f, err := newFetcher(c.nc, getAPI+stream)
	if err != nil {
		return err
	}
	defer f.close()
	_, err = f.fetch(ctx, getRequest{MultiLast: []string{subjects}}, fn)
	return err
}
