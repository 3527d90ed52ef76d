package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ImportMLCommons reads the agentic inference JSONL of MLCommons endpoints: one row per conversation step, roles user,
// assistant and tool. Each assistant row is one turn, whose request is everything before it.
//
// Messages become chat completions messages: the system prompt of the first row first, each tool result its own message.
// An assistant message keeps reasoning_content under that name, and content only if the row has it. Tools and output caps of
// the first row
// hold for rows that state none, as in MLCommons' own client. delay_seconds is the tool time before a row, shared evenly
// by the calls that it answers. Token counts are not recorded. Fields that the model does not have, and the answer of the last
// turn, are kept in Turn.Extra.
func ImportMLCommons(r io.Reader, name string) (*Dataset, *Report, error) {
	return Limits{}.ImportMLCommons(r, name)
}

// ImportMLCommons is the function ImportMLCommons within the limits.
func (l Limits) ImportMLCommons(r io.Reader, name string) (*Dataset, *Report, error) {
	im := newImports[mlState](r, name, MLCommons, l)
	d, err := im.run(
		func(s *session[mlState], ms []member) error {
			return takeML(s.builder, &s.state, ms, im.tools, im.report)
		},
		func(s *session[mlState]) error { return finishML(s.builder, &s.state, im.report) })
	return d, im.report, err
}

// mlState is what a conversation's next row depends on.
type mlState struct {
	steps     int    // rows so far
	role      string // of the last row
	system    []byte // of the first row
	tools     []byte // of the first row
	maxOutput int    // of the first row
	now       Turn   // tools, cap of the request being put together
	calls     []string
	extra     []json.RawMessage // unknown fields of the rows since the last turn, one object per row
	answer    []byte            // last assistant message
}

// mlRow is one row; slices alias the input.
type mlRow struct {
	step      int
	role      string
	delay     time.Duration
	maxOutput int
	extra     []member // unknown fields

	content, system, name, reasoning, toolCalls, toolResults, tools []byte
}

// mlNext lists the roles that may follow a role.
func mlNext(role string) []string {
	switch role {
	case "":
		return []string{"user"}
	case "user":
		return []string{"assistant"}
	case "assistant":
		return []string{"tool", "user"}
	}
	return []string{"assistant", "user"} // after tool
}

// takeML appends a row to its trajectory.
func takeML(b *builder, s *mlState, ms []member, tools toolSets, report *Report) error {
	r, err := parseML(ms)
	if err != nil {
		return err
	}
	if r.step != s.steps+1 {
		return fmt.Errorf("turn is %d, want %d: they must be 1, 2, 3, ... in each conversation", r.step, s.steps+1)
	}
	if next := mlNext(s.role); !slices.Contains(next, r.role) {
		return fmt.Errorf("role %s cannot come here: want %s", r.role, strings.Join(next, " or "))
	}
	s.steps++
	s.role = r.role
	if len(r.extra) > 0 {
		number := strconv.AppendInt(nil, int64(r.step), 10)
		s.extra = append(s.extra, object(append([]member{{key: "turn", value: number}}, r.extra...)))
	}
	switch r.role {
	case "user":
		return takeMLUser(b, s, r, report)
	case "tool":
		return takeMLTool(b, s, r, report)
	}
	return takeMLAssistant(b, s, r, tools, report)
}

func takeMLUser(b *builder, s *mlState, r mlRow, report *Report) error {
	if s.steps == 1 {
		s.system, s.tools, s.maxOutput = bytes.Clone(r.system), bytes.Clone(r.tools), r.maxOutput
		if r.system != nil {
			if err := b.add(object([]member{{key: "role", value: []byte(`"system"`)}, {key: "content", value: r.system}})); err != nil {
				return err
			}
		}
	} else if r.system != nil && !bytes.Equal(r.system, s.system) {
		return errors.New("system differs from that of the first row: the prefix would not be stable")
	}
	if r.delay > 0 {
		if n := len(b.t.Turns); n > 0 {
			report.note("the pause before a user message is replayed as tool time without a name")
			b.t.Turns[n-1].Calls = append(b.t.Turns[n-1].Calls, Call{Duration: r.delay})
		} else {
			report.note("the pause before the first message has no turn before it; left out")
		}
	}
	s.request(r)
	return b.add(r.message(`"user"`))
}

func takeMLTool(b *builder, s *mlState, r mlRow, report *Report) error {
	results, err := elements(r.toolResults)
	if err != nil {
		return fmt.Errorf("tool_results %w", err)
	}
	if len(results) == 0 {
		return errors.New("tool_results is empty")
	}
	for i, raw := range results {
		ms, err := members(raw)
		if err != nil {
			return fmt.Errorf("tool_results[%d] %w", i, err)
		}
		m := []member{{key: "role", value: []byte(`"tool"`)}}
		for _, field := range ms {
			if field.key == "tool_call_id" || field.key == "content" || field.key == "name" {
				m = append(m, field)
			}
		}
		if len(m) < len(ms)+1 { // fields that do not go over the wire
			s.extra = append(s.extra, object([]member{{key: "tool_result", value: raw}}))
		}
		if err := b.add(object(m)); err != nil {
			return err
		}
	}
	last := &b.t.Turns[len(b.t.Turns)-1]
	last.Calls = share(r.delay, s.calls)
	if len(s.calls) > 1 {
		report.note("parallel tool calls share one delay_seconds evenly")
	}
	s.request(r)
	return nil
}

// share splits a delay evenly between calls; the first takes what does not divide, so that the sum is exact.
func share(delay time.Duration, tools []string) []Call {
	calls := make([]Call, len(tools))
	each := delay / time.Duration(max(len(tools), 1))
	for i, tool := range tools {
		calls[i] = Call{tool, each}
	}
	if len(calls) > 0 {
		calls[0].Duration += delay - each*time.Duration(len(calls))
	}
	return calls
}

func takeMLAssistant(b *builder, s *mlState, r mlRow, tools toolSets, report *Report) error {
	var err error
	if s.now.Tools, err = tools.keep(s.now.Tools); err != nil {
		return err
	}
	if len(s.extra) > 0 {
		s.now.Extra = object([]member{{key: "rows", value: array(s.extra)}})
	}
	report.note("token counts are not recorded")
	if err := b.turn(s.now); err != nil {
		return err
	}
	s.extra = nil
	s.calls = callNames(r.toolCalls)
	s.answer = r.message(`"assistant"`)
	return b.add(s.answer)
}

// request notes what a client row says about the request that it is part of.
func (s *mlState) request(r mlRow) {
	s.now = Turn{Tools: s.tools, MaxOutput: s.maxOutput}
	if r.tools != nil {
		s.now.Tools = bytes.Clone(r.tools)
	}
	if r.maxOutput > 0 {
		s.now.MaxOutput = r.maxOutput
	}
}

// message makes a chat completions message of a user or assistant row.
func (r mlRow) message(role string) []byte {
	m := []member{{key: "role", value: []byte(role)}}
	for _, field := range []member{
		{key: "content", value: r.content}, {key: "name", value: r.name},
		{key: "reasoning_content", value: r.reasoning}, {key: "tool_calls", value: r.toolCalls},
	} {
		if field.value != nil {
			m = append(m, field)
		}
	}
	return object(m)
}

// finishML settles what comes after the last answer.
func finishML(b *builder, s *mlState, report *Report) error {
	if len(b.t.Turns) == 0 {
		return errors.New("the conversation has no assistant row")
	}
	last := &b.t.Turns[len(b.t.Turns)-1]
	if s.role != "assistant" {
		report.note("a user or tool row after the last answer was not answered; left out")
		last.Calls = nil
	}
	var extra []member
	if last.Extra != nil {
		extra, _ = members(last.Extra) // made by us
	}
	last.Extra = object(append(extra, member{key: "answer", value: s.answer}))
	return nil
}

// parseML takes a row apart. A null counts as absent, except for content, which is kept as recorded.
func parseML(ms []member) (mlRow, error) {
	var r mlRow
	for _, m := range ms {
		if m.key == "content" {
			r.content = m.value
		}
		if isNull(m.value) {
			continue
		}
		var err error
		switch m.key {
		case "conversation_id", "content":
		case "turn":
			r.step, err = count(m.value)
		case "role":
			r.role, err = text(m.value)
			if err == nil && r.role != "user" && r.role != "assistant" && r.role != "tool" {
				err = fmt.Errorf("is %q, want user, assistant or tool", r.role)
			}
		case "system":
			r.system = m.value
		case "name":
			r.name = m.value
		case "reasoning_content":
			r.reasoning = m.value
		case "tool_calls":
			r.toolCalls = m.value
		case "tool_results":
			r.toolResults = m.value
		case "tools":
			r.tools = m.value
		case "delay_seconds":
			r.delay, err = seconds(m.value, 1)
		case "max_new_tokens", "max_completion_tokens":
			r.maxOutput, err = count(m.value)
		default:
			r.extra = append(r.extra, m)
		}
		if err != nil {
			return r, fmt.Errorf("%s %w", m.key, err)
		}
	}
	if r.role == "" {
		return r, errors.New("the row has no role")
	}
	return r, nil
}
