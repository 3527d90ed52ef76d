package endpoint

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"agentwatt/runner/internal/bench"
)

const (
	maxDetail   = 300 // bytes of a failure's text
	doneEvent   = "[DONE]"
	notStreamed = "answered without streaming"
)

// newReply returns a reply in which nothing has happened yet.
func newReply() bench.Reply {
	return bench.Reply{
		Stamps: bench.UserStamps,
		Prompt: bench.Unknown, Cached: bench.Unknown, Output: bench.Unknown, Reasoning: bench.Unknown,
	}
}

// stream is what the events of one answer add up to.
type stream struct {
	reply     *bench.Reply
	marks     []mark
	at        int // mark of the current event
	lastRead  int // read of the last output event; 0: none
	inRead    int // output events in it
	firstRead int // read of the first output event; 0: none
	tools     toolCalls
	done      bool // [DONE] was there
	failed    bool // an error event was there
	malformed string
}

// readStream fills the reply from a response body in event-stream format. Its failure, if any, is left in the reply.
func readStream(r *bench.Reply, c *capture) *stream {
	s := &stream{reply: r, marks: c.marks}
	ev := newEvents(c.body())
	runs := c.runs
	for more := true; more && !s.done && s.malformed == ""; {
		more = ev.next()
		for len(runs) > 0 && runs[0].at < ev.end && !s.done {
			s.run(runs[0])
			runs = runs[1:]
		}
		if more {
			s.event(ev)
		}
	}
	for _, run := range runs {
		if !s.done && s.malformed == "" {
			s.run(run)
		}
	}
	r.ToolCalls = s.tools.count()
	return s
}

// run takes events of which only the times were kept. They follow an output event that is like them.
func (s *stream) run(run run) {
	r := s.reply
	r.Events += run.events
	r.Chunks += run.events
	r.OutputBytes += run.bytes
	if run.answer && r.FirstAnswer == 0 {
		r.FirstAnswer = run.first
	}
	r.LastOutput = run.last
	s.read(run.firstRead, run.inFirst)
	r.MergedReads += run.merged
	if run.lastRead != run.firstRead {
		s.read(run.lastRead, run.inLast)
	}
}

// event takes one event with data.
func (s *stream) event(ev *events) {
	r := s.reply
	for s.at < len(s.marks)-1 && s.marks[s.at].end < ev.end {
		s.at++
	}
	if string(bytes.TrimSpace(ev.data)) == doneEvent {
		s.done = true
		return
	}
	k, ok := parseChunk(ev.data, &s.tools)
	named := string(ev.name) == "error"
	if !ok && !named {
		if ev.closed { // else the stream was cut inside it
			s.malformed = brief(string(ev.data), 80)
		}
		return
	}
	r.Events++
	if k.failed || named {
		s.failed = true
		if k.message == "" {
			k.message = string(ev.data)
		}
		r.Failure, r.Detail = bench.FailStream, k.message
	}
	if !ok {
		return
	}
	if len(k.model.raw) > 0 && string(k.model.raw) != r.Model {
		r.Model = k.model.decode()
	}
	if k.finish != "" {
		r.Finish = k.finish
	}
	if k.hasUsage {
		r.Prompt, r.Cached, r.Output, r.Reasoning = k.usage.prompt, k.usage.cached, k.usage.output, k.usage.reasoning
	}
	r.OutputBytes += k.bytes
	if k.output() {
		s.output(k)
	}
}

// output takes an event that carries output: it arrived with the read that completed it.
func (s *stream) output(k chunk) {
	r, m := s.reply, s.marks[s.at]
	r.Chunks++
	if r.FirstOutput == 0 {
		r.FirstOutput, r.FirstReadLag = m.at, m.late
		s.firstRead = m.read
		r.FirstChunk = 1
		if k.hasUsage && k.usage.output > 0 {
			r.FirstChunk, r.FirstKnown = k.usage.output, true
		}
	}
	if k.answer && r.FirstAnswer == 0 {
		r.FirstAnswer = m.at
	}
	r.LastOutput = m.at
	s.read(m.read, 1)
}

// read notes output events of one read: reads with more than one are counted, once each.
func (s *stream) read(ordinal, events int) {
	if ordinal == s.firstRead {
		s.reply.FirstRead += events
	}
	before := s.inRead
	if ordinal != s.lastRead {
		s.lastRead, before = ordinal, 0
	}
	if s.inRead = before + events; before < 2 && s.inRead >= 2 {
		s.reply.MergedReads++
	}
}

// answer fills the reply from a response that came with a 2xx status. broken is what ended it early; nil: it is whole.
func (c *Client) answer(r *bench.Reply, got *capture, broken error) {
	body := bytes.TrimLeft(got.body(), "\ufeff \t\r\n")
	sse := isEventStream(got.frame.contentType)
	if !sse && len(body) > 0 && body[0] == '{' {
		c.unstreamed(r, body)
		return
	}
	s := readStream(r, got)
	switch {
	case s.failed:
	case s.malformed != "":
		r.Failure, r.Detail = bench.FailProtocol, fmt.Sprintf("event %d is not a JSON object: %s", r.Events+1, s.malformed)
	case broken != nil && !s.done:
		r.Failure, r.Detail = bench.FailTruncated, broken.Error()
	case r.Events == 0 && !s.done && !sse:
		r.Failure, r.Detail = bench.FailProtocol, fmt.Sprintf("answered %q, not an event stream", got.frame.contentType)
	case !s.done && r.Finish == "":
		r.Failure, r.Detail = bench.FailTruncated, "the stream ended without finish_reason or [DONE]"
	case r.Chunks == 0:
		r.Failure, r.Detail = bench.FailEmpty, "the stream held no output"
	case r.Output == 0:
		r.Failure, r.Detail = bench.FailEmpty, fmt.Sprintf("usage says 0 output tokens although %d events held output", r.Chunks)
	}
}

// unstreamed tells an endpoint that ignores streaming from one that reports an error with status 200.
func (c *Client) unstreamed(r *bench.Reply, body []byte) {
	var tools toolCalls
	if k, ok := parseChunk(body, &tools); ok && k.failed {
		r.Failure, r.Detail = bench.FailStream, k.message
		return
	}
	r.Failure, r.Detail = bench.FailProtocol, notStreamed
}

func isEventStream(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(media), "text/event-stream")
}

// statusDetail describes an answer that is not 2xx by what its body says.
func statusDetail(got *capture) string {
	body := got.body()
	var tools toolCalls
	if k, ok := parseChunk(bytes.TrimSpace(body), &tools); ok && k.failed && k.message != "" {
		return k.message
	}
	if got.frame.location != "" {
		return "redirected to " + got.frame.location + ", which is not followed"
	}
	return string(body[:min(len(body), maxHeader)])
}

// clean makes foreign text fit for one line of a report: printable, short, without the key.
func (c *Client) clean(s string) string {
	if c.opt.Key != "" {
		s = strings.ReplaceAll(s, c.opt.Key, "***")
	}
	return brief(s, maxDetail)
}

// brief returns at most n bytes of s on one line, with what cannot be printed replaced.
func brief(s string, n int) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = b.Len() > 0
			continue
		case !unicode.IsPrint(r):
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r)+1 > n {
			return b.String()
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
