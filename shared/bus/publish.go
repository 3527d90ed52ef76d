package bus

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// Publisher stores batches. It is safe for concurrent use.
type Publisher struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	stored atomic.Uint64

	mu   sync.Mutex
	free map[string][]*encoder // by subject, because the batches of one source are described alike
}

// encoder is what encoding a batch takes, kept for the next one.
type encoder struct {
	wire.Encoder
	buf []byte
}

func newPublisher(nc *nats.Conn) (*Publisher, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &Publisher{nc: nc, js: js, free: map[string][]*encoder{}}, nil
}

// Publish stores a batch and returns when it is on the disk of the server, or with an error when ctx ends or, without a
// deadline in ctx, after 5 s. After an error the batch may be stored or not; publishing it again within ten minutes
// stores it once, whatever had happened.
func (p *Publisher) Publish(ctx context.Context, b *power.Batch) error {
	subject := Subject(b.Host, b.Source)
	data, err := p.encode(subject, b)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{headerID: {messageID(b)}}}
	if _, err := p.js.PublishMsg(ctx, m, jetstream.WithExpectStream(Stream)); err != nil {
		return fmt.Errorf("publish batch %d of %s, %d bytes: %w", b.Seq, b.Source, len(data), err)
	}
	p.stored.Add(1)
	return nil
}

func (p *Publisher) encode(subject string, b *power.Batch) ([]byte, error) {
	e := p.take(subject)
	defer p.give(subject, e)
	var err error
	if e.buf, err = e.Encode(e.buf[:0], b); err != nil {
		return nil, err
	}
	return bytes.Clone(e.buf), nil
}

// take returns an encoder that nobody uses, if possible one that knows the source.
func (p *Publisher) take(subject string) *encoder {
	p.mu.Lock()
	defer p.mu.Unlock()
	free := p.free[subject]
	if len(free) == 0 {
		return new(encoder)
	}
	last := len(free) - 1
	p.free[subject] = free[:last]
	return free[last]
}

// give takes an encoder back. There are never more than batches of that source were encoded at the same time.
func (p *Publisher) give(subject string, e *encoder) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free[subject] = append(p.free[subject], e)
}

// Stored returns how many batches Publish has returned for without an error.
func (p *Publisher) Stored() uint64 { return p.stored.Load() }

// Close closes the connection.
func (p *Publisher) Close() { p.nc.Close() }
