package trajectory

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// importTRTLLM reads TensorRT-LLM's execution traces, compact or full: {trace_id, events}, an event being a message with its number of
// tokens, a tool call with its duration, or the beginning or end of parallel branches. Messages have no text.
//
// Answers of one conversation_id are the turns of one conversation. The first conversation is the main one; each other is a sub-agent
// of the one whose answer came last before it, on its branch or those that lead to it.
func (l Limits) importTRTLLM(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, TRTLLM)
	return g.each(func(ms []member) error {
		events, err := elements(find(ms, "events"))
		if err != nil {
			return fmt.Errorf("events %w", err)
		}
		r := &trtRun{g: g, id: g.id(ms, "trace_id"), branches: map[string]*trtBranch{}, talks: map[string]*trtTalk{}}
		if err := r.events(events, nil); err != nil {
			return err
		}
		t, err := r.tree(without(ms, "events"))
		if err != nil {
			return err
		}
		g.add(t)
		return nil
	})
}

func isTRTLLM(ms []member) bool {
	events, err := elements(find(ms, "events"))
	if err != nil || len(events) == 0 {
		return false
	}
	event, err := members(events[0])
	return err == nil && find(ms, "trace_id") != nil && find(event, "event_type") != nil
}

// trtRun is the state of importing one trace. Times are in steps: an answer takes one, a tool call as long as it is recorded.
type trtRun struct {
	g        *gather
	id       string
	branches map[string]*trtBranch
	talks    map[string]*trtTalk
	order    []*trtTalk
}

// trtBranch is a branch: how far its events have come, and what they have waited for since the last answer.
type trtBranch struct {
	now   time.Time
	tools []ran
}

// trtTalk is a conversation.
type trtTalk struct {
	id   string
	c    *chat
	line timeline
	n    int // messages
}

// events takes events in order; at: the branch of those that say none.
func (r *trtRun) events(list [][]byte, at []string) error {
	for i, raw := range list {
		ms, err := members(raw)
		if err == nil {
			err = r.event(ms, at)
		}
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
	}
	return nil
}

func (r *trtRun) event(ms []member, at []string) error {
	if path, err := elements(find(ms, "branch_path")); err == nil && (at == nil || len(path) > len(at)) {
		at = nil
		for _, p := range path {
			at = append(at, string(p))
		}
	}
	b := r.branch(at)
	switch kind := named(ms, "event_type"); kind {
	case "message":
		return r.message(ms, b)
	case "tool_call":
		took, err := optional(ms, "duration_ms", 1e-3)
		if err != nil {
			return err
		}
		b.tools = append(b.tools, ran{named(ms, "tool_name"), took})
		b.now = b.now.Add(clamp(took))
		return nil
	case "parallel_start":
		return r.fork(ms, at)
	case "parallel_end":
		r.join(at)
		return nil
	case "drop_kv_cache":
		r.g.report.note("a server cannot be asked to drop a conversation from its cache: left out")
		return nil
	default:
		r.g.report.note(fmt.Sprintf("events of type %.40q are not replayed", kind))
		return nil
	}
}

// branch returns the branch of a path; a new one begins where the one that leads to it is.
func (r *trtRun) branch(path []string) *trtBranch {
	key := strings.Join(path, "/")
	if b := r.branches[key]; b != nil {
		return b
	}
	b := &trtBranch{now: time.Unix(0, 0)}
	if len(path) > 0 {
		parent := r.branch(path[:len(path)-1])
		b.now, b.tools = parent.now, slices.Clone(parent.tools)
	}
	r.branches[key] = b
	return b
}

// fork begins parallel branches. The tasks of one step that ran side by side stand in the event itself.
func (r *trtRun) fork(ms []member, at []string) error {
	r.forget(at)
	children, err := elements(find(ms, "children"))
	if err != nil {
		return nil
	}
	for i, raw := range children {
		path := append(slices.Clone(at), strconv.Itoa(i))
		if err := r.events([][]byte{raw}, path); err != nil {
			return err
		}
	}
	r.join(at)
	return nil
}

// forget ends all branches that begin at a path, so that the next ones begin anew.
func (r *trtRun) forget(at []string) (latest time.Time, tools []ran) {
	prefix := ""
	if len(at) > 0 {
		prefix = strings.Join(at, "/") + "/"
	}
	for key, b := range r.branches {
		if key != "" && strings.HasPrefix(key, prefix) {
			if b.now.After(latest) {
				latest, tools = b.now, b.tools
			}
			delete(r.branches, key)
		}
	}
	return latest, tools
}

// join goes on with a branch after those that began at it.
func (r *trtRun) join(at []string) {
	b := r.branch(at)
	if latest, tools := r.forget(at); latest.After(b.now) {
		b.now, b.tools = latest, tools
	}
}

// message takes a message of a conversation.
func (r *trtRun) message(ms []member, b *trtBranch) error {
	id := named(ms, "conversation_id")
	t := r.talks[id]
	if t == nil {
		t = &trtTalk{id: r.id + "/" + id}
		if len(r.order) == 0 {
			t.id = r.id
		}
		t.c = r.g.chat(t.id)
		r.talks[id] = t
		r.order = append(r.order, t)
	}
	role := named(ms, "role")
	tokens, err := r.tokens(ms, role)
	if err != nil {
		return err
	}
	if role == "assistant" {
		if err := r.answer(t, ms, b); err != nil {
			return err
		}
	}
	return r.say(t, role, tokens)
}

// tokens returns the length of a message as it is in the prompts after it.
func (r *trtRun) tokens(ms []member, role string) (n int, err error) {
	counts := map[string]int{}
	for _, key := range []string{"tokens", "tokenize_count", "completion_tokens", "reasoning_tokens"} {
		if value := find(ms, key); value != nil {
			if counts[key], err = count(value); err != nil || counts[key] > maxPrompt {
				return 0, fmt.Errorf("%s is %.40s, not a number of tokens up to %d", key, value, maxPrompt)
			}
		}
	}
	if role == "assistant" {
		return max(counts["completion_tokens"]-counts["reasoning_tokens"], 0), nil
	}
	return max(counts["tokens"], counts["tokenize_count"]), nil
}

// answer ends a turn.
func (r *trtRun) answer(t *trtTalk, ms []member, b *trtBranch) (err error) {
	turn := Turn{Extra: object(clone(without(ms, "event_type", "role", "prompt_tokens", "completion_tokens")))}
	if turn.Prompt, turn.Output, err = usage(object(pick(ms, "prompt_tokens", "completion_tokens"))); err != nil {
		return err
	}
	turns := len(t.c.b.t.Turns)
	if turns > 0 {
		for _, tool := range b.tools {
			t.c.ran = append(t.c.ran, Call{Tool: tool.tool, Duration: clamp(tool.took)})
		}
	}
	if err := t.c.ask(turn); err != nil || len(t.c.b.t.Turns) == turns {
		return err
	}
	t.line = append(t.line, interval{b.now, b.now.Add(time.Nanosecond)})
	b.now, b.tools = b.now.Add(time.Nanosecond), nil
	return nil
}

// say adds a message with filler text. System prompts of one length are the same text, in all traces.
func (r *trtRun) say(t *trtTalk, role string, tokens int) error {
	id := fillOf(t.id, uint64(t.n))
	switch role {
	case "system":
		r.g.report.note("system prompts of equal length are taken to be equal")
		id = fillOf("system prompt", uint64(tokens))
	case "tool":
		r.g.report.note("tool calls are recorded without their text: results are sent as user messages")
		role = "user"
	}
	t.n++
	content := fills{{id, tokens}}.appendWords([]byte{'"'}, 0, tokens)
	return t.c.say([]member{{key: "role", value: appendText(nil, role)}, {key: "content", value: append(content, '"')}})
}

// tree puts the conversations together.
func (r *trtRun) tree(about []member) (*Trajectory, error) {
	var all []woven
	for _, t := range r.order {
		if len(t.line) == 0 {
			r.g.report.note("a conversation without an answer is left out")
			continue
		}
		done, err := t.c.done(about)
		if err != nil {
			return nil, fmt.Errorf("conversation %q: %w", t.id, err)
		}
		about = nil
		all = append(all, woven{done, t.line})
	}
	return r.g.weave(all)
}
