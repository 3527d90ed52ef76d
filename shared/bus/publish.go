package bus

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// Publisher stores batches, sealed into one chain. It is safe for concurrent use.
type Publisher struct {
	sealer *sealer
	stored atomic.Uint64
	closed atomic.Bool

	mu   sync.Mutex
	free map[string][]*encoder // by subject, because the batches of one source are described alike
}

// encoder is what encoding a batch takes, kept for the next one.
type encoder struct {
	wire.Encoder
	buf []byte
}

func newPublisher(s *sealer) *Publisher {
	return &Publisher{sealer: s, free: map[string][]*encoder{}}
}

// publishTimeout is how long a caller without a deadline waits.
const publishTimeout = 5 * time.Second

// Publish seals a batch, stores it and returns when it is on the disk of the server, or with an error when ctx ends or,
// without a deadline in ctx, after 5 s. After an error the batch may be stored or not; publishing it again stores it once,
// whatever had happened, as long as it comes before the next batch of its source.
func (p *Publisher) Publish(ctx context.Context, b *power.Batch) error {
	return p.publish(ctx, b, false)
}

// PublishSigned is like Publish, and signs the batch even if the last signature is not old. The first and the last batch of
// a run are published so: between them the chain cannot be changed, nor cut short.
func (p *Publisher) PublishSigned(ctx context.Context, b *power.Batch) error {
	return p.publish(ctx, b, true)
}

func (p *Publisher) publish(ctx context.Context, b *power.Batch, sign bool) error {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		ctx = limited
	}
	if p.closed.Load() {
		return fmt.Errorf("publish batch %d of %s: %w", b.Seq, b.Source, ErrClosed)
	}
	subject := Subject(b.Host, b.Source)
	e := p.take(subject)
	defer p.give(subject, e)
	var err error
	if e.buf, err = e.Encode(e.buf[:0], b); err != nil {
		return err
	}
	if err := p.sealer.store(ctx, subject, messageID(b), e.buf, sign); err != nil {
		return fmt.Errorf("publish batch %d of %s, %d bytes: %w", b.Seq, b.Source, len(e.buf), err)
	}
	p.stored.Add(1)
	return nil
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

// Close ends the Publisher: what is published from now on is refused.
func (p *Publisher) Close() { p.closed.Store(true) }

// Writer stores what is made of batches, sealed into a chain of its stream. It is safe for concurrent use.
type Writer struct {
	sealer *sealer
}

// Store seals a payload and stores it under a subject of the stream, once for each id; see Publish for what an error means.
func (w *Writer) Store(ctx context.Context, subject, id string, payload []byte) error {
	if _, ok := ctx.Deadline(); !ok {
		limited, cancel := context.WithTimeout(ctx, publishTimeout)
		defer cancel()
		ctx = limited
	}
	if err := w.sealer.store(ctx, subject, id, payload, false); err != nil {
		return fmt.Errorf("store %s, %d bytes: %w", subject, len(payload), err)
	}
	return nil
}
