package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"agentwatt/shared/clock"
)

// getRequest asks for stored messages (NATS ADR-31, "direct get").
type getRequest struct {
	Seq       uint64     `json:"seq,omitempty"`        // from this sequence on
	StartTime *time.Time `json:"start_time,omitempty"` // from this time on
	MultiLast []string   `json:"multi_last,omitempty"` // the last of each of these subjects
	Batch     int        `json:"batch,omitempty"`
	MaxBytes  int        `json:"max_bytes,omitempty"`
}

// directGet is the subject on which whoever has JetStream asks for stored messages.
func directGet(stream string) string { return "$JS.API.DIRECT.GET." + stream }

const (
	fetchMessages = 256     // most messages of one answer
	fetchBytes    = 4 << 20 // and about as many bytes
)

// fetcher gets stored messages, one request at a time.
type fetcher struct {
	nc     *nats.Conn
	api    string // subject that is asked
	sub    *nats.Subscription
	prefix string // of the subjects for answers
	asked  uint64 // number of the request under way, which ends the subject of its answers
}

func newFetcher(nc *nats.Conn, api string) (*fetcher, error) {
	f := &fetcher{nc: nc, api: api, prefix: nc.NewInbox() + "."}
	var err error
	if f.sub, err = nc.SubscribeSync(f.prefix + "*"); err != nil {
		return nil, fmt.Errorf("subscribe to answers: %w", err)
	}
	return f, nil
}

// close ends the subscription. An error would mean that the connection is gone, and the subscription with it.
func (f *fetcher) close() { _ = f.sub.Unsubscribe() }

// fetch hands the messages of one answer to fn, in order, and reports whether the store has more. An error of fn ends it
// and is returned as it is. An answer that stops coming is an error that wraps context.DeadlineExceeded.
func (f *fetcher) fetch(ctx context.Context, r getRequest, fn func(Message) error) (more bool, err error) {
	if r.MultiLast == nil && r.Batch == 0 {
		r.Batch, r.MaxBytes = fetchMessages, fetchBytes
	}
	data, err := json.Marshal(r)
	if err != nil {
		return false, err
	}
	f.asked++
	inbox := f.prefix + strconv.FormatUint(f.asked, 10)
	if err := f.nc.PublishRequest(f.api, inbox, data); err != nil {
		return false, fmt.Errorf("ask for messages: %w", err)
	}
	for {
		m, err := f.next(ctx, inbox)
		if err != nil {
			return false, fmt.Errorf("wait for messages: %w", err)
		}
		if status := m.Header.Get("Status"); status != "" {
			return endOfAnswer(status, m)
		}
		message, err := messageFrom(m)
		if err != nil {
			return false, err
		}
		if err := fn(message); err != nil {
			return false, err
		}
	}
}

// next returns the next part of the answer to inbox, and drops what is left of the answers to earlier requests.
func (f *fetcher) next(ctx context.Context, inbox string) (*nats.Msg, error) {
	for {
		m, err := f.receive(ctx)
		if err != nil || m.Subject == inbox {
			return m, err
		}
	}
}

// receive returns the next message. Most of an answer is there at once, and then there is no need for a timer.
func (f *fetcher) receive(ctx context.Context) (*nats.Msg, error) {
	if waiting, _, err := f.sub.Pending(); err == nil && waiting > 0 && ctx.Err() == nil {
		return f.sub.NextMsg(requestTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return f.sub.NextMsgWithContext(ctx)
}

// endOfAnswer interprets the message without content that ends an answer.
func endOfAnswer(status string, m *nats.Msg) (more bool, err error) {
	switch status {
	case "204": // end of batch
		return m.Header.Get("Nats-Num-Pending") != "0", nil
	case "404": // nothing there, or nothing there yet
		return false, nil
	case "503":
		return false, errNoAnswer
	}
	return false, fmt.Errorf("read stored messages: %s %s", status, m.Header.Get("Description"))
}

// errNoAnswer says that the server does not serve the stream, or not yet.
var errNoAnswer = errors.New("nobody answers for the stream")

// messageFrom reads what the server says about a stored message.
func messageFrom(m *nats.Msg) (Message, error) {
	out := Message{Stream: m.Header.Get("Nats-Stream"), Subject: m.Header.Get("Nats-Subject"), Payload: m.Data}
	var err error
	if out.Host, out.Source, err = ParseSubject(out.Subject); err != nil {
		return out, err
	}
	if out.Sequence, err = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err != nil {
		return out, fmt.Errorf("stored message of %s: sequence: %w", out.Subject, err)
	}
	stored, err := time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return out, fmt.Errorf("stored message %d: time: %w", out.Sequence, err)
	}
	out.Stored = clock.At(stored)
	return out, nil
}
