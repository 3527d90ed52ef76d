package trajectory

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// event takes one event.
func (o *openHands) event(raw []byte) error {
	ms, err := members(raw)
	if err != nil {
		return fmt.Errorf("the event %w", err)
	}
	at := clock(find(ms, "timestamp"))
	if o.began.IsZero() {
		o.began = at
	}
	kind, _ := text(find(ms, "action"))
	source, _ := text(find(ms, "source"))
	switch {
	case kind == "":
		return o.observation(ms, at)
	case kind == "system":
		return o.system(ms)
	case kind == "message" && source != "agent":
		return o.message(ms, "user")
	case kind == "delegate" && source == "agent":
		return o.delegates(ms, at)
	case source == "agent" && !ownActions[kind]:
		return o.act(ms, kind, at)
	}
	switch {
	case kind == "condensation":
		o.report.note("the agent condensed its history: the whole of it is replayed instead")
	case !ownActions[kind]:
		o.report.note("an action of the user is not replayed; kept in extra")
	}
	o.keep(ms)
	return nil
}

// ownActions are actions of the agent's program, not of the model.
var ownActions = map[string]bool{"recall": true, "change_agent_state": true, "condensation": true, "condensation_request": true, "null": true}

func (o *openHands) system(ms []member) error {
	args, _ := members(find(ms, "args"))
	if err := o.declare(find(args, "tools")); err != nil {
		return err
	}
	return o.message(ms, "system")
}

// message appends a message whose text is in the arguments of an action.
func (o *openHands) message(ms []member, role string) error {
	args, _ := members(find(ms, "args"))
	content := find(args, "content")
	if content == nil {
		return fmt.Errorf("role %s: args has no content", role)
	}
	o.keep(rest(ms, "content", "tools"))
	if images, _ := elements(find(args, "image_urls")); len(images) > 0 {
		o.report.note("images of a message are not replayed; kept in extra")
	}
	return o.say([]member{{key: "role", value: appendText(nil, role)}, {key: "content", value: content}})
}

// rest is what is kept of an event: all but what the model holds, which it has in args and often again as message.
func rest(ms []member, args ...string) []member {
	kept := without(ms, "tool_call_metadata", "content", "message")
	if known, err := members(find(ms, "args")); err == nil {
		kept = without(kept, "args")
		if left := without(known, args...); len(left) > 0 {
			kept = append(kept, member{key: "args", value: object(left)})
		}
	}
	return kept
}

// act takes an action that the model decided on. The first of a response brings its answer.
func (o *openHands) act(ms []member, kind string, at time.Time) error {
	event := string(find(ms, "id"))
	metadata, _ := members(find(ms, "tool_call_metadata"))
	response, _ := members(find(metadata, "model_response"))
	choices, _ := elements(find(response, "choices"))
	if len(choices) == 0 {
		return o.rebuilt(ms, kind, event, at)
	}
	call, _ := text(find(metadata, "tool_call_id"))
	o.actions[event] = started{call, at}
	id, _ := text(find(response, "id"))
	if id != "" && o.responses[id] || o.waits(call) { // one of several calls
		o.keep(rest(ms))
		return nil
	}
	o.responses[id] = true
	choice, _ := members(choices[0])
	answer, err := members(find(choice, "message"))
	if err != nil {
		return fmt.Errorf("model_response: message %w", err)
	}
	prompt, output, err := usage(find(response, "usage"))
	if err != nil {
		return fmt.Errorf("model_response: %w", err)
	}
	if recorded, ok := o.usages[id]; ok {
		prompt, output = recorded[0], recorded[1]
	}
	o.accumulated(ms)
	o.keep(rest(ms))
	return o.answer(put(answer, "role", []byte(`"assistant"`)), Turn{Prompt: prompt, Output: output, Extra: object(without(response, "choices", "usage"))})
}

// rebuilt makes the answer of an action whose response is not recorded: a message as it is, else a tool call.
func (o *openHands) rebuilt(ms []member, kind, event string, at time.Time) error {
	args, _ := members(find(ms, "args"))
	prompt, output := o.accumulated(ms)
	answer := []member{{key: "role", value: []byte(`"assistant"`)}}
	if content := find(args, "content"); kind == "message" && content != nil {
		answer = append(answer, member{key: "content", value: content})
	} else {
		o.report.note("the model's response is not recorded: its answer is rebuilt from the action, with a made tool call id")
		call := "call_event_" + strings.Trim(event, `"`)
		o.actions[event] = started{call, at}
		if thought := find(args, "thought"); thought != nil && thought[0] == '"' {
			answer = append(answer, member{key: "content", value: thought})
		}
		function := object([]member{{key: "name", value: appendText(nil, kind)}, {key: "arguments", value: appendText(nil, string(orEmpty(object(without(args, "thought")))))}})
		answer = append(answer, member{key: "tool_calls", value: array([]json.RawMessage{object([]member{
			{key: "id", value: appendText(nil, call)}, {key: "type", value: []byte(`"function"`)}, {key: "function", value: function},
		})})})
	}
	o.keep(rest(ms, "content"))
	return o.answer(answer, Turn{Prompt: prompt, Output: output})
}

func orEmpty(object []byte) []byte {
	if object == nil {
		return []byte("{}")
	}
	return object
}

// accumulated returns the tokens since the last answer by the accumulated counts of the event; 0: not recorded.
func (o *openHands) accumulated(ms []member) (prompt, output int) {
	metrics, _ := members(find(ms, "llm_metrics"))
	p, c, err := usage(find(metrics, "accumulated_token_usage"))
	if err != nil || p < o.spent[0] || c < o.spent[1] {
		return 0, 0
	}
	if o.parent != nil && o.spent == [2]int{} { // what other agents spent may be in it
		o.spent = [2]int{p, c}
		return 0, 0
	}
	prompt, output = p-o.spent[0], c-o.spent[1]
	o.spent = [2]int{p, c}
	return prompt, output
}

// observation takes an event that is no action.
func (o *openHands) observation(ms []member, at time.Time) error {
	kind, err := text(find(ms, "observation"))
	if err != nil {
		return errors.New("the event is neither an action nor an observation")
	}
	metadata, _ := members(find(ms, "tool_call_metadata"))
	call, _ := text(find(metadata, "tool_call_id"))
	if kind == "delegate" && o.parent != nil {
		call = cmp.Or(call, o.by.call)
		ran, err := o.join()
		if err != nil {
			return err
		}
		if ran {
			at = time.Time{} // not a tool's time
		}
	}
	done := o.actions[string(find(ms, "cause"))]
	call = cmp.Or(call, done.call)
	content := find(ms, "content")
	switch {
	case call != "":
		if d, ok := elapsed(done.at, at); ok {
			o.timed(call, d)
		}
		o.keep(rest(ms))
		return o.say([]member{{key: "role", value: []byte(`"tool"`)}, {key: "tool_call_id", value: appendText(nil, call)}, {key: "content", value: content}})
	case kind == "error" || kind == "user_rejected":
		o.keep(rest(ms))
		return o.say([]member{{key: "role", value: []byte(`"user"`)}, {key: "content", value: content}})
	case kind == "recall":
		o.report.note("knowledge that the agent's program added to the prompt is not replayed; kept in extra")
	}
	o.keep(ms)
	return nil
}

// delegates starts the conversation of another agent, whose events follow.
func (o *openHands) delegates(ms []member, at time.Time) error {
	if err := o.act(ms, "delegate", at); err != nil {
		return err
	}
	o.agents++
	sub := newDelegate(o.g.chat(fmt.Sprintf("%s/delegate-%d", o.id, o.agents)), o.delegate)
	sub.fork, sub.by = len(o.b.t.Turns)-1, o.actions[string(find(ms, "id"))]
	o.delegate = sub
	return nil
}

// join ends the conversation of a delegate, for which the parent's next request waits. It is false if there is none.
func (o *openHands) join() (bool, error) {
	sub := o.delegate
	o.delegate = sub.parent
	if len(sub.b.t.Turns) == 0 {
		o.report.note("the calls of a delegate are not in the history; left out")
		return false, nil
	}
	t, err := sub.done(nil)
	if err != nil {
		return false, fmt.Errorf("delegate: %w", err)
	}
	s := Subagent{Trajectory: t, Fork: sub.fork, Join: len(o.b.t.Turns)}
	if d, ok := elapsed(sub.by.at, sub.began); ok {
		s.Delay = d
	}
	o.b.t.Subagents = append(o.b.t.Subagents, s)
	o.report.note("the conversation of a delegate is replayed as a sub-agent's, which is the time of the call")
	return true, nil
}
