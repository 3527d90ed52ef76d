package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// builder makes a trajectory out of messages and turns in their order and checks them on the way: what it returns can be
// sent, salted and replayed. The native reader, the importers and the generator all build with it.
type builder struct {
	t     Trajectory
	limit int      // bytes of messages
	count int      // messages so far
	last  string   // role of the last message
	open  []string // ids of tool calls of the last assistant message that have no result yet
}

func newBuilder(id, origin string, limits Limits) *builder {
	return &builder{t: Trajectory{ID: id, Origin: origin, SaltBefore: -1, SaltAfter: -1}, limit: limits.trajectory()}
}

// add appends one message: a compact JSON object. It copies raw.
func (b *builder) add(raw []byte) error {
	m, err := parseMessage(raw)
	if err == nil {
		err = b.follow(m)
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", b.count, err)
	}
	if len(b.t.Messages)+len(raw)+1 > b.limit {
		return fmt.Errorf("message %d: messages are longer than the limit of %d bytes", b.count, b.limit)
	}
	if b.count > 0 {
		b.t.Messages = append(b.t.Messages, ',')
	}
	if at := len(b.t.Messages) + m.text; m.text > 0 {
		if b.t.SaltBefore < 0 {
			b.t.SaltBefore = at
		}
		if b.t.SaltAfter < 0 && m.role != "system" && m.role != "developer" {
			b.t.SaltAfter = at
		}
	}
	b.t.Messages = append(b.t.Messages, raw...)
	b.count++
	b.last = m.role
	return nil
}

// follow checks that m may come after the messages so far: every tool call is answered, once, before anything else.
func (b *builder) follow(m message) error {
	if m.role == "tool" {
		i := slices.Index(b.open, m.answers)
		if i < 0 {
			return fmt.Errorf("tool result for %q: there is no such tool call without a result before it", m.answers)
		}
		b.open = slices.Delete(b.open, i, i+1)
		return nil
	}
	if err := b.answered(); err != nil {
		return err
	}
	b.open = m.calls
	return nil
}

// answered returns an error that names the tool calls without a result.
func (b *builder) answered() error {
	if len(b.open) == 0 {
		return nil
	}
	return fmt.Errorf("tool result missing for tool call %q", strings.Join(b.open, `", "`))
}

// turn ends a turn after the messages so far. It sets t.End and keeps the rest of t, whose tools are checked.
func (b *builder) turn(t Turn) error {
	if err := b.answered(); err != nil {
		return err
	}
	switch {
	case b.count == 0:
		return errors.New("the turn has no messages")
	case b.last == "assistant":
		return errors.New("the last message of the turn is an answer (role assistant): there is nothing to ask")
	case b.t.SaltAfter < 0:
		return errors.New("the first turn has no message with text, other than the system prompt, that could be salted")
	}
	t.End = len(b.t.Messages)
	b.t.Turns = append(b.t.Turns, t)
	return nil
}

// done returns the trajectory. The builder must not be used afterwards.
func (b *builder) done() (*Trajectory, error) {
	if len(b.t.Turns) == 0 {
		return nil, errors.New("the trajectory has no turns")
	}
	last := b.t.Turns[len(b.t.Turns)-1]
	if len(last.Calls) > 0 {
		return nil, errors.New("tool calls with a duration follow the last turn: there is no turn that waits for them")
	}
	// Importers append messages beyond the last turn; growing left spare room. Keep exactly what is sent.
	b.t.Messages = bytes.Clone(b.t.Messages[:last.End])
	b.t.Turns = slices.Clip(b.t.Turns)
	t := b.t
	return &t, nil
}

// checkTools checks a compact JSON array of function tools.
func checkTools(tools []byte) error {
	list, err := elements(tools)
	if err != nil {
		return err
	}
	for i, tool := range list {
		ms, err := members(tool)
		if err != nil {
			return fmt.Errorf("tool %d %w", i, err)
		}
		function, err := members(find(ms, "function"))
		if err != nil {
			return fmt.Errorf("tool %d: its function %w", i, err)
		}
		if name, err := text(find(function, "name")); err != nil || name == "" {
			return fmt.Errorf("tool %d has no name", i)
		}
	}
	return nil
}

// toolSets keeps one checked copy of equal tools: most turns of a data set share theirs.
type toolSets map[string]json.RawMessage

// keep returns a copy of tools, a compact JSON value, that equal ones share. Nothing, null and an empty array give nil: all
// three mean no tools.
func (in toolSets) keep(value []byte) (json.RawMessage, error) {
	if len(value) == 0 || isNull(value) || string(value) == "[]" {
		return nil, nil
	}
	if kept, ok := in[string(value)]; ok {
		return kept, nil
	}
	if err := checkTools(value); err != nil {
		return nil, fmt.Errorf("tools: %w", err)
	}
	kept := json.RawMessage(bytes.Clone(value))
	in[string(value)] = kept
	return kept, nil
}
