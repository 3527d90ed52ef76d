package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/clock"
)

// Cursor reads a stream from its beginning, once, over restarts: how far it is is kept in the store, synced like everything
// there. What was purged before it was read shows as Message.Gap. It is not safe for concurrent use.
//
// The place is a message of a stream of its own rather than the state of a JetStream consumer: that would be written to the
// disk some time later, and does not say that the stream was made anew.
type Cursor struct {
	js     jetstream.JetStream
	stream string
	name   string
	fetch  *fetcher
	change func() <-chan struct{} // of the stream

	done cursorPlace // durable
	read cursorPlace // handed out
}

// cursorPlace is how far a cursor is.
type cursorPlace struct {
	Sequence uint64      `json:"sequence"` // the last one; 0: none
	Stored   clock.Stamp `json:"stored"`   // when that was stored
	Created  time.Time   `json:"created"`  // of the stream that it was read from
}

// idleCheck is how long a Cursor waits for news of the stream before it asks.
const idleCheck = time.Second

// Cursor returns the cursor of that name, which begins where Done left it, at first with the oldest message of the stream. The
// name consists of letters, digits, "-" and "_".
func (s *Server) Cursor(ctx context.Context, stream, name string) (*Cursor, error) {
	c, err := s.cursor(ctx, stream, name)
	if err != nil {
		return nil, fmt.Errorf("open cursor %s of stream %s: %w", name, stream, err)
	}
	return c, nil
}

func (s *Server) cursor(ctx context.Context, stream, name string) (*Cursor, error) {
	if name == "" || token(name) != name {
		return nil, errors.New("a name of letters, digits, - and _ is needed")
	}
	if s.sealers[stream] == nil {
		return nil, errors.New("no such stream")
	}
	c := &Cursor{js: s.js, stream: stream, name: name, change: s.sealers[stream].change.next}
	last, err := lastMessage(ctx, s.js.Conn(), cursors, c.subject())
	if err != nil {
		return nil, err
	}
	if last.data != nil {
		if err := json.Unmarshal(last.data, &c.done); err != nil {
			return nil, fmt.Errorf("read how far it is: %w", err)
		}
	}
	c.read = c.done
	if c.fetch, err = newFetcher(s.js.Conn(), directGet(stream)); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Cursor) subject() string { return cursorRoot + "." + c.stream + "." + c.name }

// Next returns messages that were not handed out since the cursor was opened or Again was called, in the order of the stream:
// at least one, which it waits for, and at most max, but not more than some 4 MiB.
func (c *Cursor) Next(ctx context.Context, max int) ([]Message, error) {
	for {
		change := c.change()
		messages, err := c.next(ctx, max)
		if err != nil {
			return nil, fmt.Errorf("read stream %s after %d: %w", c.stream, c.read.Sequence, err)
		}
		if len(messages) > 0 {
			return messages, nil
		}
		wait := time.NewTimer(idleCheck)
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		case <-change:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// next returns what there is.
func (c *Cursor) next(ctx context.Context, max int) ([]Message, error) {
	info, err := streamState(ctx, c.js, c.stream)
	if err != nil {
		return nil, err
	}
	place, anew := c.read, false
	if !place.Created.Equal(info.Created) {
		anew = place.Sequence != 0
		place = cursorPlace{Created: info.Created}
	}
	if info.State.LastSeq <= place.Sequence {
		return nil, nil
	}
	var out []Message
	request := getRequest{Seq: place.Sequence + 1, Batch: max, MaxBytes: fetchBytes}
	_, err = c.fetch.fetch(ctx, request, func(m Message) error {
		switch {
		case anew:
			m.Gap = &Gap{After: c.read.Sequence, Before: m.Sequence, NewStore: true}
			anew = false
		case m.Sequence != place.Sequence+1:
			m.Gap = &Gap{After: place.Sequence, Before: m.Sequence}
		}
		place.Sequence, place.Stored = m.Sequence, m.Stored
		out = append(out, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out) > 0 {
		c.read = place
	}
	return out, nil
}

// Done says that everything that Next has returned is done with, and returns when that is on the disk.
func (c *Cursor) Done(ctx context.Context) error {
	if c.done == c.read {
		return nil
	}
	data, err := json.Marshal(c.read)
	if err == nil {
		_, err = c.js.Publish(ctx, c.subject(), data, jetstream.WithExpectStream(cursors))
	}
	if err != nil {
		return fmt.Errorf("keep how far cursor %s of stream %s is: %w", c.name, c.stream, err)
	}
	c.done = c.read
	return nil
}

// Again makes Next hand out again what is not done with.
func (c *Cursor) Again(context.Context) error {
	c.read = c.done
	return nil
}

// Lag returns how many messages are in the stream and not done with.
func (c *Cursor) Lag(ctx context.Context) (uint64, error) {
	info, err := streamState(ctx, c.js, c.stream)
	if err != nil {
		return 0, fmt.Errorf("find the lag of cursor %s of stream %s: %w", c.name, c.stream, err)
	}
	if !c.done.Created.Equal(info.Created) || c.done.Sequence < info.State.FirstSeq {
		return info.State.Msgs, nil
	}
	return info.State.LastSeq - min(c.done.Sequence, info.State.LastSeq), nil
}

// streamState asks the server how a stream is.
func streamState(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("ask for stream %s: %w", name, err)
	}
	return stream.CachedInfo(), nil
}
