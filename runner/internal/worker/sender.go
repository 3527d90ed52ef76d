package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/runner/internal/bench"
)

// sender stores the records of a worker's agents in the run's stream, in order and each once.
type sender struct {
	js      jetstream.JetStream
	subject string

	mu      sync.Mutex
	pending []bench.Record
	watched map[bench.Request]bool // what was added since watch; nil: nobody watches

	sending sync.Mutex
	seq     int // messages stored
	err     error
}

// most is how many records a message has at most.
const most = 1000

// add takes a record; it is the fleet's Emit.
func (s *sender) add(r bench.Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, r)
	if s.watched != nil {
		s.watched[r.Request()] = true
	}
}

// watch notes from now on what is added.
func (s *sender) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watched = map[bench.Request]bool{}
}

// unwatch returns what was added since watch.
func (s *sender) unwatch() map[bench.Request]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.watched
	s.watched = nil
	return seen
}

// flush stores all records that were added before, and returns how many messages were stored in all. After an error nothing is stored
// any more: what follows could not be told from a loss.
func (s *sender) flush(ctx context.Context) (int, error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	s.mu.Lock()
	records := s.pending
	s.pending = nil
	s.mu.Unlock()
	for len(records) > 0 && s.err == nil {
		n := min(len(records), most)
		s.err = s.store(ctx, records[:n])
		records = records[n:]
	}
	return s.seq, s.err
}

// store stores one message, again until it is acknowledged. The server drops a repetition by its id.
func (s *sender) store(ctx context.Context, records []bench.Record) error {
	data, err := pack(batch{s.seq + 1, records})
	if err != nil {
		return fmt.Errorf("pack records: %w", err)
	}
	id := fmt.Sprintf("%s/%d", s.subject, s.seq+1)
	for {
		if _, err = s.js.Publish(ctx, s.subject, data, jetstream.WithMsgID(id)); err == nil {
			s.seq++
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("store %d records: %w", len(records), err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}
