package trajectory

import (
	"bytes"
	"fmt"
)

// fromResponses puts a request of the responses API into the form of chat completions. What the server remembers is looked up
// in the journal, and what it answers is remembered.
func (j *journal) fromResponses(ms, body []member) (*translation, error) {
	tr := &translation{request: without(body, "instructions", "input", "tools", "max_output_tokens")}
	if instructions := find(body, "instructions"); instructions != nil {
		if !isString(instructions) {
			return nil, fmt.Errorf("instructions is %s, not a string", kind(instructions))
		}
		tr.add(roled("system"), member{key: "content", value: instructions})
	}
	begin := len(tr.messages) // instructions are not remembered
	j.resume(tr, body)
	if err := tr.input(find(body, "input")); err != nil {
		return nil, fmt.Errorf("input %w", err)
	}
	if most := find(body, "max_output_tokens"); most != nil {
		tr.request = append(tr.request, member{key: "max_tokens", value: most})
	}
	if tools := find(body, "tools"); tools != nil {
		value, err := tr.responseTools(tools)
		if err != nil {
			return nil, fmt.Errorf("tools %w", err)
		}
		tr.request = append(tr.request, member{key: "tools", value: value})
	}
	return tr, j.remember(ms, tr.messages[begin:])
}

// resume appends what an earlier exchange left, if the request goes on from one.
func (j *journal) resume(tr *translation, body []member) {
	if find(body, "conversation") != nil {
		tr.note("a conversation that only the server knows is left out")
	}
	before, _ := text(find(body, "previous_response_id"))
	if before == "" {
		return
	}
	messages, ok := j.answered[before]
	if !ok {
		tr.note("a response that the request goes on from is not in the journal: what came before is left out")
	}
	tr.messages = append(tr.messages, messages...)
}

// remember keeps the messages of a request and its answer, for a request that goes on from it.
func (j *journal) remember(ms []member, messages [][]byte) error {
	id, _ := text(find(ms, "response_id"))
	answer := find(ms, "answer")
	if id == "" || answer == nil {
		return nil
	}
	tr := &translation{}
	if err := tr.input(answer); err != nil {
		return fmt.Errorf("answer %w", err)
	}
	all := make([][]byte, 0, len(messages)+len(tr.messages))
	for _, m := range append(messages[:len(messages):len(messages)], tr.messages...) {
		all = append(all, bytes.Clone(m))
	}
	j.answered[id] = all
	return nil
}

// input appends the items of a request, or of an answer.
func (tr *translation) input(value []byte) error {
	if isString(value) {
		tr.add(roled("user"), member{key: "content", value: value})
		return nil
	}
	list, err := elements(value)
	if err != nil {
		return err
	}
	var open answerItems
	for i, raw := range list {
		ms, err := members(raw)
		if err != nil {
			return fmt.Errorf("[%d] %w", i, err)
		}
		if err := tr.item(&open, ms); err != nil {
			return fmt.Errorf("[%d] %w", i, err)
		}
	}
	open.close(tr)
	return nil
}

// answerItems are items in a row that make up one answer.
type answerItems struct{ parts, calls [][]byte }

// close appends the answer.
func (a *answerItems) close(tr *translation) {
	if len(a.parts) == 0 && len(a.calls) == 0 {
		return
	}
	message := []member{roled("assistant"), {key: "content", value: []byte("null")}}
	if len(a.parts) > 0 {
		message[1] = contentOf(a.parts)
	}
	if len(a.calls) > 0 {
		message = append(message, member{key: "tool_calls", value: joined(a.calls)})
	}
	tr.add(message...)
	*a = answerItems{}
}

// item takes one item; open is the answer that it may belong to.
func (tr *translation) item(open *answerItems, ms []member) error {
	role, _ := text(find(ms, "role"))
	switch {
	case role == "assistant":
		parts, err := tr.responseParts(find(ms, "content"))
		if len(open.calls) > 0 { // text after calls is another answer, or one that chat completions cannot say
			open.close(tr)
		}
		open.parts = append(open.parts, parts...)
		return err
	case role != "":
		open.close(tr)
		parts, err := tr.responseParts(find(ms, "content"))
		if err == nil {
			tr.add(roled(role), contentOf(parts))
		}
		return err
	case isType(ms, "reasoning"):
		tr.keep("reasoning in an answer is not replayed; kept in extra", ms)
	case isType(ms, "item_reference"):
		tr.keep("a reference to an item that only the server knows is left out; kept in extra", ms)
	case isType(ms, "function_call", "custom_tool_call", "local_shell_call", "shell_call"):
		open.calls = append(open.calls, tr.responseCall(ms))
	case isType(ms, "function_call_output", "custom_tool_call_output", "local_shell_call_output", "shell_call_output"):
		open.close(tr)
		return tr.callOutput(ms)
	default:
		name, _ := text(find(ms, "type"))
		tr.note(fmt.Sprintf("an item of type %.40q is sent as the text of its JSON", name))
		open.parts = append(open.parts, textPart(appendText(nil, string(object(ms)))))
	}
	return nil
}

// responseCall puts a call into the form of a function call.
func (tr *translation) responseCall(ms []member) []byte {
	id := find(ms, "call_id")
	if id == nil {
		id = find(ms, "id")
	}
	switch {
	case isType(ms, "function_call"):
		return toolCall(id, find(ms, "name"), find(ms, "arguments"))
	case isType(ms, "custom_tool_call"):
		tr.note("a call of a custom tool is sent as a function call with the argument input")
		return toolCall(id, find(ms, "name"), object([]member{{key: "input", value: said(find(ms, "input"))}}))
	}
	tr.note("a call of the server's shell tool is sent as a function call")
	return toolCall(id, []byte(`"shell"`), find(ms, "action"))
}

// callOutput appends the result of a call.
func (tr *translation) callOutput(ms []member) error {
	id := find(ms, "call_id")
	if id == nil {
		id = find(ms, "id")
	}
	output := find(ms, "output")
	message := []member{roled("tool"), {key: "tool_call_id", value: said(id)}, {key: "content", value: output}}
	if isString(output) {
		tr.add(message...)
		return nil
	}
	var texts, others [][]byte
	parts, err := tr.responseParts(output)
	for _, part := range parts {
		if isType(known(part), "text") {
			texts = append(texts, part)
		} else {
			others = append(others, part)
		}
	}
	if len(texts) == 0 {
		texts = [][]byte{textPart([]byte(`""`))}
	}
	message[2] = contentOf(texts)
	tr.add(message...)
	if len(others) > 0 {
		tr.note("an image or file in a tool result is sent in a user message after it")
		tr.add(roled("user"), contentOf(others))
	}
	return err
}

// responseParts puts content into the form of parts.
func (tr *translation) responseParts(value []byte) (parts [][]byte, err error) {
	blocks, err := blocksOf(value)
	for _, b := range blocks {
		switch {
		case isType(b, "text", "input_text", "output_text", "summary_text") && isString(find(b, "text")):
			parts = append(parts, textPart(find(b, "text")))
		case isType(b, "refusal") && isString(find(b, "refusal")):
			parts = append(parts, textPart(find(b, "refusal")))
		case isType(b, "input_image") && isString(find(b, "image_url")):
			parts = append(parts, imagePart(find(b, "image_url")))
		case isType(b, "input_file"):
			file := object([]member{{key: "type", value: []byte(`"file"`)}, {key: "file", value: object(without(b, "type"))}})
			parts = append(parts, file)
		default:
			name, _ := text(find(b, "type"))
			tr.note(fmt.Sprintf("content of type %.40q is sent as the text of its JSON", name))
			parts = append(parts, textPart(appendText(nil, string(object(b)))))
		}
	}
	return parts, err
}

// freeform are the parameters that a tool whose input is plain text gets.
const freeform = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}`

// responseTools puts tool definitions into the form of functions.
func (tr *translation) responseTools(value []byte) ([]byte, error) {
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
		strict := member{key: "strict", value: find(ms, "strict")}
		name, note := find(ms, "name"), ""
		switch {
		case isType(ms, "function"):
			out = append(out, functionTool(name, find(ms, "description"), find(ms, "parameters"), strict))
		case isType(ms, "custom"):
			note = "a custom tool is sent as a function with the parameter input"
			out = append(out, functionTool(name, find(ms, "description"), []byte(freeform)))
		default:
			note = "a tool that the server itself defines is sent as a function without parameters"
			if name == nil {
				name = find(ms, "type")
			}
			out = append(out, functionTool(name, find(ms, "description"), nil))
		}
		if note != "" {
			tr.aside = append(tr.aside, aside{note: note})
		}
	}
	return joined(out), nil
}
