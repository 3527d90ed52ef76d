package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// answer is what a response says.
type answer struct {
	message any    // the answer in the form of its API: a message, or a list of output items; nil: there is none
	model   string // that answered
	id      string // of the response
	finish  string // why it ended
	usage   map[string]any
	first   int    // offset in a stream after the first event with output; 0: none, or no stream
	problem string // why it is not complete; empty: it is
}

// assembler takes the events of one stream. An error says that an event is not what its API has.
type assembler interface {
	// event takes one event and reports whether it has output.
	event(data map[string]any) (output bool, err error)
	// done returns all of it.
	done() answer
}

// problemBroken is that of a stream without its end.
const problemBroken = "the answer breaks off"

// assemble reads a response: a stream of events, or one document.
func assemble(api string, stream bool, body []byte) answer {
	if !stream {
		return readWhole(api, body)
	}
	var as assembler
	switch api {
	case "chat":
		as = &chatStream{}
	case "messages":
		as = &messagesStream{}
	default:
		as = &responsesStream{}
	}
	first := 0
	var problem string
	for data, end := range events(body) {
		if string(data) == "[DONE]" {
			continue
		}
		value, err := decode(data)
		if err == nil {
			err = failure(value)
		}
		output := false
		if err == nil {
			output, err = as.event(value)
		}
		if err != nil && problem == "" {
			problem = err.Error()
		}
		if output && first == 0 {
			first = end
		}
	}
	a := as.done()
	a.first = first
	if problem != "" {
		a.problem = problem
	}
	return a
}

// decode decodes an object and keeps the spelling of numbers.
func decode(data []byte) (value map[string]any, err error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&value); err != nil {
		return nil, errors.New("the answer has something that is not a JSON object")
	}
	return value, nil
}

// failure returns the error that a server sends within an answer.
func failure(value map[string]any) error {
	e := object(value["error"])
	if e == nil {
		return nil
	}
	return fmt.Errorf("the server ends the answer with an error: %.200s", text(e["message"]))
}

// readWhole reads a response that is one document.
func readWhole(api string, body []byte) answer {
	value, err := decode(body)
	if err == nil {
		err = failure(value)
	}
	if err != nil {
		return answer{problem: err.Error()}
	}
	a := answer{model: text(value["model"]), id: text(value["id"]), usage: object(value["usage"])}
	switch api {
	case "chat":
		choices := list(value["choices"])
		if len(choices) == 0 {
			a.problem = "the answer has no choices"
			return a
		}
		choice := object(choices[0])
		a.message, a.finish = choice["message"], text(choice["finish_reason"])
		if len(choices) > 1 {
			a.problem = problemChoices
		}
	case "messages":
		a.message = map[string]any{"role": "assistant", "content": value["content"]}
		a.finish = text(value["stop_reason"])
	default:
		a.message, a.finish = value["output"], text(value["status"])
	}
	return a
}

const problemChoices = "only the first of several choices is kept"

// object, list, text and index take a decoded value as what it should be; the zero value if it is something else.
func object(v any) map[string]any { m, _ := v.(map[string]any); return m }
func list(v any) []any            { l, _ := v.([]any); return l }
func text(v any) string           { s, _ := v.(string); return s }

// mostIndex bounds the parts of one answer: indices come from the server, and a huge one must not take memory.
const mostIndex = 4096

func index(v any) (int, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, nil
	}
	i, err := n.Int64()
	if err != nil || i < 0 || i >= mostIndex {
		return 0, fmt.Errorf("the answer has a part with the index %.20s", n)
	}
	return int(i), nil
}
