// Package influx forwards the local stream of power batches to an InfluxDB v2, and is the only importer of its client.
//
// A Sink goes through the stream with a cursor of its own, which moves on only once the server has taken the points: an outage of
// any length costs nothing but the time to catch up, as long as the store keeps the batches. Nothing waits for it, the samplers
// least of all. The same message always becomes the same points with the same keys, so whatever is sent twice changes nothing.
// docs/influx.md has the schema.
package influx

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync"
	"time"

	"agentwatt/shared/bus"
)

// Cursor is a place in the stream that survives restarts. *bus.Cursor is one.
type Cursor interface {
	// Next returns up to most messages that follow, and waits for the first.
	Next(ctx context.Context, most int) ([]bus.Message, error)
	// Done says, durably, that all that Next has returned need not come again.
	Done(ctx context.Context) error
	// Lag returns how many messages are in the stream that were not done with.
	Lag(ctx context.Context) (uint64, error)
}

// Options say where the points go.
type Options struct {
	URL, Org, Bucket string
	Token            func() (string, error) // asked at the start, and again when the server refuses it; nil: no token
	CAs              *x509.CertPool         // that sign the server's certificate; nil: those of the system
	Compress         bool                   // requests, for servers beyond this host
	Batch            int                    // points in one request, at most
	Flush            time.Duration          // a point waits this long for others, at most
	Host             string                 // for what the Sink says of itself
	Log              *slog.Logger
}

// Stats is what a Sink knows of itself, since it started.
type Stats struct {
	Messages    uint64    // of the stream, done with
	Points      uint64    // written
	Requests    uint64    // that the server took
	Retries     uint64    // requests that had to be repeated
	Rejected    uint64    // points that the server will never take: logged and passed over
	Lost        uint64    // messages that were gone from the store before they were read, or could not be decoded
	Lag         uint64    // messages in the stream and not done with
	LastSuccess time.Time // of a request; zero: none yet
	LastError   string    // why the last request that failed did; empty: none did
	LastFailure time.Time // when that was
	Failing     bool      // the last request failed, and is being repeated
}

// Sink writes a stream to InfluxDB. Make it with New.
type Sink struct {
	o      Options
	cursor Cursor
	client *client
	encode encoder
	lines  lines
	most   int // lines in one request: Options.Batch, or what was not too large for the server

	trouble  episode // requests that fail
	store    episode // the stream cannot be read
	unread   episode // batches cannot be decoded
	refusals refusals
	worked   time.Duration // processor time of this round, about: encoding and compressing
	reported time.Time     // when the Sink last spoke of itself
	sleep    func(context.Context, time.Duration) error

	mu    sync.Mutex
	stats Stats
}

// New makes a Sink that has not connected anywhere yet.
func New(o Options, c Cursor) (*Sink, error) {
	client, err := newClient(o)
	if err != nil {
		return nil, err
	}
	return &Sink{o: o, cursor: c, client: client, most: o.Batch, sleep: sleep}, nil
}

// Stats returns a picture of the counters; safe to call at any time from any goroutine.
func (s *Sink) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

func (s *Sink) note(change func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}
