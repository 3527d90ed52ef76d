package trajectory

import (
	"fmt"
	"io"
)

// importSWEAgent reads a .traj file of SWE-agent: {history, trajectory, info, ...}. The history has the messages; the steps
// of trajectory have the time that each action took.
//
// Entries of other agents than the first are conversations of their own, which the answer before them started and the
// first agent's next request waits for. Entries of a demonstration are history.
func (l Limits) importSWEAgent(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, SWEAgent)
	return g.each(func(ms []member) error {
		id := g.id(ms, "instance_id")
		attempts, _ := elements(find(ms, "attempts"))
		if len(attempts) == 0 {
			return g.sweAgent(id, ms)
		}
		// What is beside the attempts is a copy of the best of them.
		for i, raw := range attempts {
			attempt, err := members(raw)
			if err == nil {
				err = g.sweAgent(fmt.Sprintf("%s-%d", id, i+1), attempt)
			}
			if err != nil {
				g.leave(fmt.Errorf("attempt %d: %w", i+1, err))
			}
		}
		return nil
	})
}

func isSWEAgent(ms []member) bool {
	history, err := elements(find(ms, "history"))
	if err != nil || len(history) == 0 {
		return false
	}
	entry, err := members(history[0])
	return err == nil && find(entry, "role") != nil
}

// sweAgent is the state of importing one session.
type sweAgent struct {
	*chat
	g     *gather
	id    string
	main  string     // the first agent
	steps [][]member // those that belong to no answer yet
	other string     // the agent of sub
	sub   *chat      // the conversation of another agent that is being read; nil: none

	untimed bool // the action of the last answer has no time
}

func (g *gather) sweAgent(id string, ms []member) error {
	history, err := elements(find(ms, "history"))
	if err != nil {
		return fmt.Errorf("history %w", err)
	}
	s := &sweAgent{chat: g.chat(id), g: g, id: id}
	if trajectory := find(ms, "trajectory"); trajectory != nil {
		steps, err := elements(trajectory)
		if err != nil {
			return fmt.Errorf("trajectory %w", err)
		}
		for i, raw := range steps {
			step, err := members(raw)
			if err != nil {
				return fmt.Errorf("trajectory[%d] %w", i, err)
			}
			s.steps = append(s.steps, step)
		}
	}
	for i, raw := range history {
		entry, err := members(raw)
		if err == nil {
			err = s.entry(entry)
		}
		if err != nil {
			return fmt.Errorf("history[%d]: %w", i, err)
		}
	}
	if err := s.finish(); err != nil {
		return err
	}
	return g.finish(s.chat, without(ms, "history", "trajectory"))
}

// entry takes one entry of the history.
func (s *sweAgent) entry(ms []member) error {
	agent, _ := text(find(ms, "agent"))
	if s.main == "" {
		s.main = agent
	}
	if agent != "" && agent != s.main {
		if s.sub == nil || agent != s.other {
			if err := s.join(); err != nil {
				return err
			}
			s.sub, s.other = s.g.chat(fmt.Sprintf("%s/%s-%d", s.id, agent, len(s.b.t.Subagents)+1)), agent
		}
		return sweMessage(s.sub, ms, Turn{})
	}
	if err := s.join(); err != nil {
		return err
	}
	if role, _ := text(find(ms, "role")); role != "assistant" || isDemo(ms) {
		return sweMessage(s.chat, ms, Turn{})
	}
	if s.untimed {
		s.report.note(noToolTime)
		s.untimed = false
	}
	step := s.step(ms)
	if err := sweMessage(s.chat, ms, Turn{Extra: sweExtra(step)}); err != nil {
		return err
	}
	return s.time(step)
}

func isDemo(ms []member) bool { return string(find(ms, "is_demo")) == "true" }

// sweMessage appends an entry of the history to a conversation.
func sweMessage(c *chat, ms []member, t Turn) error {
	role, _ := text(find(ms, "role"))
	if ids, err := elements(find(ms, "tool_call_ids")); err == nil && role == "tool" && len(ids) > 0 {
		if len(ids) > 1 {
			c.report.note("a result of several tool calls is that of the first")
			ms = append(ms, member{key: "result_of", value: find(ms, "tool_call_ids")})
		}
		ms = append(without(ms, "tool_call_ids"), member{key: "tool_call_id", value: ids[0]})
	}
	if role == "assistant" && !isDemo(ms) {
		return c.answer(ms, t)
	}
	if role == "assistant" {
		c.report.note("an answer of a demonstration is history, not a turn")
	}
	return c.say(ms)
}

// step takes the step that belongs to an answer out of those left: the first with its text or action.
func (s *sweAgent) step(ms []member) []member {
	content, _ := text(find(ms, "content"))
	action, _ := text(find(ms, "action"))
	for i, step := range s.steps {
		response, _ := text(find(step, "response"))
		taken, _ := text(find(step, "action"))
		if content != "" && response == content || action != "" && taken == action {
			for _, skipped := range s.steps[:i] {
				s.lost(skipped)
			}
			s.steps = s.steps[i+1:]
			return step
		}
	}
	if len(s.steps) > 0 {
		s.report.note("an answer of the history has no step in trajectory")
	}
	return nil
}

// lost keeps a step that belongs to no answer.
func (s *sweAgent) lost(step []member) {
	s.report.note("a step of trajectory has no answer in the history; kept in extra")
	s.keep([]member{{key: "step", value: sweStep(step)}})
}

// sweStep is what is kept of a step: all but the copies of the request that it may have.
func sweStep(step []member) []byte { return object(without(step, "query", "messages")) }

func sweExtra(step []member) []byte {
	if step == nil {
		return nil
	}
	return object([]member{{key: "step", value: sweStep(step)}})
}

// time notes how long the action of a step took.
func (s *sweAgent) time(step []member) error {
	value := find(step, "execution_time")
	if value == nil {
		s.untimed = len(s.ran) == 0 // the time of a call by name is looked at when the next turn begins
		return nil
	}
	d, err := seconds(value, 1)
	if err != nil {
		return fmt.Errorf("execution_time %w", err)
	}
	if d > 0 {
		s.took(d)
	}
	return nil
}

// join ends the conversation of another agent, for which the next request of the first agent waits.
func (s *sweAgent) join() error {
	if s.sub == nil {
		return nil
	}
	sub := s.sub
	s.sub = nil
	if len(sub.b.t.Turns) == 0 {
		s.report.note("the conversation of another agent has no answer; left out")
		return nil
	}
	t, err := sub.done(nil)
	if err != nil {
		return fmt.Errorf("agent %q: %w", s.other, err)
	}
	s.report.note("the conversation of another agent is replayed as a sub-agent's")
	fork := len(s.b.t.Turns) - 1
	s.b.t.Subagents = append(s.b.t.Subagents, Subagent{Trajectory: t, Fork: fork, Join: fork + 1})
	return nil
}

// finish takes the steps after the end of the history. The last answer may be among them: it ended the session, so nothing
// was ever asked with it.
func (s *sweAgent) finish() error {
	if err := s.join(); err != nil {
		return err
	}
	if len(s.steps) > 0 && s.b.last != "assistant" && len(s.b.t.Turns) > 0 {
		step := s.steps[0]
		if response, err := text(find(step, "response")); err == nil && response != "" {
			s.report.note("the last answer is in trajectory only, not in the history")
			s.steps = s.steps[1:]
			answer := []member{{key: "role", value: []byte(`"assistant"`)}, {key: "content", value: find(step, "response")}}
			if err := s.answer(answer, Turn{Extra: sweExtra(step)}); err != nil {
				return err
			}
		}
	}
	for _, step := range s.steps {
		s.lost(step)
	}
	return nil
}
