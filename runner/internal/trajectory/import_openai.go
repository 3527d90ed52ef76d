package trajectory

import (
	"crypto/sha256"
	"fmt"
	"io"
	"path/filepath"
	"slices"
)

// importOpenAI reads logs of chat completions: one request per line or element, {messages, model, tools, ...}, alone or as
// request or body beside its response or usage. The messages go out as they were sent.
//
// A request whose messages begin with all those of an earlier one is the next turn of that session; any other begins a
// session. So sessions may be mixed, and no id of a session is needed.
func (l Limits) importOpenAI(in io.Reader, file string) (*Dataset, *Report, error) {
	o := &openAI{g: l.newGather(in, file, OpenAI), last: map[digest][]*builder{}}
	return o.g.each(o.row, func() error {
		for _, s := range o.sessions {
			t, err := s.done()
			if err != nil {
				o.g.leave(fmt.Errorf("trajectory %q: %w", s.t.ID, err))
				continue
			}
			o.g.add(t)
		}
		return nil
	})
}

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
	sessions []*builder
	last     map[digest][]*builder // sessions by their last request, the oldest first
}

// row takes one request.
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
	s, old, end := o.session(ms, list)
	for _, m := range list[old:] {
		if err = s.add(m); err != nil {
			break
		}
		if calls := calledBy(m); len(calls) > 0 && len(s.t.Turns) > 0 {
			o.g.report.note(noToolTime)
			last := &s.t.Turns[len(s.t.Turns)-1]
			last.Calls = append(last.Calls, calls...)
		}
	}
	if err == nil {
		err = s.turn(t)
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
	if old == 0 {
		o.sessions = append(o.sessions, s)
	}
	o.last[end] = append(o.last[end], s)
	return nil
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
func (o *openAI) session(ms []member, list [][]byte) (s *builder, old int, end digest) {
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
		return newBuilder(o.g.id(ms, idFields...), string(OpenAI)+":"+filepath.Base(o.g.in.file), o.g.limits), 0, at
	}
	waiting := o.last[end]
	s = waiting[0]
	if o.last[end] = slices.Clone(waiting[1:]); len(waiting) == 1 {
		delete(o.last, end)
	}
	return s, old, at
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
