package trajectory

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// importMiniSWE reads a .traj.json file of mini-swe-agent: {info, messages, trajectory_format}, or the bare list of
// messages that older versions wrote. A message's extra has the response with its token counts and a time stamp: the tool time
// is the time from an answer to its last observation.
func (l Limits) importMiniSWE(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, MiniSWE)
	var bare *miniSWE
	return g.each(func(ms []member) error {
		if g.in.layout != inArray {
			return g.miniSWE(ms)
		}
		if bare == nil {
			bare = &miniSWE{chat: g.chat(stem(file))}
		}
		return bare.message(ms)
	}, func() error {
		if bare == nil {
			return nil
		}
		if g.report.LeftOut > 0 {
			g.report.LeftOut = 1 // all messages are one trajectory
			return nil
		}
		return g.finish(bare.chat, nil)
	})
}

func isMiniSWE(ms []member) bool {
	messages, err := elements(find(ms, "messages"))
	info, _ := members(find(ms, "info"))
	return err == nil && len(messages) > 0 && (find(ms, "trajectory_format") != nil || find(info, "mini_version") != nil || find(info, "model_stats") != nil)
}

// miniSWE is the state of importing one session.
type miniSWE struct {
	*chat
	answered time.Time
	tools    time.Duration // from the last answer to its last observation
}

func (g *gather) miniSWE(ms []member) error {
	messages, err := elements(find(ms, "messages"))
	if err != nil {
		return fmt.Errorf("messages %w", err)
	}
	info, _ := members(find(ms, "info"))
	s := &miniSWE{chat: g.chat(g.id(append(pick(ms, "instance_id"), pick(info, "instance_id")...), "instance_id"))}
	for i, raw := range messages {
		m, err := members(raw)
		if err == nil {
			err = s.message(m)
		}
		if err != nil {
			return fmt.Errorf("messages[%d]: %w", i, err)
		}
	}
	return g.finish(s.chat, without(ms, "messages"))
}

// message takes one message.
func (s *miniSWE) message(ms []member) error {
	if find(ms, "role") == nil {
		ms = responsesAPI(ms)
	}
	extra, _ := members(find(ms, "extra"))
	role, err := text(find(ms, "role"))
	if err != nil {
		return fmt.Errorf("its role %w", err)
	}
	response, _ := members(find(extra, "response"))
	var t Turn
	if response == nil {
		response = pick(ms, "usage") // the responses API
	}
	if t.Prompt, t.Output, err = usage(find(response, "usage")); err != nil {
		return err
	}
	if role == "assistant" || find(extra, "response") != nil {
		if s.tools > 0 {
			s.took(s.tools)
		}
		s.tools, s.answered = 0, clock(find(extra, "timestamp"))
	}
	switch {
	case role == "exit": // the agent's own note on how it ended
		s.keep(ms)
		return nil
	case role == "assistant":
		return s.answer(ms, t)
	case role == "user" && find(extra, "response") != nil:
		s.report.note("an answer that the agent did not keep is a turn whose answer is not in the history")
		if err := s.ask(t); err != nil {
			return err
		}
	default:
		if d, ok := elapsed(s.answered, clock(find(extra, "timestamp"))); ok && find(extra, "returncode") != nil {
			s.tools = d
		} else if s.b.last == "assistant" && len(s.ran) == 0 {
			s.report.note(noToolTime)
		}
	}
	return s.say(ms)
}

// responsesAPI turns an answer or a tool result of the responses API into a message of chat completions.
func responsesAPI(ms []member) []member {
	if kind, _ := text(find(ms, "type")); kind == "function_call_output" {
		message := []member{{key: "role", value: []byte(`"tool"`)}, {key: "tool_call_id", value: find(ms, "call_id")}, {key: "content", value: find(ms, "output")}}
		return append(without(message), without(ms, "type", "call_id", "output")...)
	}
	output, err := elements(find(ms, "output"))
	if err != nil {
		return ms
	}
	var said strings.Builder
	var calls []json.RawMessage
	for _, raw := range output {
		item, _ := members(raw)
		switch kind, _ := text(find(item, "type")); kind {
		case "message":
			parts, _ := elements(find(item, "content"))
			for _, part := range parts {
				p, _ := members(part)
				s, _ := text(find(p, "text"))
				said.WriteString(s)
			}
		case "function_call":
			call := append(pick(item, "name", "arguments"), member{key: "id", value: find(item, "call_id")})
			calls = append(calls, object(without(call)))
		}
	}
	message := []member{{key: "role", value: []byte(`"assistant"`)}, {key: "content", value: appendText(nil, said.String())}}
	if len(calls) > 0 {
		message = append(message, member{key: "tool_calls", value: array(calls)})
	}
	return append(message, ms...)
}
