package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"agentwatt/shared/evidence"
)

// ledger is where sealed messages are kept, in one order.
type ledger interface {
	// end returns the last message, a zero one if there is none, and what append takes for after.
	end(ctx context.Context) (last stored, after uint64, err error)
	// lastID returns the Nats-Msg-Id of the last message of a subject; empty: there is none.
	lastID(ctx context.Context, subject string) (string, error)
	// append stores m if nothing was stored since end or append returned after. It returns the new end, or known if a message
	// with that Nats-Msg-Id is there already.
	append(ctx context.Context, m *nats.Msg, after uint64) (end uint64, known bool, err error)
}

// stored is a message as the ledger has it.
type stored struct {
	subject, id string
	sequence    uint64
	time        time.Time
	data        []byte
}

// sealer ties the messages of one ledger into a chain. Whatever happens, the chain does not fork: a message is stored only
// directly behind the one that it names, and after any error, which may hide that a message was stored all the same, the end
// of the chain is read again. It is safe for concurrent use; one message is stored at a time.
type sealer struct {
	ledger ledger
	key    *evidence.Key // nil: nothing is signed

	turn   chan struct{} // of who stores
	chain  *evidence.Chain
	after  uint64
	sure   map[string]bool // subjects whose last message is known not to be one that failed
	change notice          // of the ledger

	refused notice       // the ledger has reached its limit
	ready   func() error // says why the ledger takes nothing in; nil: it is tried
	failed  func(error)  // is told of each error of the ledger; nil: nobody
}

func newSealer(l ledger, key *evidence.Key) *sealer {
	return &sealer{ledger: l, key: key, turn: make(chan struct{}, 1), sure: map[string]bool{}}
}

// store seals a payload and stores it, once for each id. Signed it is if sign says so or a signature is due.
func (s *sealer) store(ctx context.Context, subject, id string, payload []byte, sign bool) error {
	if n := len(payload) + evidence.Overhead; n > maxPayload {
		return fmt.Errorf("%d bytes with the seal, more than %d", n, maxPayload)
	}
	if s.ready != nil {
		if err := s.ready(); err != nil {
			return err
		}
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := s.extend(ctx, subject, id, payload, sign)
	if err != nil {
		s.chain = nil
		delete(s.sure, subject)
		if s.failed != nil && ctx.Err() == nil {
			s.failed(err)
		}
		return err
	}
	s.sure[subject] = true
	s.change.tell()
	return nil
}

// extend stores one message behind the last one.
func (s *sealer) extend(ctx context.Context, subject, id string, payload []byte, sign bool) error {
	if s.chain == nil {
		if err := s.resume(ctx); err != nil {
			return err
		}
	}
	if !s.sure[subject] {
		if last, err := s.ledger.lastID(ctx, subject); err != nil || last == id {
			return err
		}
	}
	now := time.Now()
	message, err := s.chain.Seal(payload, sign, now)
	if err != nil {
		return err
	}
	m := &nats.Msg{Subject: subject, Data: message, Header: nats.Header{headerID: {id}}}
	end, known, err := s.ledger.append(ctx, m, s.after)
	if err != nil || known {
		return err
	}
	s.after = end
	return s.chain.Advance(message, now)
}

// resume finds the end of the chain.
func (s *sealer) resume(ctx context.Context) error {
	last, after, err := s.ledger.end(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the chain: %w", err)
	}
	chain := &evidence.Chain{Key: s.key}
	if last.data != nil {
		if err := chain.Resume(last.data); err != nil && !errors.Is(err, evidence.ErrUnsealed) { // stored before there were chains
			return err
		}
	}
	s.chain, s.after = chain, after
	return nil
}

// notice tells all who wait that something happened.
type notice struct {
	mu sync.Mutex
	c  chan struct{}
}

// next returns a channel that is closed when something happens from now on.
func (n *notice) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c == nil {
		n.c = make(chan struct{})
	}
	return n.c
}

func (n *notice) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.c != nil {
		close(n.c)
		n.c = nil
	}
}
