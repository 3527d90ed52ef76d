package record

import "maps"

// chatStream assembles chat completions chunks.
type chatStream struct {
	a       answer
	message map[string]any
	ended   bool
}

func (s *chatStream) event(data map[string]any) (output bool, err error) {
	if s.a.model == "" {
		s.a.model, s.a.id = text(data["model"]), text(data["id"])
	}
	if usage := object(data["usage"]); usage != nil {
		s.a.usage = usage
	}
	for _, c := range list(data["choices"]) {
		choice := object(c)
		at, err := index(choice["index"])
		if err != nil {
			return output, err
		}
		if at > 0 {
			s.a.problem = problemChoices
			continue
		}
		if finish := text(choice["finish_reason"]); finish != "" {
			s.a.finish, s.ended = finish, true
		}
		delta := object(choice["delta"])
		output = output || speaks(delta)
		if s.message == nil {
			s.message = map[string]any{}
		}
		if err := join(s.message, delta); err != nil {
			return output, err
		}
	}
	return output, nil
}

// speaks reports whether a delta has more than a role.
func speaks(delta map[string]any) bool {
	for key, value := range delta {
		if key != "role" && value != nil && value != "" {
			return true
		}
	}
	return false
}

func (s *chatStream) done() answer {
	if s.message != nil {
		tidy(s.message)
		s.a.message = s.message
	}
	if !s.ended {
		s.a.problem = problemBroken
	}
	return s.a
}

// once are the texts of a delta that come whole, and that some servers repeat.
var once = map[string]bool{"role": true, "id": true, "type": true, "name": true, "format": true}

// join adds a delta to what came before: texts grow, lists grow by the index of their elements, other values are replaced. So
// fields that only some servers have are kept.
func join(all, delta map[string]any) error {
	for key, value := range delta {
		before, there := all[key]
		switch value := value.(type) {
		case nil:
			if !there {
				all[key] = nil
			}
		case string:
			if old := text(before); old == "" || !once[key] {
				all[key] = old + value
			}
		case map[string]any:
			inner := object(before)
			if inner == nil {
				inner = map[string]any{}
			}
			all[key] = inner
			if err := join(inner, value); err != nil {
				return err
			}
		case []any:
			grown, err := joinList(list(before), value)
			if err != nil {
				return err
			}
			all[key] = grown
		default:
			all[key] = value
		}
	}
	return nil
}

// joinList adds the elements of a list: those with an index to the element that has it, others at the end.
func joinList(all, more []any) ([]any, error) {
	for _, m := range more {
		element := object(m)
		if element["index"] == nil {
			all = append(all, m)
			continue
		}
		at, err := index(element["index"])
		if err != nil {
			return all, err
		}
		for len(all) <= at {
			all = append(all, map[string]any{})
		}
		inner := object(all[at])
		if inner == nil {
			inner = map[string]any{}
			all[at] = inner
		}
		if err := join(inner, element); err != nil {
			return all, err
		}
	}
	return all, nil
}

// tidy takes the indices out of the tool calls: they are of the stream, not of the message.
func tidy(message map[string]any) {
	for _, call := range list(message["tool_calls"]) {
		maps.DeleteFunc(object(call), func(key string, _ any) bool { return key == "index" })
	}
}
