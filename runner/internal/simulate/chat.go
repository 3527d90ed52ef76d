package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// overhead is what a request body may have beyond the bytes of the longest prompt.
const overhead = 1 << 20

// errBroken ends a stream on purpose (Faults.BreakAfter).
var errBroken = errors.New("simulated failure")

// chat answers POST /v1/chat/completions.
func (s *Server) chat(w http.ResponseWriter, r *http.Request) {
	req, err := s.read(w, r)
	if err != nil {
		writeRefusal(w, err)
		return
	}
	q, err := req.sequence(s.p)
	if err != nil {
		writeRefusal(w, err)
		return
	}
	if err := s.engine.submit(r.Context(), q); err != nil {
		writeRefusal(w, err)
		return
	}
	if s.options.Faults.NoUsage {
		req.StreamOptions.IncludeUsage = false
	}
	id := fmt.Sprintf("chatcmpl-%016x-%d", q.digest, s.served.Add(1))
	if req.Stream && !s.options.Faults.NoStream {
		err = s.stream(r.Context(), w, newStream(newAnswer(req, q), req, s.options.Model, id, time.Now()), q)
	} else {
		err = s.whole(r.Context(), w, newAnswer(req, q), id, q)
	}
	if err != nil {
		s.engine.cancel(q)
	}
	if errors.Is(err, errStopped) {
		panic(http.ErrAbortHandler) // a clean end of the body would look like a complete answer to some
	}
}

// read reads and checks a request.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (*chatRequest, error) {
	most := int64(s.p.MaxContext)*BytesPerToken + overhead
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, most)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, most)); err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return nil, refuse("context_length_exceeded",
				"this model's maximum context length is %d tokens, but the request has more than %d bytes", s.p.MaxContext, most)
		}
		return nil, refuse("unreadable", "reading the request body: %v", err)
	}
	req, err := parseRequest(body.Bytes())
	if err != nil {
		return nil, err
	}
	if req.Model != s.options.Model {
		err := refuse("model_not_found", "the model %q does not exist; this server has %q", req.Model, s.options.Model)
		err.Status = http.StatusNotFound
		return nil, err
	}
	return req, nil
}

// next waits for output and returns the tokens of each step since the last call in dst.
func (s *Server) next(ctx context.Context, q *sequence, dst []int) (tokens []int, reused int, err error) {
	select {
	case <-q.mail.ready:
	case <-ctx.Done():
	case <-s.engine.stopped:
		return nil, 0, errStopped
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	tokens, reused = q.mail.take(dst)
	return tokens, reused, nil
}

// stream writes one event per step, each in one write of its own.
func (s *Server) stream(ctx context.Context, w http.ResponseWriter, out *stream, q *sequence) error {
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	flush := http.NewResponseController(w).Flush
	if err := flush(); err != nil {
		return err
	}
	var buf []byte
	var steps []int
	for out.emitted < out.length {
		var err error
		if steps, out.reused, err = s.next(ctx, q, steps[:0]); err != nil {
			return err
		}
		for _, n := range steps {
			buf = buf[:0]
			if out.emitted == 0 {
				buf = out.appendRole(buf)
			}
			buf = out.appendStep(buf, n)
			broken := s.options.Faults.BreakAfter > 0 && out.emitted >= s.options.Faults.BreakAfter
			switch {
			case broken:
				buf = append(buf, `data: {"error":{"message":"simulated failure","type":"server_error","param":null,"code":500}}`+"\n\n"...)
			case out.emitted == out.length:
				buf = out.appendFinish(buf)
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
			if err := flush(); err != nil {
				return err
			}
			if broken {
				return errBroken
			}
		}
	}
	return nil
}

// whole waits for all tokens and writes them as one JSON object.
func (s *Server) whole(ctx context.Context, w http.ResponseWriter, a answer, id string, q *sequence) error {
	reused := 0
	for emitted := 0; emitted < a.length; {
		steps, found, err := s.next(ctx, q, nil)
		if err != nil {
			return err
		}
		reused = found
		for _, n := range steps {
			emitted += n
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, err := w.Write(a.appendWhole(nil, s.options.Model, id, time.Now(), reused, !s.options.Faults.NoUsage))
	return err
}
