package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// wholeStream is a stream that nobody else writes to, as a ledger.
type wholeStream struct {
	js   jetstream.JetStream
	name string
}

func (w wholeStream) end(ctx context.Context) (stored, uint64, error) {
	info, err := w.js.Stream(ctx, w.name) // first: what is stored in between is then noticed by append
	if err != nil {
		return stored{}, 0, err
	}
	last, err := lastMessage(ctx, w.js.Conn(), w.name, ">")
	return last, info.CachedInfo().State.LastSeq, err
}

func (w wholeStream) lastID(ctx context.Context, subject string) (string, error) {
	m, err := lastMessage(ctx, w.js.Conn(), w.name, subject)
	return m.id, err
}

func (w wholeStream) append(ctx context.Context, m *nats.Msg, after uint64) (uint64, bool, error) {
	ack, err := w.js.PublishMsg(ctx, m, jetstream.WithExpectStream(w.name), jetstream.WithExpectLastSequence(after))
	if err != nil {
		return 0, false, err
	}
	return ack.Sequence, ack.Duplicate, nil
}

// lastMessage returns the last message of a stream whose subject fits the filter, a zero one if there is none. The answer is
// that of whoever leads the stream, never of a copy that may be behind.
func lastMessage(ctx context.Context, nc *nats.Conn, stream, filter string) (stored, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := json.Marshal(map[string]string{"last_by_subj": filter})
	if err != nil {
		return stored{}, err
	}
	m, err := nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, request)
	if err != nil {
		return stored{}, fmt.Errorf("ask stream %s for its last message of %s: %w", stream, filter, err)
	}
	last, err := parseStored(m.Data)
	if err != nil {
		return stored{}, fmt.Errorf("ask stream %s for its last message of %s: %w", stream, filter, err)
	}
	return last, nil
}

// parseStored reads the server's answer to a request for one message.
func parseStored(data []byte) (stored, error) {
	var answer struct {
		Message struct {
			Subject string    `json:"subject"`
			Seq     uint64    `json:"seq"`
			Header  []byte    `json:"hdrs"`
			Data    []byte    `json:"data"`
			Time    time.Time `json:"time"`
		} `json:"message"`
		Error *struct {
			Code        int    `json:"code"`
			Description string `json:"description"`
		} `json:"error"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return stored{}, err
	}
	switch {
	case answer.Error != nil && answer.Error.Code == 404:
		return stored{}, nil
	case answer.Error != nil:
		return stored{}, errors.New(answer.Error.Description)
	}
	m := answer.Message
	out := stored{subject: m.Subject, sequence: m.Seq, time: m.Time, data: m.Data}
	if len(m.Header) == 0 {
		return out, nil
	}
	header, err := nats.DecodeHeadersMsg(m.Header)
	if err != nil {
		return stored{}, fmt.Errorf("header of message %d: %w", m.Seq, err)
	}
	out.id = header.Get(headerID)
	return out, nil
}
