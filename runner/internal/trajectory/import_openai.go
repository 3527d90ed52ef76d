package trajectory

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// importOpenAI reads logs of chat completions: one request per line or element, {messages, model, tools, ...}, alone or as
// request or body beside its response or usage. The messages go out as they were sent.
//
// A request whose messages begin with all those of an earlier one is the next turn of that session; any other begins a
// session. So sessions may be mixed, and no id of a session is needed.
func (l Limits) importOpenAI(in io.Reader, file string) (*Dataset, *Report, error) {
	o := newOpenAI(l.newGather(in, file, OpenAI))
	return o.g.each(o.row, o.finish)
}

func newOpenAI(g *gather) *openAI { return &openAI{g: g, last: map[digest][]*logged{}} }

// isOpenAI tells a log from a data set of conversations: it says what was asked for or what came back, and its messages do
// not end with an answer.
func isOpenAI(ms []member) bool {
	request, _ := logRequest(ms)
	messages, err := elements(find(request, "messages"))
	if err != nil || len(messages) == 0 {
		return false
	}
	last, _ := members(messages[len(messages)-1])
	role, _ := text(find(last, "role"))
	logs := len(pick(ms, "response", "usage", "choices")) > 0 || find(request, "model") != nil
	return logs && role != "" && role != "assistant"
}

// logRequest returns the request of a row, and what else the row has.
func logRequest(ms []member) (request, beside []member) {
	for _, key := range []string{"request", "body"} {
		if inner, err := members(find(ms, key)); err == nil && find(inner, "messages") != nil {
			return inner, without(ms, key)
		}
	}
	return ms, nil
}

type digest [sha256.Size]byte

// openAI is the state of importing one log.
type openAI struct {
	g        *gather
	sessions []*logged
	last     map[digest][]*logged // sessions by their last request, the oldest first
}

// logged is a session of a log.
type logged struct {
	*builder
	ended  time.Time // of its last answer; zero: not recorded
	answer []byte    // its last answer; nil: not recorded
}

// logRow is one request of a log.
type logRow struct {
	ids            []member // where an id of the session may be
	messages       [][]byte
	turn           Turn
	aside          []aside // what is not as it was recorded
	arrived, ended time.Time
	answer         []byte
}

// aside is what a message has that is not replayed, a deviation to report, or both.
type aside struct {
	at   int             // index of the message
	note string          // empty: none
	rest json.RawMessage // an object; nil: none
}

// row takes one row.
func (o *openAI) row(ms []member) error {
	request, beside := logRequest(ms)
	list, err := elements(find(request, "messages"))
	if err != nil {
		return fmt.Errorf("messages %w", err)
	}
	t, err := o.turn(request, beside)
	if err != nil {
		return err
	}
	return o.take(logRow{ids: ms, messages: list, turn: t})
}

// take gives a request to its session.
func (o *openAI) take(r logRow) error {
	s, old, end := o.session(r.ids, r.messages)
	var calls []Call
	var err error
	for _, m := range r.messages[old:] {
		if err = s.add(m); err != nil {
			break
		}
		calls = append(calls, calledBy(m)...)
	}
	if old > 0 {
		o.wait(s, calls, r.arrived)
	}
	if err == nil {
		r.turn.Extra = o.keep(r, old)
		err = s.turn(r.turn)
	}
	if err != nil {
		// The session ends with the request before: what it would become is not known.
		if n := len(s.t.Turns); n > 0 {
			s.t.Turns[n-1].Calls = nil
			s.t.Messages = s.t.Messages[:s.t.Turns[n-1].End]
			o.g.report.bad(o.g.in.errorf("trajectory %q ends before this request: %v", s.t.ID, err))
			return nil
		}
		return err
	}
	s.ended, s.answer = r.ended, bytes.Clone(r.answer)
	if old == 0 {
		o.sessions = append(o.sessions, s)
	}
	o.last[end] = append(o.last[end], s)
	return nil
}

// wait says what happened between the last answer of a session and its next request, which arrived then.
func (o *openAI) wait(s *logged, calls []Call, arrived time.Time) {
	last := &s.t.Turns[len(s.t.Turns)-1]
	took, known := elapsed(s.ended, arrived)
	switch {
	case !known && len(calls) > 0:
		o.g.report.note(noToolTime)
	case known && len(calls) == 0:
		o.g.report.note("the time before a request that no tool call led to is kept as a call without a name")
		calls = []Call{{Duration: took}}
	case known:
		if len(calls) > 1 {
			o.g.report.note("parallel tool calls share one recorded time evenly")
		}
		tools := make([]string, len(calls))
		for i, call := range calls {
			tools[i] = call.Tool
		}
		calls = share(took, tools)
	}
	last.Calls = calls
}

// keep reports what is not as recorded in the messages that a request adds, and returns the extra of its turn.
func (o *openAI) keep(r logRow, old int) json.RawMessage {
	var rest []json.RawMessage
	for _, a := range r.aside {
		if a.at < old {
			continue
		}
		if a.note != "" {
			o.g.report.note(a.note)
		}
		if a.rest != nil {
			index := strconv.AppendInt(nil, int64(a.at), 10)
			rest = append(rest, object(merge(known(a.rest), []member{{key: "message_index", value: index}})))
		}
	}
	if len(rest) == 0 {
		return r.turn.Extra
	}
	return object(merge(known(r.turn.Extra), []member{{key: "messages", value: array(rest)}}))
}

// calledBy returns the tools that a message calls.
func calledBy(message []byte) (calls []Call) {
	for _, name := range callNames(find(known(message), "tool_calls")) {
		calls = append(calls, Call{Tool: name})
	}
	return calls
}

// session finds the session that a request continues and the number of messages that it knows, and takes it out of those
// that wait; or it begins one. It also returns the digest of the whole request.
func (o *openAI) session(ids []member, list [][]byte) (s *logged, old int, end digest) {
	h := sha256.New()
	var at digest
	for i, m := range list {
		h.Write(m)
		h.Write([]byte{','})
		h.Sum(at[:0])
		if i+1 < len(list) && len(o.last[at]) > 0 {
			old, end = i+1, at
		}
	}
	if old == 0 {
		o.g.report.note("a request that continues no other begins a session")
		origin := string(o.g.report.Format) + ":" + filepath.Base(o.g.in.file)
		return &logged{builder: newBuilder(o.g.id(ids, idFields...), origin, o.g.limits)}, 0, at
	}
	waiting := o.last[end]
	s = waiting[0]
	if o.last[end] = slices.Clone(waiting[1:]); len(waiting) == 1 {
		delete(o.last, end)
	}
	return s, old, at
}

// finish takes the sessions into the data set.
func (o *openAI) finish() error {
	for _, s := range o.sessions {
		if s.answer != nil {
			last := &s.t.Turns[len(s.t.Turns)-1]
			last.Extra = object(merge(known(last.Extra), []member{{key: "answer", value: s.answer}}))
		}
		t, err := s.done()
		if err != nil {
			o.g.leave(fmt.Errorf("trajectory %q: %w", s.t.ID, err))
			continue
		}
		o.g.add(t)
	}
	return nil
}

// turn returns what a row says of its request.
func (o *openAI) turn(request, beside []member) (t Turn, err error) {
	used := []string{"messages", "tools"}
	if t.Tools, err = o.g.sets.keep(find(request, "tools")); err != nil {
		return t, err
	}
	for _, key := range []string{"max_tokens", "max_completion_tokens"} {
		if value := find(request, key); value != nil {
			if t.MaxOutput, err = count(value); err != nil {
				return t, fmt.Errorf("%s %w", key, err)
			}
			used = append(used, key)
		}
	}
	all := append(slices.Clone(request), beside...)
	response, _ := members(find(all, "response"))
	if body, err := members(find(response, "body")); err == nil { // as in OpenAI's batches
		response = body
	}
	for _, value := range [][]byte{find(all, "usage"), find(response, "usage")} {
		if value != nil && t.Output == 0 {
			if t.Prompt, t.Output, err = usage(value); err != nil {
				return t, err
			}
		}
	}
	if t.Output == 0 {
		o.g.report.note("the output length of the turn is not recorded")
	}
	t.Extra = object(merge(without(request, used...), beside))
	return t, nil
}
