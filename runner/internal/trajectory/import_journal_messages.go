package trajectory

import (
	"bytes"
	"fmt"
)

// fromMessages puts a request of the messages API into the form of chat completions.
func fromMessages(body []member) (*translation, error) {
	tr := &translation{request: without(body, "system", "messages", "tools")}
	if err := tr.system(find(body, "system")); err != nil {
		return nil, fmt.Errorf("system %w", err)
	}
	list, err := elements(find(body, "messages"))
	if err != nil {
		return nil, fmt.Errorf("messages %w", err)
	}
	for i, raw := range list {
		ms, err := members(raw)
		if err == nil {
			err = tr.message(ms)
		}
		if err != nil {
			return nil, fmt.Errorf("messages[%d] %w", i, err)
		}
	}
	if tools := find(body, "tools"); tools != nil {
		value, err := tr.messageTools(tools)
		if err != nil {
			return nil, fmt.Errorf("tools %w", err)
		}
		tr.request = append(tr.request, member{key: "tools", value: value})
	}
	return tr, nil
}

// billing begins a text of the system prompt that differs in each request and that the server takes out again.
var billing = []byte(`"x-anthropic-billing-header:`)

// system appends the system prompt.
func (tr *translation) system(value []byte) error {
	if value == nil {
		return nil
	}
	blocks, err := blocksOf(value)
	if err != nil {
		return err
	}
	var parts [][]byte
	for i, b := range blocks {
		if bytes.HasPrefix(find(b, "text"), billing) {
			tr.keep("the billing line of the system prompt is not replayed; kept in extra", b)
			continue
		}
		parts = append(parts, tr.part(i, b))
	}
	if len(parts) > 0 {
		tr.add(roled("system"), contentOf(parts))
	}
	return nil
}

// blocksOf returns the blocks of a content; text alone is one block.
func blocksOf(value []byte) (blocks [][]member, err error) {
	if isString(value) {
		return [][]member{{{key: "type", value: []byte(`"text"`)}, {key: "text", value: value}}}, nil
	}
	list, err := elements(value)
	if err != nil {
		return nil, err
	}
	for i, raw := range list {
		ms, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("content[%d] %w", i, err)
		}
		blocks = append(blocks, ms)
	}
	return blocks, nil
}

// message appends one message: an answer, or tool results and then what a user says.
func (tr *translation) message(ms []member) error {
	role, err := text(find(ms, "role"))
	if err != nil {
		return fmt.Errorf("its role %w", err)
	}
	blocks, err := blocksOf(find(ms, "content"))
	if err != nil {
		return fmt.Errorf("its content %w", err)
	}
	if role == "assistant" {
		tr.assistant(blocks)
		return nil
	}
	var parts [][]byte
	for i, b := range blocks {
		if !isType(b, "tool_result") {
			parts = append(parts, tr.part(i, b))
			continue
		}
		if len(parts) > 0 {
			tr.note("what stands before a tool result is sent after it")
		}
		images, err := tr.toolResult(i, b)
		if err != nil {
			return fmt.Errorf("content[%d]: its content %w", i, err)
		}
		parts = append(parts, images...)
	}
	if len(parts) > 0 {
		tr.add(roled(role), contentOf(parts))
	}
	return nil
}

// assistant appends an answer.
func (tr *translation) assistant(blocks [][]member) {
	var parts, calls [][]byte
	for i, b := range blocks {
		switch {
		case isType(b, "thinking", "redacted_thinking"):
			tr.keep("thinking in an answer is not replayed; kept in extra", b)
		case isType(b, "tool_use"):
			tr.left(i, b, "type", "id", "name", "input")
			arguments := find(b, "input")
			if arguments == nil {
				arguments = []byte("{}")
			}
			calls = append(calls, toolCall(find(b, "id"), find(b, "name"), arguments))
		case isType(b, "text") && string(find(b, "text")) == `""`: // says nothing
		default:
			if len(calls) > 0 {
				tr.note("what stands after a tool call of an answer is sent before it")
			}
			parts = append(parts, tr.part(i, b))
		}
	}
	message := []member{roled("assistant"), {key: "content", value: []byte("null")}}
	switch {
	case len(parts) > 0:
		message[1] = contentOf(parts)
	case len(calls) == 0:
		message[1].value = []byte(`""`)
	}
	if len(calls) > 0 {
		message = append(message, member{key: "tool_calls", value: joined(calls)})
	}
	tr.add(message...)
}

// toolResult appends the result of a tool call and returns its images, which only a user may send.
func (tr *translation) toolResult(i int, b []member) (images [][]byte, err error) {
	tr.left(i, b, "type", "tool_use_id", "content")
	var parts [][]byte
	if content := find(b, "content"); content != nil {
		blocks, err := blocksOf(content)
		if err != nil {
			return nil, err
		}
		for _, inner := range blocks {
			part := tr.part(i, inner)
			if isType(known(part), "text") {
				parts = append(parts, part)
				continue
			}
			tr.note("an image or file in a tool result is sent in a user message after it")
			images = append(images, part)
		}
	}
	if len(parts) == 0 {
		parts = [][]byte{textPart([]byte(`""`))}
	}
	tr.add(roled("tool"), member{key: "tool_call_id", value: said(find(b, "tool_use_id"))}, contentOf(parts))
	return images, nil
}

// part puts a block of content into the form of a part. One that chat completions do not have becomes text.
func (tr *translation) part(i int, b []member) []byte {
	source, _ := members(find(b, "source"))
	switch {
	case isType(b, "text") && isString(find(b, "text")):
		tr.left(i, b, "type", "text")
		return textPart(find(b, "text"))
	case isType(b, "image") && isString(find(source, "url")):
		tr.left(i, b, "type", "source")
		return imagePart(find(source, "url"))
	case isType(b, "image") && isType(source, "base64"):
		tr.left(i, b, "type", "source")
		tr.note("an image is sent as a data URL")
		return imagePart(dataURL(source))
	case isType(b, "document") && isType(source, "text") && isString(find(source, "data")):
		tr.left(i, b, "type", "source")
		return textPart(find(source, "data"))
	case isType(b, "document") && isType(source, "base64"):
		tr.left(i, b, "type", "source")
		tr.note("a document is sent as a data URL")
		file := object([]member{{key: "file_data", value: dataURL(source)}})
		return object([]member{{key: "type", value: []byte(`"file"`)}, {key: "file", value: file}})
	}
	name, _ := text(find(b, "type"))
	tr.note(fmt.Sprintf("content of type %.40q is sent as the text of its JSON", name))
	return textPart(appendText(nil, string(object(without(b, "cache_control")))))
}

// dataURL makes a JSON string with the URL of a base64 source.
func dataURL(source []member) []byte {
	media, _ := text(find(source, "media_type"))
	data, _ := text(find(source, "data"))
	return appendText(nil, "data:"+media+";base64,"+data)
}

// left keeps what a block has beyond the keys.
func (tr *translation) left(i int, b []member, keys ...string) {
	rest := without(b, keys...)
	if len(rest) == 0 {
		return
	}
	note := "fields of content that chat completions do not have are kept in extra"
	if find(rest, "cache_control") != nil {
		note = "cache_control is not replayed; kept in extra"
	}
	tr.keep(note, append(rest, member{key: "block", value: fmt.Append(nil, i)}))
}

// messageTools puts tool definitions into the form of functions.
func (tr *translation) messageTools(value []byte) ([]byte, error) {
	list, err := elements(value)
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i, raw := range list {
		ms, err := members(raw)
		if err != nil {
			return nil, fmt.Errorf("[%d] %w", i, err)
		}
		if find(ms, "input_schema") == nil {
			tr.aside = append(tr.aside, aside{note: "a tool that the server itself defines is sent as a function without parameters"})
		}
		if len(without(ms, "type", "name", "description", "input_schema")) > 0 {
			tr.aside = append(tr.aside, aside{note: "fields of a tool that chat completions do not have are left out; the journal has them"})
		}
		out = append(out, functionTool(find(ms, "name"), find(ms, "description"), find(ms, "input_schema")))
	}
	return joined(out), nil
}
