package trajectory

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// importOTel reads OpenTelemetry spans with GenAI attributes: {trace_id, spans}, OTLP's {resourceSpans}, or one span per row. A span of
// a model call is a request with its messages, a span of a tool the time that the tool took.
//
// Spans of one session are a trajectory. A request that begins with all messages of one that had been answered is its next
// turn; any other begins a conversation, and times say which answer started it (weave).
func (l Limits) importOTel(in io.Reader, file string) (*Dataset, *Report, error) {
	o := &otel{g: l.newGather(in, file, OTel), byID: map[string]*otelSession{}}
	return o.g.each(o.item, o.finish)
}

func isOTel(ms []member) bool {
	if find(ms, "resourceSpans") != nil || isOTelSpan(ms) {
		return true
	}
	spans, err := elements(find(ms, "spans"))
	if err != nil || len(spans) == 0 {
		return false
	}
	span, err := members(spans[0])
	return err == nil && find(span, "attributes") != nil
}

// isOTelSpan tells a span: it has times and attributes.
func isOTelSpan(ms []member) bool {
	timed := find(ms, "start_time") != nil || find(ms, "startTimeUnixNano") != nil || find(ms, "start_time_unix_nano") != nil
	return timed && find(ms, "attributes") != nil
}

// otel is the state of importing one file.
type otel struct {
	g        *gather
	sessions []*otelSession
	byID     map[string]*otelSession
}

type otelSession struct {
	id    string
	calls []otelCall
	tools []ranAt
}

// otelCall is a request to a model.
type otelCall struct {
	interval
	messages [][]byte // as recorded
	turn     Turn
	tools    []byte // definitions
}

// item takes a row, an element or a document.
func (o *otel) item(ms []member) error {
	if isOTelSpan(ms) {
		return o.span(ms)
	}
	o.g.report.Rows--
	for _, list := range otelSpans(ms) {
		spans, err := elements(list)
		if err != nil {
			return fmt.Errorf("spans %w", err)
		}
		for i, raw := range spans {
			o.g.report.Rows++
			span, err := members(raw)
			if err == nil {
				err = o.span(span)
			}
			if err != nil {
				o.g.leave(fmt.Errorf("span %d: %w", i, err))
			}
		}
	}
	return nil
}

// otelSpans returns the lists of spans of a document.
func otelSpans(ms []member) (lists [][]byte) {
	if spans := find(ms, "spans"); spans != nil {
		lists = append(lists, spans)
	}
	for _, key := range []string{"resourceSpans", "scopeSpans", "instrumentationLibrarySpans"} {
		inner, _ := elements(find(ms, key))
		for _, raw := range inner {
			lists = append(lists, otelSpans(known(raw))...)
		}
	}
	return lists
}

// span takes one span.
func (o *otel) span(ms []member) error {
	attributes, err := otelAttributes(find(ms, "attributes"))
	if err != nil {
		return fmt.Errorf("attributes %w", err)
	}
	at := interval{otelTime(ms, "start"), otelTime(ms, "end")}
	if at.start.IsZero() || at.end.Before(at.start) {
		return errors.New("the span has no times, or ends before it starts")
	}
	id := named(attributes, "exgentic.session.id", "session.id", "gen_ai.conversation.id")
	if id == "" {
		if id = named(ms, "trace_id", "traceId"); id == "" {
			id = stem(o.g.in.file)
		}
	}
	s := o.byID[id]
	if s == nil {
		s = &otelSession{id: id}
		o.byID[id] = s
		o.sessions = append(o.sessions, s)
	}
	operation := named(attributes, "gen_ai.operation.name")
	if operation == "execute_tool" {
		s.tools = append(s.tools, ranAt{at.end, ran{named(attributes, "gen_ai.tool.name"), at.end.Sub(at.start)}})
		return nil
	}
	call := otelCall{interval: at}
	if call.messages, err = otelMessages(attributes); err != nil {
		return err
	}
	if call.messages == nil {
		if slices.Contains([]string{"chat", "text_completion", "generate_content"}, operation) {
			return errors.New("the span of a model call has no messages: they were not recorded")
		}
		o.g.report.note("a span that is neither a model call nor a tool is left out")
		return nil
	}
	if call.turn, err = otelTurn(ms, attributes); err != nil {
		return err
	}
	call.tools, _ = embedded(find(attributes, "gen_ai.tool.definitions"))
	call.tools = slices.Clone(call.tools)
	s.calls = append(s.calls, call)
	return nil
}

// otelTime reads when a span starts or ends.
func otelTime(ms []member, which string) time.Time {
	if at := clock(find(ms, which+"_time")); !at.IsZero() {
		return at
	}
	for _, key := range []string{which + "TimeUnixNano", which + "_time_unix_nano"} {
		if ns, err := strconv.ParseInt(named(ms, key), 10, 64); err == nil && ns > 0 {
			return time.Unix(0, ns)
		}
	}
	return time.Time{}
}

// otelTurn reads the numbers of a call, and keeps what else the span has.
func otelTurn(ms, attributes []member) (t Turn, err error) {
	for _, field := range []struct {
		key string
		to  *int
	}{
		{"gen_ai.usage.prompt_tokens", &t.Prompt}, {"gen_ai.usage.input_tokens", &t.Prompt},
		{"gen_ai.usage.completion_tokens", &t.Output}, {"gen_ai.usage.output_tokens", &t.Output},
		{"gen_ai.request.max_tokens", &t.MaxOutput},
	} {
		if value := find(attributes, field.key); value != nil {
			if *field.to, err = count(value); err != nil {
				return t, fmt.Errorf("%s %w", field.key, err)
			}
		}
	}
	kept := slices.DeleteFunc(slices.Clone(attributes), func(m member) bool {
		return m.key == "gen_ai.input.messages" || m.key == "gen_ai.tool.definitions" || strings.HasPrefix(m.key, "gen_ai.prompt.")
	})
	t.Extra = object(clone(putObject(ms, "attributes", kept)))
	return t, nil
}

// finish makes the trajectories.
func (o *otel) finish() error {
	for _, s := range o.sessions {
		if len(s.calls) == 0 {
			o.g.report.note("a session without model calls is left out")
			continue
		}
		t, err := o.tree(s)
		if err != nil {
			o.g.leave(fmt.Errorf("trajectory %q: %w", s.id, err))
			continue
		}
		o.g.add(t)
	}
	return nil
}

// otelTalk is a conversation.
type otelTalk struct {
	c    *chat
	line timeline
	last digest // of the messages of its last request
	n    int    // how many these are
}

// tree makes the trajectory of a session.
func (o *otel) tree(s *otelSession) (*Trajectory, error) {
	slices.SortStableFunc(s.calls, func(a, b otelCall) int {
		return cmp.Or(a.start.Compare(b.start), cmp.Compare(len(a.messages), len(b.messages)))
	})
	var talks []*otelTalk
	waiting := map[digest][]*otelTalk{}
	for _, call := range s.calls {
		t := continued(waiting, call)
		if t == nil {
			id := s.id
			if len(talks) > 0 {
				id = fmt.Sprintf("%s/%d", s.id, len(talks)+1)
			}
			t = &otelTalk{c: o.g.chat(id)}
			talks = append(talks, t)
		}
		if err := t.request(o.g, call, s.tools); err != nil {
			return nil, err
		}
		waiting[t.last] = append(waiting[t.last], t)
	}
	var all []woven
	for _, t := range talks {
		if len(t.line) == 0 {
			continue // what it has instead of a turn was noted
		}
		done, err := t.c.done(nil)
		if err != nil {
			return nil, err
		}
		all = append(all, woven{done, t.line})
	}
	return o.g.weave(all)
}

// continued finds the conversation that a call continues, and takes it out of those that wait: the one with the most messages whose
// answer had come.
func continued(waiting map[digest][]*otelTalk, call otelCall) (found *otelTalk) {
	h := sha256.New()
	for _, m := range call.messages[:len(call.messages)-1] {
		h.Write(m)
		h.Write([]byte{','})
		at := digest(h.Sum(nil))
		for _, t := range waiting[at] {
			if len(t.line) == 0 || !t.line[len(t.line)-1].end.After(call.start) {
				found = t
				break
			}
		}
	}
	if found != nil {
		waiting[found.last] = slices.DeleteFunc(waiting[found.last], func(t *otelTalk) bool { return t == found })
	}
	return found
}

// request adds a call to the conversation.
func (t *otelTalk) request(g *gather, call otelCall, tools []ranAt) error {
	h := sha256.New()
	for i, raw := range call.messages {
		h.Write(raw)
		h.Write([]byte{','})
		if i < t.n {
			continue
		}
		ms, err := members(raw)
		if err != nil {
			return fmt.Errorf("message %d %w", i, err)
		}
		for _, m := range g.semantic(ms) {
			if err := t.c.say(m); err != nil {
				return err
			}
		}
	}
	t.last, t.n = digest(h.Sum(nil)), len(call.messages)
	if err := t.c.declare(call.tools); err != nil {
		return err
	}
	turns := len(t.c.b.t.Turns)
	if turns > 0 {
		last := t.line[turns-1]
		t.c.ran = g.spent(call.start.Sub(last.end), between(tools, last.end, call.start))
	}
	if err := t.c.ask(call.turn); err != nil {
		return err
	}
	if len(t.c.b.t.Turns) > turns {
		t.line = append(t.line, call.interval)
	}
	return nil
}
