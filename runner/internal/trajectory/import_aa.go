package trajectory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
)

// ImportAAReplay reads Artificial Analysis replay JSONL, version 1: one row per model call, each with the whole
// conversation so far and its own tools. Only what a row adds is kept, after a check that the rest is byte for byte what
// the row before had.
//
// Tool times are recorded_tool_calls_after, or simulated_tool_delay_ms_after where there are none. Fields that the model
// does not have are kept in Turn.Extra.
func ImportAAReplay(r io.Reader, name string) (*Dataset, *Report, error) {
	return Limits{}.ImportAAReplay(r, name)
}

// ImportAAReplay is the function ImportAAReplay within the limits.
func (l Limits) ImportAAReplay(r io.Reader, name string) (*Dataset, *Report, error) {
	im := newImports[struct{}](r, name, AAReplay, l)
	d, err := im.run(
		func(s *session[struct{}], ms []member) error { return takeAA(s.builder, ms, im.tools, im.report) },
		func(s *session[struct{}]) error {
			last := &s.t.Turns[len(s.t.Turns)-1]
			if len(last.Calls) > 0 {
				im.report.note("tool time after the last turn has nothing to delay; kept in extra")
				last.Calls = nil
			}
			return nil
		})
	return d, im.report, err
}

// aaRow is one row; slices alias the input.
type aaRow struct {
	index     int
	messages  []byte
	tools     []byte
	delay     time.Duration
	completed int // recorded_completion_tokens
	calls     []Call
	turn      Turn
}

// takeAA appends a row to its trajectory.
func takeAA(b *builder, ms []member, tools toolSets, report *Report) error {
	r, err := parseAA(ms)
	if err != nil {
		return err
	}
	if r.index != len(b.t.Turns) {
		return fmt.Errorf("conversation_idx is %d, want %d: they must be 0, 1, 2, ... in each conversation", r.index, len(b.t.Turns))
	}
	added, err := increment(b.t.Messages, r.messages)
	if err != nil {
		return err
	}
	for _, m := range list(added) {
		if err := b.add(m); err != nil {
			return err
		}
	}
	if string(r.tools) == "[]" {
		report.note("an empty tools list is replayed as a request without tools")
	}
	if r.turn.Tools, err = tools.keep(r.tools); err != nil {
		return err
	}
	if r.turn.Output == 0 {
		r.turn.Output = r.completed
	}
	if r.turn.Output == 0 {
		report.note("the output length of the turn is not recorded")
	}
	r.turn.Calls = r.calls
	if len(r.calls) == 0 && r.delay > 0 {
		report.note("tool time without tool names: simulated_tool_delay_ms_after is used as one call")
		r.turn.Calls = []Call{{Duration: r.delay}}
	} else if d := r.turn.ToolTime() - r.delay; d.Abs() > time.Millisecond {
		report.note("simulated_tool_delay_ms_after is not the sum of recorded_tool_calls_after; the calls are used")
	}
	return b.turn(r.turn)
}

// increment returns what the messages of a row, a compact JSON array, add to those before it.
func increment(before, array []byte) ([]byte, error) {
	if len(array) < 2 || array[0] != '[' {
		return nil, errors.New("messages is " + kind(array) + ", not an array")
	}
	all := array[1 : len(array)-1]
	if len(before) == 0 {
		return all, nil
	}
	if bytes.HasPrefix(all, before) {
		switch rest := all[len(before):]; {
		case len(rest) == 0:
			return nil, nil
		case rest[0] == ',':
			return rest[1:], nil
		}
	}
	old, now := list(before), list(all)
	i := 0
	for i < len(old) && i < len(now) && bytes.Equal(old[i], now[i]) {
		i++
	}
	return nil, fmt.Errorf("the prefix is not stable: messages[%d] is not that of the row before", i)
}

// parseAA takes a row apart.
func parseAA(ms []member) (aaRow, error) {
	r := aaRow{index: -1}
	var extra []member
	for _, m := range ms {
		if isNull(m.value) {
			continue
		}
		var err error
		switch m.key {
		case "version":
			if string(m.value) != "1" {
				err = fmt.Errorf("is %s, want 1", m.value)
			}
			extra = append(extra, m)
		case "conversation_id":
		case "conversation_idx":
			r.index, err = count(m.value)
		case "messages":
			r.messages = m.value
		case "tools":
			r.tools = m.value
		case "target_output_tokens":
			r.turn.Output, err = count(m.value)
		case "max_output_tokens":
			r.turn.MaxOutput, err = count(m.value)
		case "recorded_prompt_tokens":
			r.turn.Prompt, err = count(m.value)
		case "recorded_completion_tokens":
			r.completed, err = count(m.value)
			extra = append(extra, m)
		case "simulated_tool_delay_ms_after":
			r.delay, err = seconds(m.value, 1e-3)
			extra = append(extra, m)
		case "recorded_tool_calls_after": // its actions and outputs are not part of the model
			r.calls, err = parseAACalls(m.value)
			extra = append(extra, m)
		default:
			extra = append(extra, m)
		}
		if err != nil {
			return r, fmt.Errorf("%s %w", m.key, err)
		}
	}
	r.turn.Extra = object(extra)
	return r, nil
}

func parseAACalls(value []byte) ([]Call, error) {
	entries, err := elements(value)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	calls := make([]Call, len(entries))
	for i, raw := range entries {
		ms, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("entry %d %w", i, err)
		}
		if calls[i].Duration, err = seconds(find(ms, "duration_ms"), 1e-3); err != nil {
			return nil, fmt.Errorf("entry %d: duration_ms %w", i, err)
		}
		if name := find(ms, "tool_name"); name != nil {
			if calls[i].Tool, err = text(name); err != nil {
				return nil, fmt.Errorf("entry %d: tool_name %w", i, err)
			}
		}
	}
	return calls, nil
}
