package trajectory

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// chat turns a recorded conversation into a trajectory: it puts the messages into the form that a chat completions server
// accepts, ends a turn before each answer, and counts in the report what had to change. The importers of formats that hold
// conversations build with it.
type chat struct {
	b      *builder
	report *Report
	sets   toolSets
	tools  json.RawMessage   // of the requests from now on
	open   []openCall        // tool calls of the last answer that have no result yet
	later  [][]member        // results of no known call, in the form of user messages, while others are open
	ran    []Call            // tools that ran since the last turn
	ids    []string          // their ids in the recording
	rest   []json.RawMessage // what the messages since the last turn have that is not replayed
	called bool              // an answer made a tool call
}

// openCall is a tool call that waits for its result.
type openCall struct {
	recorded string // its id in the recording
	id       string // as it is replayed
	tool     string
}

func newChat(id string, l Limits, report *Report, sets toolSets) *chat {
	origin := string(report.Format) + ":" + filepath.Base(report.File)
	return &chat{b: newBuilder(id, origin, l), report: report, sets: sets}
}

// declare sets the tools of the requests from now on.
func (c *chat) declare(tools []byte) (err error) {
	c.tools, err = c.sets.keep(tools)
	return err
}

// say appends a message. An answer appended this way is history and not a model call.
func (c *chat) say(ms []member) error {
	role, err := text(find(ms, "role"))
	if err != nil {
		return fmt.Errorf("message %d: its role %w", c.b.count, err)
	}
	if role == "tool" {
		return c.result(ms)
	}
	if err := c.settle(); err != nil {
		return err
	}
	w, err := c.wire(role, ms)
	if err != nil {
		return err
	}
	return c.add(w)
}

// answer ends a turn and appends its answer.
func (c *chat) answer(ms []member, t Turn) error {
	if err := c.settle(); err != nil {
		return err
	}
	w, err := c.wire("assistant", ms)
	if err != nil {
		return err
	}
	c.keep(w.rest) // with the turn that it answers
	w.rest = nil
	if err := c.ask(t); err != nil {
		return err
	}
	for _, call := range w.calls {
		c.ran, c.ids = append(c.ran, Call{Tool: call.tool}), append(c.ids, call.recorded)
	}
	return c.add(w)
}

// ask ends a turn: its request is everything so far.
func (c *chat) ask(t Turn) error {
	if err := c.settle(); err != nil {
		return err
	}
	extra, _ := members(t.Extra) // made by an importer, or none
	if c.b.count == 0 || c.b.last == "assistant" || c.b.t.SaltAfter < 0 {
		c.report.note("an answer to no question is in the history, but no turn asks for it")
		c.keep(extra)
		return nil
	}
	if n := len(c.b.t.Turns); n > 0 {
		last := &c.b.t.Turns[n-1]
		if last.Calls = c.ran; len(c.ran) > 0 && last.ToolTime() == 0 {
			c.report.note(noToolTime)
		}
	} else if len(c.ran) > 0 {
		c.report.note("tools that ran before the first turn have nothing to delay; left out")
	}
	if t.Tools == nil {
		t.Tools = c.tools
	}
	if t.Output == 0 {
		c.report.note("the output length of the turn is not recorded")
	}
	if len(c.rest) > 0 {
		t.Extra = object(merge(extra, []member{{key: "messages", value: array(c.rest)}}))
	}
	c.ran, c.ids, c.rest = nil, nil, nil
	return c.b.turn(t)
}

// result appends the result of a tool call, or, where there is no such call, a user message with what it says.
func (c *chat) result(ms []member) error {
	recorded, _ := text(find(ms, "tool_call_id"))
	i := slices.IndexFunc(c.open, func(o openCall) bool { return o.recorded == recorded })
	if i < 0 && recorded == "" && len(c.open) > 0 {
		c.report.note("a tool result without an id is taken for that of the first call without a result")
		i = 0
	}
	if i < 0 {
		c.report.note("a tool result without its tool call is sent as a user message")
		user := []member{{key: "role", value: []byte(`"user"`)}}
		c.later = append(c.later, clone(append(user, without(ms, "role")...)))
		if len(c.open) > 0 {
			return nil
		}
		return c.settle()
	}
	w, err := c.wire("tool", put(ms, "tool_call_id", appendText(nil, c.open[i].id)))
	if err != nil {
		return err
	}
	c.open = slices.Delete(c.open, i, i+1)
	w.calls = c.open
	return c.add(w)
}

// settle gives an empty result to the calls that have none, and sends what had to wait for that.
func (c *chat) settle() error {
	for _, call := range c.open {
		c.report.note("a tool call without a result gets an empty one")
		empty := object([]member{
			{key: "role", value: []byte(`"tool"`)}, {key: "tool_call_id", value: appendText(nil, call.id)}, {key: "content", value: []byte(`""`)},
		})
		if err := c.b.add(empty); err != nil {
			return err
		}
	}
	later := c.later
	c.open, c.later = nil, nil
	for _, ms := range later {
		if err := c.say(ms); err != nil {
			return err
		}
	}
	return nil
}

// add appends a message that wire made.
func (c *chat) add(w wired) error {
	c.keep(w.rest)
	c.open = w.calls
	c.called = c.called || len(w.calls) > 0
	return c.b.add(w.raw)
}

// waits reports whether a call of the last answer, by its id in the recording, has no result yet.
func (c *chat) waits(id string) bool {
	return slices.ContainsFunc(c.open, func(o openCall) bool { return o.recorded == id })
}

// took sets the time of the tools that ran after the last answer, all together.
func (c *chat) took(d time.Duration) {
	if len(c.ran) == 0 {
		c.ran = []Call{{}}
	}
	if len(c.ran) > 1 {
		c.report.note("parallel tool calls share one recorded time evenly")
	}
	tools := make([]string, len(c.ran))
	for i, call := range c.ran {
		tools[i] = call.Tool
	}
	c.ran = share(d, tools)
}

// timed sets the time of one tool call after the last answer, by its id in the recording.
func (c *chat) timed(id string, d time.Duration) {
	if i := slices.Index(c.ids, id); i >= 0 {
		c.ran[i].Duration = d
	}
}

// keep notes what the next message has that is not replayed; it goes to the extra of the turn that follows.
func (c *chat) keep(rest []member) {
	if len(rest) > 0 {
		index := strconv.AppendInt(nil, int64(c.b.count), 10)
		c.rest = append(c.rest, object(merge(rest, []member{{key: "message_index", value: index}})))
	}
}

// noToolTime is the note on a turn that tools ran after.
const noToolTime = "the tool time after the turn is not recorded"

var errNoTurn = errors.New("the conversation has no answer that could be asked for")

// done returns the trajectory; about is what is known of it as a whole, kept with its first turn.
func (c *chat) done(about []member) (*Trajectory, error) {
	turns := c.b.t.Turns
	if len(turns) == 0 {
		return nil, errNoTurn
	}
	last := &turns[len(turns)-1]
	var end []member
	if tail := c.tail(last.End); len(tail) > 0 {
		if role, _ := text(find(known(tail[0]), "role")); role == "assistant" {
			end = append(end, member{key: "answer", value: tail[0]})
			tail = tail[1:]
		}
		if len(tail) > 0 {
			c.report.note("messages after the last answer were not answered; kept in extra")
			end = append(end, member{key: "unanswered", value: array(tail)})
		}
	}
	if len(c.rest) > 0 {
		end = append(end, member{key: "rest", value: array(c.rest)})
	}
	last.Extra = object(merge(known(last.Extra), end))
	turns[0].Extra = object(merge(about, known(turns[0].Extra)))
	if turns[0].Tools == nil && c.called {
		c.report.note("tool definitions are not recorded: requests go out without tools")
	}
	slices.SortStableFunc(c.b.t.Subagents, func(a, b Subagent) int { return a.Fork - b.Fork })
	return c.b.done()
}

// tail returns the messages after the last turn.
func (c *chat) tail(end int) []json.RawMessage {
	var tail []json.RawMessage
	if end < len(c.b.t.Messages) {
		for _, m := range list(c.b.t.Messages[end+1:]) {
			tail = append(tail, m)
		}
	}
	for _, ms := range c.later {
		tail = append(tail, object(ms))
	}
	return tail
}

// known returns the members of an object that this package made; none of nil.
func known(object []byte) []member {
	ms, _ := members(object)
	return ms
}
