package trajectory

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// importShareGPT reads conversations [{id, conversations:[{from, value}]}], as one array or one object per line.
func (l Limits) importShareGPT(in io.Reader, file string) (*Dataset, *Report, error) {
	return l.importConversations(in, file, ShareGPT)
}

// importMessages reads conversations [{id, messages:[{role, content, ...}]}], as one array or one object per line: vLLM's
// multi-turn benchmark, fine-tuning data, and exports of data sets.
func (l Limits) importMessages(in io.Reader, file string) (*Dataset, *Report, error) {
	return l.importConversations(in, file, Messages)
}

func isShareGPT(ms []member) bool {
	list, err := elements(find(ms, "conversations"))
	return err == nil && (len(list) == 0 || list[0][0] == '{')
}

func isMessages(ms []member) bool {
	_, _, err := messageList(ms)
	return err == nil
}

func (l Limits) importConversations(in io.Reader, file string, format Format) (*Dataset, *Report, error) {
	g := l.newGather(in, file, format)
	return g.each(g.conversation)
}

// The fields of an item that hold its messages, its id and its tools, the best known first.
var (
	messageFields = []string{"messages", "conversations", "conversation", "trajectory", "messages_json", "history", "chat", "traj"}
	idFields      = []string{"trajectory_id", "session_id", "conversation_id", "conversation_hash", "id", "uuid", "instance_id", "task_id"}
	toolFields    = []string{"tools", "tools_json", "functions"}
)

// conversation imports an item that holds a list of messages. What else it holds is kept with the first turn.
func (g *gather) conversation(ms []member) error {
	field, messages, err := messageList(ms)
	if err != nil {
		return err
	}
	c := g.chat(g.id(ms, idFields...))
	used := []string{field}
	for _, key := range toolFields {
		tools, err := embedded(find(ms, key))
		if err != nil {
			return fmt.Errorf("%s %w", key, err)
		}
		if tools != nil && checkTools(tools) == nil {
			used = append(used, key)
			if err := c.declare(tools); err != nil {
				return err
			}
			break
		}
	}
	if system := find(ms, "system"); system != nil && system[0] == '"' && string(system) != `""` {
		used = append(used, "system")
		if err := c.say([]member{{key: "role", value: []byte(`"system"`)}, {key: "content", value: system}}); err != nil {
			return err
		}
	}
	for i, raw := range messages {
		if err := c.loose(raw); err != nil {
			return fmt.Errorf("%s[%d]: %w", field, i, err)
		}
	}
	return g.finish(c, without(ms, used...))
}

// messageList finds the messages of an item: a list of objects, or text that is one in JSON.
func messageList(ms []member) (field string, messages [][]byte, err error) {
	for _, key := range messageFields {
		value, err := embedded(find(ms, key))
		if err != nil || len(value) == 0 || value[0] != '[' {
			continue
		}
		messages, err := elements(value)
		if err == nil && len(messages) > 0 && messages[0][0] == '{' {
			return key, messages, nil
		}
	}
	return "", nil, errors.New("it has no list of messages under a known name (" + strings.Join(messageFields, ", ") + ")")
}

// embedded returns the JSON value that a text holds, or the value itself if it is no text.
func embedded(value []byte) ([]byte, error) {
	if len(value) == 0 || value[0] != '"' {
		return value, nil
	}
	s, err := text(value)
	if err != nil || strings.TrimSpace(s) == "" {
		return nil, err
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(s)); err != nil {
		return nil, errors.New("is text that is not JSON")
	}
	return compact.Bytes(), nil
}

// roles are the names that data sets have for the roles of chat completions.
var roles = map[string]string{
	"system": "system", "developer": "developer", "user": "user", "human": "user", "prompter": "user",
	"assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
	"ai": "assistant", "model": "assistant", "bot": "assistant", "function_call": "assistant",
	"tool": "tool", "observation": "tool", "function": "tool", "function_response": "tool", "environment": "tool", "ipython": "tool",
}

// loose appends a message whose role and content have one of the names in use. Each answer is a turn.
func (c *chat) loose(raw []byte) error {
	ms, err := members(raw)
	if err != nil {
		return fmt.Errorf("the message %w", err)
	}
	from := first(ms, "role", "from")
	recorded, err := text(find(ms, from))
	if err != nil {
		return fmt.Errorf("its role %w", err)
	}
	role := roles[strings.ToLower(recorded)]
	if role == "" {
		return fmt.Errorf("unknown role %.40q", recorded)
	}
	contents := []string{"content", "value", "text"}
	if role == "system" {
		contents = append(contents, "system_prompt")
	}
	content := first(ms, contents...)
	var out []member
	for _, m := range ms {
		switch m.key {
		case from:
			m = member{key: "role", value: appendText(nil, role)}
		case content:
			m.key = "content"
		case "role", "content": // of the two names, the other one
			continue
		}
		out = append(out, m)
	}
	if strings.EqualFold(recorded, "function_call") {
		out = c.functionCall(out)
	}
	if role == "assistant" {
		return c.answer(out, Turn{})
	}
	return c.say(out)
}

// first returns the first of the keys that has a value; if none has one, the first key.
func first(ms []member, keys ...string) string {
	for _, key := range keys {
		if find(ms, key) != nil {
			return key
		}
	}
	return keys[0]
}

// functionCall turns an answer whose content is {"name": ..., "arguments": ...} into one with a tool call.
func (c *chat) functionCall(ms []member) []member {
	value, err := embedded(find(ms, "content"))
	if err != nil {
		return ms
	}
	call, err := members(value)
	if err != nil || find(call, "name") == nil {
		return ms
	}
	return append(without(ms, "content"), member{key: "tool_calls", value: array([]json.RawMessage{value})})
}
