package trajectory

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// otelAttributes returns the attributes of a span: an object, or OTLP's list of {key, value}, whose values are then those within.
func otelAttributes(value []byte) ([]member, error) {
	list, err := elements(value)
	if err != nil {
		return members(value)
	}
	var ms []member
	for _, raw := range list {
		pair, err := members(raw)
		if err != nil {
			return nil, err
		}
		key, err := text(find(pair, "key"))
		if err != nil {
			return nil, fmt.Errorf("key %w", err)
		}
		inner, err := members(find(pair, "value"))
		if err != nil || len(inner) == 0 {
			continue // no value
		}
		v := inner[0].value
		if s, err := text(v); err == nil && inner[0].key == "intValue" {
			v = []byte(s) // JSON has no 64-bit integers, so OTLP writes them as text
		}
		if !json.Valid(v) {
			return nil, fmt.Errorf("%.40q is %.40q, not a number", key, v)
		}
		if slices.ContainsFunc(ms, func(m member) bool { return m.key == key }) {
			return nil, fmt.Errorf("has the key %q twice", key)
		}
		ms = append(ms, member{key: key, value: v})
	}
	return ms, nil
}

// otelMessages returns the messages of a request, system instructions first; nil: the span has none. Older instrumentation has
// them in numbered attributes.
func otelMessages(attributes []member) ([][]byte, error) {
	input := find(attributes, "gen_ai.input.messages")
	if input == nil {
		return numbered(attributes), nil
	}
	value, err := embedded(input)
	if err != nil {
		return nil, fmt.Errorf("gen_ai.input.messages %w", err)
	}
	list, err := elements(value)
	if err != nil {
		return nil, fmt.Errorf("gen_ai.input.messages %w", err)
	}
	if len(list) == 0 {
		return nil, nil
	}
	var messages [][]byte
	if system, err := embedded(find(attributes, "gen_ai.system_instructions")); err == nil && len(system) > 0 {
		messages = append(messages, object([]member{{key: "role", value: []byte(`"system"`)}, {key: "parts", value: system}}))
	}
	for _, m := range list {
		messages = append(messages, slices.Clone(m))
	}
	return messages, nil
}

// numbered returns the messages of attributes as gen_ai.prompt.0.role and gen_ai.prompt.0.content.
func numbered(attributes []member) (messages [][]byte) {
	for i := 0; ; i++ {
		prefix := fmt.Sprintf("gen_ai.prompt.%d.", i)
		role := find(attributes, prefix+"role")
		if role == nil {
			return messages
		}
		m := []member{{key: "role", value: role}}
		for _, key := range []string{"content", "tool_call_id"} {
			if value := find(attributes, prefix+key); value != nil {
				m = append(m, member{key: key, value: value})
			}
		}
		var calls []json.RawMessage
		for k := 0; ; k++ {
			call := fmt.Sprintf("%stool_calls.%d.", prefix, k)
			name := find(attributes, call+"name")
			if name == nil {
				break
			}
			calls = append(calls, functionOf(find(attributes, call+"id"), name, find(attributes, call+"arguments")))
		}
		if calls != nil {
			m = append(m, member{key: "tool_calls", value: array(calls)})
		}
		messages = append(messages, object(m))
	}
}

// functionOf makes a tool call.
func functionOf(id, name, arguments []byte) json.RawMessage {
	function := []member{{key: "name", value: name}}
	if arguments != nil {
		function = append(function, member{key: "arguments", value: arguments})
	}
	call := []member{{key: "type", value: []byte(`"function"`)}, {key: "function", value: object(function)}}
	if id != nil {
		call = append([]member{{key: "id", value: id}}, call...)
	}
	return object(call)
}

// semantic turns a message of the semantic conventions, {role, parts}, into those of the chat completions API; any other stays as
// it is.
func (g *gather) semantic(ms []member) [][]member {
	parts, err := elements(find(ms, "parts"))
	if err != nil {
		return [][]member{ms}
	}
	var results [][]member
	var texts, reasoning []string
	var calls []json.RawMessage
	for _, raw := range parts {
		part := known(raw)
		switch kind := named(part, "type"); kind {
		case "text":
			texts = append(texts, named(part, "content", "text"))
		case "reasoning", "thinking":
			reasoning = append(reasoning, named(part, "content", "text"))
		case "tool_call":
			calls = append(calls, functionOf(find(part, "id"), find(part, "name"), find(part, "arguments")))
		case "tool_call_response":
			results = append(results, g.toolResult(part))
		default:
			g.report.note(fmt.Sprintf("a message part of type %.40q is sent as its JSON text", kind))
			texts = append(texts, string(raw))
		}
	}
	if texts == nil && reasoning == nil && calls == nil && results != nil {
		return results
	}
	m := append(without(ms, "parts"), member{key: "content", value: appendText(nil, strings.Join(texts, "\n"))})
	if reasoning != nil {
		m = append(m, member{key: "reasoning_content", value: appendText(nil, strings.Join(reasoning, "\n"))})
	}
	if calls != nil {
		m = append(m, member{key: "tool_calls", value: array(calls)})
	}
	return append(results, m)
}

// toolResult makes the message of a tool's result.
func (g *gather) toolResult(part []member) []member {
	m := []member{{key: "role", value: []byte(`"tool"`)}}
	if id := find(part, "id"); id != nil {
		m = append(m, member{key: "tool_call_id", value: id})
	}
	content := find(part, first(part, "response", "result", "content"))
	if kind(content) != "a string" {
		content = appendText(nil, string(content))
	}
	return append(m, member{key: "content", value: content})
}
