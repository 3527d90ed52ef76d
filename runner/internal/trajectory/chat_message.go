package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// wired is a message in the form that a chat completions server accepts.
type wired struct {
	raw   []byte
	rest  []member   // what it does not have of the recorded message
	calls []openCall // the tool calls that it makes
}

// wire puts a recorded message into the form that a chat completions server accepts. Messages that have it keep their bytes.
func (c *chat) wire(role string, ms []member) (w wired, err error) {
	var out []member
	content := false
	for _, m := range ms {
		switch {
		case m.key == "role":
			m.value = appendText(nil, role)
		case m.key == "content":
			if m.value, err = c.content(role, m.value, find(ms, "tool_calls")); err != nil {
				return w, fmt.Errorf("message %d: role %s: content %w", c.b.count, role, err)
			}
			content = true
		case absent(m.value) || string(m.value) == `""` || string(m.value) == "[]": // says nothing
			continue
		case m.key == "tool_calls" && role == "assistant":
			recorded := m.value
			if w.calls, m.value, err = c.calls(m.value); err != nil {
				return w, fmt.Errorf("message %d: %w", c.b.count, err)
			}
			if !bytes.Equal(recorded, m.value) {
				w.rest = append(w.rest, member{key: m.key, value: recorded})
			}
		case m.key == "tool_call_id" && role == "tool", m.key == "name":
		case m.key == "reasoning_content" && role == "assistant", m.key == "reasoning" && role == "assistant":
		default:
			w.rest = append(w.rest, m)
			continue
		}
		out = append(out, m)
	}
	if !content && (role != "assistant" || len(w.calls) == 0) {
		c.report.note("a message without content is sent with an empty one")
		out = append(out, member{key: "content", value: []byte(`""`)})
	}
	w.raw = object(out)
	return w, nil
}

// partTypes are the types of content parts that chat completions servers know.
var partTypes = []string{"text", "image_url", "input_audio", "audio_url", "video_url", "file", "refusal"}

// content checks a message's content and returns what is sent.
func (c *chat) content(role string, value, calls []byte) ([]byte, error) {
	if absent(value) && role == "assistant" && len(calls) > 2 {
		return []byte("null"), nil
	}
	if absent(value) || string(value) == "[]" {
		c.report.note("a message without content is sent with an empty one")
		return []byte(`""`), nil
	}
	if value[0] == '"' {
		return value, nil
	}
	parts, err := elements(value)
	if err != nil {
		return nil, err
	}
	for i, part := range parts {
		ms, err := members(part)
		if err != nil {
			return nil, fmt.Errorf("part %d %w", i, err)
		}
		if kind, _ := text(find(ms, "type")); !slices.Contains(partTypes, kind) {
			return nil, fmt.Errorf("part %d: its type %.40q is not one of chat completions", i, kind)
		}
	}
	return value, nil
}

// calls puts the tool calls of an answer into the form of the API: an id that is unique in the message, a function with
// a name, and arguments as a string that holds JSON.
func (c *chat) calls(value []byte) ([]openCall, []byte, error) {
	if s, err := text(value); err == nil { // a column of JSON text
		var compact bytes.Buffer
		if json.Compact(&compact, []byte(s)) != nil {
			return nil, nil, errors.New("tool_calls is a string that is not JSON")
		}
		value = compact.Bytes()
	}
	list, err := elements(value)
	if err != nil {
		return nil, nil, fmt.Errorf("tool_calls %w", err)
	}
	var open []openCall
	var out []json.RawMessage
	for i, raw := range list {
		ms, err := members(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("tool call %d %w", i, err)
		}
		call, wire, err := c.call(ms, open)
		if err != nil {
			return nil, nil, fmt.Errorf("tool call %d: %w", i, err)
		}
		open, out = append(open, call), append(out, wire)
	}
	return open, array(out), nil
}

// call puts one tool call into the form of the API; before are those of the same message.
func (c *chat) call(ms []member, before []openCall) (openCall, json.RawMessage, error) {
	var call openCall
	function := ms // some data sets have name and arguments in the call itself
	if f := find(ms, "function"); f != nil {
		var err error
		if function, err = members(f); err != nil {
			return call, nil, fmt.Errorf("its function %w", err)
		}
	}
	var err error
	if call.tool, err = text(find(function, "name")); err != nil || call.tool == "" {
		return call, nil, errors.New("it has no function name")
	}
	call.recorded, _ = text(find(ms, "id"))
	if call.id = call.recorded; call.id == "" || slices.ContainsFunc(before, func(o openCall) bool { return o.id == call.id }) {
		c.report.note("a tool call without an id of its own gets one")
		call.id = "call_" + strconv.Itoa(c.b.count) + "_" + strconv.Itoa(len(before))
	}
	kind := find(ms, "type")
	if kind == nil || string(kind) == `""` {
		kind = []byte(`"function"`)
	}
	if string(kind) != `"function"` {
		return call, nil, fmt.Errorf("its type is %.40s, not function", kind)
	}
	arguments := find(function, "arguments")
	if arguments == nil || arguments[0] != '"' {
		c.report.note("tool call arguments that are not a string are sent as one")
		if arguments == nil {
			arguments = []byte("{}")
		}
		arguments = appendText(nil, string(arguments))
	}
	f := object(pick(put(function, "arguments", arguments), "name", "arguments"))
	out := put(put(put(ms, "id", appendText(nil, call.id)), "type", kind), "function", f)
	return call, object(pick(out, "id", "type", "function")), nil
}

// pick returns the members that have one of the keys, in their order.
func pick(ms []member, keys ...string) []member {
	return slices.DeleteFunc(slices.Clone(ms), func(m member) bool { return !slices.Contains(keys, m.key) })
}

// put returns the members with a key set to a value: in its place, or at the end.
func put(ms []member, key string, value []byte) []member {
	out := slices.Clone(ms)
	for i := range out {
		if out[i].key == key {
			out[i].value = value
			return out
		}
	}
	return append(out, member{key: key, value: value})
}

// putObject sets a member to an object, or leaves it out where that has no members.
func putObject(ms []member, key string, inner []member) []member {
	if len(inner) == 0 {
		return without(ms, key)
	}
	return put(ms, key, object(inner))
}

// absent reports whether a member has no value.
func absent(value []byte) bool { return len(value) == 0 || isNull(value) }

// without returns the members that have none of the keys, and a value.
func without(ms []member, keys ...string) []member {
	var out []member
	for _, m := range ms {
		if !slices.Contains(keys, m.key) && !absent(m.value) {
			out = append(out, m)
		}
	}
	return out
}

// merge joins members. Where a key occurs again, the later one gets underscores.
func merge(ms, more []member) []member {
	out := slices.Clone(ms)
	for _, m := range more {
		for slices.ContainsFunc(out, func(o member) bool { return o.key == m.key }) {
			m.key += "_"
		}
		out = append(out, m)
	}
	return out
}

// clone copies members out of a buffer that is used again.
func clone(ms []member) []member {
	out := slices.Clone(ms)
	for i := range out {
		out[i].value = bytes.Clone(out[i].value)
	}
	return out
}
