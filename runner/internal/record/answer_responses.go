package record

import "strings"

// responsesStream assembles the events of the responses API. Its last event has all of the answer.
type responsesStream struct {
	a     answer
	items []any // that are complete, for an answer that breaks off
	ended bool
}

func (s *responsesStream) event(data map[string]any) (output bool, err error) {
	kind := text(data["type"])
	response := object(data["response"])
	if id := text(response["id"]); id != "" {
		s.a.id, s.a.model = id, text(response["model"])
	}
	switch kind {
	case "response.output_item.done":
		s.items = append(s.items, data["item"])
	case "response.completed", "response.incomplete":
		s.ended = true
		s.a.finish, s.a.usage, s.a.message = text(response["status"]), object(response["usage"]), response["output"]
		if len(list(s.a.message)) == 0 && len(s.items) > 0 { // some servers leave it out
			s.a.message = s.items
		}
	case "response.failed":
		return false, failure(response)
	}
	return strings.HasSuffix(kind, ".delta"), nil
}

func (s *responsesStream) done() answer {
	if !s.ended {
		s.a.problem = problemBroken
		if s.items != nil {
			s.a.message = s.items
		}
	}
	return s.a
}
