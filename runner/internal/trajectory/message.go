package trajectory

import (
	"errors"
	"fmt"
	"slices"
)

// message is what the rules need to know about one chat message.
type message struct {
	role    string
	text    int      // offset just after the opening quote of the first text of the content; 0: no text
	calls   []string // ids of the tool calls it makes
	answers string   // id of the tool call it answers; role tool only
}

// parseMessage checks one message, a compact JSON object in the form of the OpenAI chat completions API.
func parseMessage(raw []byte) (message, error) {
	var m message
	ms, err := members(raw)
	if err != nil {
		return m, err
	}
	if m.role, err = text(find(ms, "role")); err != nil {
		return m, fmt.Errorf("its role %w", err)
	}
	switch m.role {
	case "system", "developer", "user", "assistant", "tool":
	default:
		return m, fmt.Errorf("unknown role %q", m.role)
	}
	if m.text, err = textOffset(ms); err != nil {
		return m, fmt.Errorf("role %s: content %w", m.role, err)
	}
	if m.role != "assistant" && find(ms, "content") == nil {
		return m, fmt.Errorf("role %s: it has no content", m.role)
	}
	calls := find(ms, "tool_calls")
	switch {
	case calls != nil && m.role != "assistant":
		return m, fmt.Errorf("role %s: only an assistant makes tool calls", m.role)
	case calls != nil:
		m.calls, err = parseCalls(calls)
	case m.role == "tool":
		if m.answers, err = text(find(ms, "tool_call_id")); err != nil {
			err = fmt.Errorf("role tool: its tool_call_id %w", err)
		}
	}
	return m, err
}

// textOffset returns where the first text in a message's content begins: content is a string, or an array of parts of
// which one is text. 0: there is none.
func textOffset(ms []member) (int, error) {
	i := slices.IndexFunc(ms, func(m member) bool { return m.key == "content" })
	if i < 0 || isNull(ms[i].value) {
		return 0, nil
	}
	content := ms[i]
	if content.value[0] == '"' {
		return content.at + 1, nil
	}
	parts, err := elements(content.value)
	if err != nil {
		return 0, errors.New("is " + kind(content.value) + ", not a string or an array of parts")
	}
	at, found := content.at+1, 0
	for i, part := range parts {
		fields, err := members(part)
		if err != nil {
			return 0, fmt.Errorf("part %d %w", i, err)
		}
		kind, err := text(find(fields, "type"))
		if err != nil {
			return 0, fmt.Errorf("part %d: its type %w", i, err)
		}
		if kind == "text" {
			j := slices.IndexFunc(fields, func(m member) bool { return m.key == "text" })
			if j < 0 || fields[j].value[0] != '"' {
				return 0, fmt.Errorf("part %d of type text has no text", i)
			}
			if found == 0 {
				found = at + fields[j].at + 1
			}
		}
		at += len(part) + 1
	}
	return found, nil
}

// parseCalls checks the tool calls of an assistant message and returns their ids.
func parseCalls(raw []byte) ([]string, error) {
	calls, err := elements(raw)
	if err != nil {
		return nil, fmt.Errorf("tool_calls %w", err)
	}
	var ids []string
	for i, call := range calls {
		ms, err := members(call)
		if err != nil {
			return nil, fmt.Errorf("tool call %d %w", i, err)
		}
		id, err := text(find(ms, "id"))
		if err != nil {
			return nil, fmt.Errorf("tool call %d: its id %w", i, err)
		}
		if id == "" || slices.Contains(ids, id) {
			return nil, fmt.Errorf("tool call %d: its id %q is empty or not unique in the message", i, id)
		}
		ids = append(ids, id)
		function, err := members(find(ms, "function"))
		if err != nil {
			return nil, fmt.Errorf("tool call %q: its function %w", id, err)
		}
		if name, err := text(find(function, "name")); err != nil || name == "" {
			return nil, fmt.Errorf("tool call %q has no function name", id)
		}
		if _, err := text(find(function, "arguments")); err != nil {
			return nil, fmt.Errorf("tool call %q: its arguments must be a string that holds JSON: it %w", id, err)
		}
	}
	return ids, nil
}

// callNames returns the function names of a valid tool_calls array.
func callNames(raw []byte) []string {
	calls, err := elements(raw)
	if err != nil {
		return nil
	}
	names := make([]string, len(calls))
	for i, call := range calls {
		if ms, err := members(call); err == nil {
			if function, err := members(find(ms, "function")); err == nil {
				names[i], _ = text(find(function, "name"))
			}
		}
	}
	return names
}
