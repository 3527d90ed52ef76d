package record

import (
	"encoding/json"
	"maps"
)

// messagesStream assembles the events of the messages API.
type messagesStream struct {
	a      answer
	blocks []any
	inputs map[int]string // by block: the text of a tool's input
	began  bool
	ended  bool
}

func (s *messagesStream) event(data map[string]any) (output bool, err error) {
	switch text(data["type"]) {
	case "message_start":
		message := object(data["message"])
		s.began = true
		s.a.model, s.a.id = text(message["model"]), text(message["id"])
		s.count(message["usage"])
	case "content_block_start":
		return false, s.start(data)
	case "content_block_delta":
		return true, s.delta(data)
	case "message_delta":
		s.a.finish = text(object(data["delta"])["stop_reason"])
		s.count(data["usage"])
	case "message_stop":
		s.ended = true
	}
	return false, nil
}

// count takes token counts; later ones replace earlier ones.
func (s *messagesStream) count(usage any) {
	if s.a.usage == nil {
		s.a.usage = map[string]any{}
	}
	maps.Copy(s.a.usage, object(usage))
}

func (s *messagesStream) start(data map[string]any) error {
	at, err := index(data["index"])
	if err != nil {
		return err
	}
	for len(s.blocks) <= at {
		s.blocks = append(s.blocks, map[string]any{})
	}
	if block := object(data["content_block"]); block != nil {
		s.blocks[at] = block
	}
	return nil
}

func (s *messagesStream) delta(data map[string]any) error {
	if err := s.grow(data["index"]); err != nil {
		return err
	}
	at, _ := index(data["index"])
	block, delta := object(s.blocks[at]), object(data["delta"])
	for key, value := range delta {
		switch key {
		case "type":
		case "partial_json":
			if s.inputs == nil {
				s.inputs = map[int]string{}
			}
			s.inputs[at] += text(value)
		case "citation":
			block["citations"] = append(list(block["citations"]), value)
		default:
			if err := join(block, map[string]any{key: value}); err != nil {
				return err
			}
		}
	}
	return nil
}

// grow makes room for a block that did not begin.
func (s *messagesStream) grow(at any) error {
	i, err := index(at)
	if err == nil && i >= len(s.blocks) {
		err = s.start(map[string]any{"index": at})
	}
	return err
}

func (s *messagesStream) done() answer {
	for at, input := range s.inputs {
		block := object(s.blocks[at])
		if json.Valid([]byte(input)) {
			block["input"] = json.RawMessage(input)
		} else if input != "" {
			block["input"] = input // cut off, or what the model made of it
		}
	}
	if s.began {
		blocks := s.blocks
		if blocks == nil {
			blocks = []any{}
		}
		s.a.message = map[string]any{"role": "assistant", "content": blocks}
	}
	if !s.ended {
		s.a.problem = problemBroken
	}
	return s.a
}
