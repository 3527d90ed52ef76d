package trajectory

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// importDynamo reads NVIDIA Dynamo's request trace: one event per row, {schema, event_type, event_time_unix_ms, agent_context, request,
// tool}, alone or as event in an envelope. A request_end has the lengths, the times and the hashes of the blocks of a request; tool
// events come from the agent's harness. The segments of one capture are one file after cat.
func (l Limits) importDynamo(in io.Reader, file string) (*Dataset, *Report, error) {
	d := &dynamo{g: l.newGather(in, file, Dynamo), byID: map[string]*dynamoSession{}, seen: map[string]bool{}}
	return d.g.each(d.row, d.finish)
}

func isDynamo(ms []member) bool {
	schema, _ := text(find(dynamoEvent(ms), "schema"))
	return strings.HasPrefix(schema, "dynamo.request.trace.") || strings.HasPrefix(schema, "dynamo.agent.trace.")
}

// dynamoEvent returns the event of a row.
func dynamoEvent(ms []member) []member {
	if event, err := members(find(ms, "event")); err == nil && find(ms, "schema") == nil {
		return event
	}
	return ms
}

// dynamo is the state of importing one capture.
type dynamo struct {
	g        *gather
	sessions []*dynamoSession
	byID     map[string]*dynamoSession
	seen     map[string]bool // requests, by session and id: two sinks of one capture hold the same
}

type dynamoSession struct {
	id, parent string
	size       int // tokens of a block; 0: no hashes
	requests   []dynamoRequest
	tools      []ranAt
	children   []*dynamoSession
	used       bool
}

type dynamoRequest struct {
	interval
	hashed
	request outlined
}

// row takes one event.
func (d *dynamo) row(ms []member) error {
	event := dynamoEvent(ms)
	if find(event, "schema") == nil {
		d.g.report.note("a row is not an event; left out")
		return nil
	}
	switch kind, _ := text(find(event, "event_type")); kind {
	case "request_end":
		return d.request(event)
	case "tool_end", "tool_error":
		return d.tool(event)
	case "tool_start":
		return nil // its end has the duration
	default:
		d.g.report.note(fmt.Sprintf("events of type %.40q are not replayed", kind))
		return nil
	}
}

// session returns the session of an event. The names of the fields changed from version to version.
func (d *dynamo) session(event []member, otherwise string) *dynamoSession {
	about, _ := members(find(event, "agent_context"))
	id := named(about, "trajectory_id", "session_id", "program_id")
	if id == "" {
		if id = otherwise; id == "" {
			return nil
		}
		d.g.report.note("a request without a session is a session of its own")
	}
	s := d.byID[id]
	if s == nil {
		s = &dynamoSession{id: id}
		d.byID[id] = s
		d.sessions = append(d.sessions, s)
	}
	if parent := named(about, "parent_trajectory_id", "parent_session_id", "parent_program_id"); parent != id && s.parent == "" {
		s.parent = parent
	}
	return s
}

func (d *dynamo) request(event []member) error {
	ms, err := members(find(event, "request"))
	if err != nil {
		return fmt.Errorf("request %w", err)
	}
	id := named(ms, "request_id")
	s := d.session(event, id)
	if s == nil {
		return errors.New("the request has neither a session nor an id")
	}
	key := s.id + "\n" + id
	if id != "" && d.seen[key] {
		d.g.report.note("a request that is recorded twice counts once")
		return nil
	}
	d.seen[key] = true
	r, err := d.parse(s, ms)
	if err != nil {
		return err
	}
	if r.end.IsZero() {
		if r.end, err = unixMilli(find(event, "event_time_unix_ms")); err != nil {
			return fmt.Errorf("event_time_unix_ms %w", err)
		}
	}
	if r.start.IsZero() {
		r.start = r.end
	}
	r.request.extra = object(clone(putObject(without(event, "schema"), "request", without(ms, "replay"))))
	s.requests = append(s.requests, r)
	return nil
}

// parse reads the numbers of a request.
func (d *dynamo) parse(s *dynamoSession, ms []member) (r dynamoRequest, err error) {
	replay, _ := members(find(ms, "replay"))
	tokens := find(replay, "input_length")
	if tokens == nil {
		tokens = find(ms, "input_tokens")
	}
	n, err := count(tokens)
	if err != nil || n == 0 {
		return r, fmt.Errorf("its input is %.40s, not a number of tokens", tokens)
	}
	r.hashed.tokens = n
	if replay != nil {
		size, err := count(find(replay, "trace_block_size"))
		if err != nil || size == 0 || s.size != 0 && s.size != size {
			return r, fmt.Errorf("trace_block_size is %.40s: want a number of tokens, the same in all requests of a session", find(replay, "trace_block_size"))
		}
		s.size = size
		if r.hashed, err = d.g.hashed(n, find(replay, "input_sequence_hashes"), size); err != nil {
			return r, err
		}
	} else {
		d.g.report.note("a request without hashes begins with the one before, as far as it is longer")
	}
	if out := find(ms, "output_tokens"); out != nil {
		if r.request.output, err = count(out); err != nil {
			return r, fmt.Errorf("output_tokens %w", err)
		}
	}
	if r.start, err = unixMilli(find(ms, "request_received_ms")); err == nil {
		if took, err := optional(ms, "total_time_ms", 1e-3); err == nil && find(ms, "total_time_ms") != nil {
			r.end = r.start.Add(took)
		}
	}
	return r, nil
}

func (d *dynamo) tool(event []member) error {
	ms, err := members(find(event, "tool"))
	if err != nil {
		return fmt.Errorf("tool %w", err)
	}
	s := d.session(event, "")
	if s == nil {
		d.g.report.note("a tool call without a session is left out")
		return nil
	}
	at, err := unixMilli(find(event, "event_time_unix_ms"))
	if err != nil {
		return fmt.Errorf("event_time_unix_ms %w", err)
	}
	took, err := optional(ms, "duration_ms", 1e-3)
	if err != nil {
		return err
	}
	s.tools = append(s.tools, ranAt{at, ran{named(ms, "tool_name", "name", "tool_class"), took}})
	return nil
}

// finish makes the trajectories: one of each session without a parent, with those that it started.
func (d *dynamo) finish() error {
	var roots []*dynamoSession
	for _, s := range d.sessions {
		slices.SortStableFunc(s.requests, func(a, b dynamoRequest) int { return a.start.Compare(b.start) })
		switch parent := d.byID[s.parent]; {
		case len(s.requests) == 0:
			d.g.report.note("a session without requests is left out")
		case parent != nil && len(parent.requests) > 0:
			parent.children = append(parent.children, s)
		default:
			if s.parent != "" {
				d.g.report.note("a session whose parent is not in the file is a trajectory of its own")
			}
			roots = append(roots, s)
		}
	}
	f := framing{}
	for _, s := range roots {
		t, err := d.g.outlined(d.outline(s), f)
		if err == nil {
			err = t.checkTree(d.g.limits.trajectory())
		}
		if err != nil {
			d.g.leave(fmt.Errorf("trajectory %q: %w", s.id, err))
			continue
		}
		d.g.add(t)
	}
	for _, s := range d.sessions {
		if len(s.requests) > 0 && !s.used {
			d.g.leave(fmt.Errorf("trajectory %q: its parent is a sub-agent of it", s.id))
		}
	}
	return nil
}

// outline returns a session with those that it started.
func (d *dynamo) outline(s *dynamoSession) outline {
	s.used = true
	o := outline{id: s.id}
	list := make([]hashed, len(s.requests))
	line := make(timeline, len(s.requests))
	for k, r := range s.requests {
		list[k], line[k] = r.hashed, r.interval
		if k > 0 {
			r.request.before = d.g.spent(r.start.Sub(line[k-1].end), between(s.tools, line[k-1].end, r.start))
			if r.start.Before(line[k-1].end) {
				d.g.report.note("requests of one session that overlap are played one after the other")
			}
		}
		o.requests = append(o.requests, r.request)
	}
	for k, text := range prompts("", s.id, max(s.size, 1), list) {
		o.requests[k].prompt = text
	}
	for _, child := range s.children {
		if child.used {
			continue
		}
		sub := outlinedSub{outline: d.outline(child)}
		last := child.requests[len(child.requests)-1]
		sub.fork, sub.delay, sub.join = line.place(child.requests[0].start, last.end)
		o.subagents = append(o.subagents, sub)
	}
	return o
}
