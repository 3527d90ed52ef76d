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

	mu  sync.Mutex
	enc wire.Encoder
	buf []byte
}

func newPublisher(nc *nats.Conn) (*Publisher, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &Publisher{nc: nc, js: js}, nil
}

// Publish stores a batch and returns when it is on the disk of the server, or with an error when ctx ends or, without a
// deadline in ctx, after 5 s. After an error the batch may be stored or not; publishing it again within ten minutes
// stores it once, whatever had happened.
func (p *Publisher) Publish(ctx context.Context, b *power.Batch) error {
	data, err := p.encode(b)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: Subject(b.Host, b.Source), Data: data, Header: nats.Header{headerID: {messageID(b)}}}
	if _, err := p.js.PublishMsg(ctx, m, jetstream.WithExpectStream(Stream)); err != nil {
		return fmt.Errorf("publish batch %d of %s, %d bytes: %w", b.Seq, b.Source, len(data), err)
	}
	p.stored.Add(1)
	return nil
}

func (p *Publisher) encode(b *power.Batch) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.buf, err = p.enc.Encode(p.buf[:0], b); err != nil {
		return nil, err
	}
	return bytes.Clone(p.buf), nil
}

// Stored returns how many batches Publish has returned for without an error.
func (p *Publisher) Stored() uint64 { return p.stored.Load() }

// Close closes the connection.
func (p *Publisher) Close() { p.nc.Close() }
