package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// importATIF reads the Agent Trajectory Interchange Format of Harbor, all versions of 1: one document, one per line, or an
// array of them. Each step of the agent is a turn, unless it says that no model was called or that it was copied from
// another trajectory.
//
// Embedded sub-agents start after the step that refers to them, and the next request waits for them, since the step
// has their result. Tool times are those of tool_invocations in a step's extra, which NeMo writes; the format has none.
func (l Limits) importATIF(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, ATIF)
	return g.each(func(ms []member) error {
		a := &atif{chat: g.chat(g.id(ms, "trajectory_id", "session_id")), g: g}
		t, err := a.read(ms)
		if err != nil {
			return err
		}
		g.add(t)
		return nil
	})
}

func isATIF(ms []member) bool {
	version, _ := text(find(ms, "schema_version"))
	return strings.HasPrefix(version, "ATIF-v1.") && find(ms, "steps") != nil
}

// atif is the state of importing one trajectory, which may be a sub-agent's.
type atif struct {
	*chat
	g     *gather
	subs  []*atifSub
	began time.Time // its first step
}

// atifSub is an embedded trajectory.
type atifSub struct {
	ms    []member
	names []string // trajectory_id, and session_id as versions before 1.7 refer to it
	used  bool
}

func (a *atif) read(ms []member) (*Trajectory, error) {
	version, _ := text(find(ms, "schema_version"))
	if !strings.HasPrefix(version, "ATIF-v1.") {
		return nil, fmt.Errorf("schema_version is %.40q, want ATIF-v1.0 to v1.7", version)
	}
	agent, _ := members(find(ms, "agent"))
	if err := a.declare(find(agent, "tool_definitions")); err != nil {
		return nil, err
	}
	subs, _ := elements(find(ms, "subagent_trajectories"))
	for i, raw := range subs {
		sub, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("subagent_trajectories[%d] %w", i, err)
		}
		s := &atifSub{ms: sub}
		for _, key := range []string{"trajectory_id", "session_id"} {
			if name, _ := text(find(sub, key)); name != "" {
				s.names = append(s.names, name)
			}
		}
		a.subs = append(a.subs, s)
	}
	steps, err := elements(find(ms, "steps"))
	if err != nil {
		return nil, fmt.Errorf("steps %w", err)
	}
	for i, raw := range steps {
		step, err := members(raw)
		if err == nil {
			err = a.step(step)
		}
		if err != nil {
			return nil, fmt.Errorf("steps[%d]: %w", i, err)
		}
	}
	for _, sub := range a.subs {
		if !sub.used {
			a.report.note("no step refers to a sub-agent: it starts with its parent, and nothing waits for it")
			if err := a.sub(sub, Subagent{Fork: -1, Join: len(a.b.t.Turns)}, a.began); err != nil {
				return nil, err
			}
		}
	}
	about := without(ms, "steps", "subagent_trajectories", "agent")
	if rest := without(agent, "tool_definitions"); len(rest) > 0 {
		about = append(about, member{key: "agent", value: object(rest)})
	}
	return a.done(about)
}

// step takes one step.
func (a *atif) step(ms []member) error {
	source, err := text(find(ms, "source"))
	if err != nil {
		return fmt.Errorf("its source %w", err)
	}
	role := map[string]string{"user": "user", "system": "system", "agent": "assistant"}[source]
	if role == "" {
		return fmt.Errorf("source is %.40q, want user, agent or system", source)
	}
	content, err := a.parts(find(ms, "message"))
	if err != nil {
		return fmt.Errorf("message %w", err)
	}
	at := clock(find(ms, "timestamp"))
	if a.began.IsZero() {
		a.began = at
	}
	message := []member{{key: "role", value: appendText(nil, role)}, {key: "content", value: content}}
	message = append(message, pick(ms, "reasoning_content")...)
	if calls, err := elements(find(ms, "tool_calls")); err == nil && len(calls) > 0 && role == "assistant" {
		made, err := atifCalls(calls)
		if err != nil {
			return err
		}
		message = append(message, member{key: "tool_calls", value: made})
	}
	turn, called, err := a.turn(ms)
	if err != nil {
		return err
	}
	if role == "assistant" && called {
		err = a.answer(message, turn)
	} else {
		a.keep(known(turn.Extra))
		err = a.say(message)
	}
	if err != nil {
		return err
	}
	a.times(ms)
	return a.observation(ms, at)
}

// turn returns what a step says of its request, and whether there was one.
func (a *atif) turn(ms []member) (t Turn, called bool, err error) {
	metrics := find(ms, "metrics")
	if t.Prompt, t.Output, err = usage(metrics); err != nil {
		return t, false, fmt.Errorf("metrics: %w", err)
	}
	rest := without(ms, "source", "message", "reasoning_content", "tool_calls", "observation", "metrics")
	if more := without(known(metrics), "prompt_tokens", "completion_tokens"); len(more) > 0 {
		rest = append(rest, member{key: "metrics", value: object(more)})
	}
	t.Extra = object(rest)
	switch calls := find(ms, "llm_call_count"); {
	case string(find(ms, "is_copied_context")) == "true":
		a.report.note("a step copied from another trajectory is history, not a turn")
		return t, false, nil
	case string(calls) == "0":
		a.report.note("a step of the agent without a model call is history, not a turn")
		return t, false, nil
	case calls != nil && string(calls) != "1":
		a.report.note("a step that stands for several model calls is one turn")
	}
	return t, true, nil
}

// atifCalls puts a step's calls into the form of chat completions.
func atifCalls(calls [][]byte) ([]byte, error) {
	var made []json.RawMessage
	for i, raw := range calls {
		ms, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("tool_calls[%d] %w", i, err)
		}
		arguments := find(ms, "arguments")
		if arguments == nil {
			arguments = []byte("{}")
		}
		if arguments[0] != '"' {
			arguments = appendText(nil, string(arguments))
		}
		function := object(without([]member{{key: "name", value: find(ms, "function_name")}, {key: "arguments", value: arguments}}))
		call := []member{{key: "id", value: find(ms, "tool_call_id")}, {key: "type", value: []byte(`"function"`)}, {key: "function", value: function}}
		made = append(made, object(append(without(call), without(ms, "tool_call_id", "function_name", "arguments")...)))
	}
	return array(made), nil
}

// parts returns a message's text: as it is, or, of parts, those that can be sent.
func (a *atif) parts(value []byte) ([]byte, error) {
	if value == nil || value[0] == '"' {
		return value, nil
	}
	parts, err := elements(value)
	if err != nil {
		return nil, err
	}
	var texts []json.RawMessage
	for i, part := range parts {
		ms, err := members(part)
		if err != nil {
			return nil, fmt.Errorf("part %d %w", i, err)
		}
		if kind, _ := text(find(ms, "type")); kind != "text" {
			a.report.note("a part of a message that is not text is not replayed; kept in extra")
			a.keep([]member{{key: "part", value: part}})
			continue
		}
		texts = append(texts, part)
	}
	return array(texts), nil
}

// times takes the tool times that NeMo writes.
func (a *atif) times(ms []member) {
	extra, _ := members(find(ms, "extra"))
	invocations, _ := elements(find(extra, "tool_invocations"))
	for i, raw := range invocations {
		ms, _ := members(raw)
		d, ok := elapsed(clock(find(ms, "start_timestamp")), clock(find(ms, "end_timestamp")))
		if ok && i < len(a.ran) && len(a.ran) == len(invocations) {
			a.ran[i].Duration = d
		}
	}
}

// observation takes the results of a step, and the sub-agents that they refer to.
func (a *atif) observation(ms []member, at time.Time) error {
	observation, _ := members(find(ms, "observation"))
	results, _ := elements(find(observation, "results"))
	if more := without(observation, "results"); len(more) > 0 {
		a.keep([]member{{key: "observation", value: object(more)}})
	}
	source, _ := text(find(ms, "source"))
	for i, raw := range results {
		result, err := members(raw)
		if err != nil {
			return fmt.Errorf("observation: results[%d] %w", i, err)
		}
		if err := a.refer(find(result, "subagent_trajectory_ref"), at); err != nil {
			return fmt.Errorf("observation: results[%d]: %w", i, err)
		}
		if source != "agent" {
			a.report.note("a result of the system's own operations is not replayed; kept in extra")
			a.keep([]member{{key: "result", value: bytes.Clone(raw)}})
			continue
		}
		content, err := a.parts(find(result, "content"))
		if err != nil {
			return fmt.Errorf("observation: results[%d]: content %w", i, err)
		}
		message := []member{{key: "role", value: []byte(`"tool"`)}, {key: "tool_call_id", value: find(result, "source_call_id")}, {key: "content", value: content}}
		if err := a.say(append(without(message), without(result, "source_call_id", "content")...)); err != nil {
			return err
		}
	}
	return nil
}

// refer starts the embedded sub-agents that a result refers to, by trajectory_id or, before version 1.7, session_id.
func (a *atif) refer(value []byte, at time.Time) error {
	refs, _ := elements(value)
	for _, raw := range refs {
		ref, _ := members(raw)
		found := false
		for _, key := range []string{"trajectory_id", "session_id"} {
			name, _ := text(find(ref, key))
			for _, sub := range a.subs {
				if found || sub.used || name == "" || !slices.Contains(sub.names, name) {
					continue
				}
				found = true
				fork := len(a.b.t.Turns) - 1
				if err := a.sub(sub, Subagent{Fork: fork, Join: fork + 1}, at); err != nil {
					return err
				}
			}
		}
		if !found {
			a.report.note("a sub-agent in another file is not part of the import")
		}
	}
	return nil
}

// sub imports an embedded trajectory as the sub-agent s, started at a time.
func (a *atif) sub(sub *atifSub, s Subagent, at time.Time) error {
	sub.used = true
	name := fmt.Sprintf("%s/%d", a.b.t.ID, len(a.b.t.Subagents)+1)
	if len(sub.names) > 0 {
		name += "-" + sub.names[0]
	}
	child := &atif{chat: a.g.chat(name), g: a.g}
	t, err := child.read(sub.ms)
	if errors.Is(err, errNoTurn) {
		a.report.note("a sub-agent without an answer is left out")
		return nil
	}
	if err != nil {
		return fmt.Errorf("sub-agent %q: %w", name, err)
	}
	if d, ok := elapsed(at, child.began); ok {
		s.Delay = d
	}
	s.Trajectory = t
	a.b.t.Subagents = append(a.b.t.Subagents, s)
	a.report.note("an embedded trajectory is replayed as a sub-agent")
	return nil
}
