package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

// capture makes the body of a response write itself down while it is forwarded.
func capture(r *http.Response) error {
	x, ok := r.Request.Context().Value(exchangeKey{}).(*exchange)
	if !ok {
		return nil
	}
	x.status = r.StatusCode
	x.stream = strings.HasPrefix(r.Header.Get("Content-Type"), "text/event-stream")
	if x.encoding = r.Header.Get("Content-Encoding"); x.encoding == "identity" {
		x.encoding = ""
	}
	r.Body = &tap{ReadCloser: r.Body, x: x}
	if x.asked && x.stream && x.encoding == "" {
		r.Body = &withoutUsage{body: r.Body}
		r.Header.Del("Content-Length")
		r.ContentLength = -1
	}
	return nil
}

// tap keeps what is read through it, and when it came.
type tap struct {
	io.ReadCloser
	x *exchange
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	if n > 0 {
		t.keep(p[:n])
	}
	if errors.Is(err, io.EOF) {
		t.x.complete = true
	}
	return n, err
}

// keep keeps bytes that have just come.
func (t *tap) keep(p []byte) {
	x := t.x
	x.ended = x.proxy.now() // not when the end is noticed: an agent goes on at the last event
	if len(x.answer)+len(p) > mostAnswer {
		x.tooLong = true
	}
	if x.tooLong {
		return
	}
	x.answer = append(x.answer, p...)
	if x.stream {
		x.stamps = append(x.stamps, stamp{len(x.answer), x.ended})
	}
}

// withoutUsage takes out of a stream the event with the token counts that the agent did not ask for. Events are passed on
// when they are whole.
type withoutUsage struct {
	body io.ReadCloser
	in   []byte // of an event that is not whole
	out  []byte // what may be passed on
	err  error  // of body
	buf  [32 << 10]byte
}

func (f *withoutUsage) Close() error { return f.body.Close() }

func (f *withoutUsage) Read(p []byte) (int, error) {
	for len(f.out) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		var n int
		n, f.err = f.body.Read(f.buf[:])
		f.in = append(f.in, f.buf[:n]...)
		f.sift()
	}
	n := copy(p, f.out)
	f.out = f.out[n:]
	return n, nil
}

// mostEvent is the longest event that is looked at, in bytes; the counts take a few hundred.
const mostEvent = 64 << 10

// sift passes on what is whole.
func (f *withoutUsage) sift() {
	for {
		end := eventEnd(f.in)
		if end == 0 && (f.err != nil || len(f.in) > mostEvent) {
			end = len(f.in)
		}
		if end == 0 {
			return
		}
		if !isUsage(f.in[:end]) {
			f.out = append(f.out, f.in[:end]...)
		}
		f.in = f.in[end:]
	}
}

// isUsage tells the event that has token counts and nothing else.
func isUsage(event []byte) bool {
	if !bytes.Contains(event, []byte(`"usage"`)) {
		return false
	}
	for data := range events(event) {
		var chunk struct {
			Choices []json.RawMessage `json:"choices"`
			Usage   map[string]any    `json:"usage"`
		}
		return json.Unmarshal(data, &chunk) == nil && len(chunk.Choices) == 0 && len(chunk.Usage) > 0
	}
	return false
}
