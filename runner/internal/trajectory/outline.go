package trajectory

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"time"
)

// outline is a conversation that was recorded without its text: of each request its length is known and which parts it has
// in common with others. It becomes a trajectory of filler text (fill.go) in which the same is in common.
type outline struct {
	id        string
	system    int // tokens at the beginning of the prompts that are system prompt and tools; 0: not recorded
	requests  []outlined
	about     []member // of the conversation as a whole: to the extra of its first turn
	subagents []outlinedSub
}

// outlined is one request.
type outlined struct {
	prompt fills
	output int
	before []Call // what took the time since the answer before it; of the first: since the conversation could begin
	extra  json.RawMessage
}

// outlinedSub is a sub-agent, placed by requests of its parent.
type outlinedSub struct {
	outline
	fork  int // after the answer to this request; -1: with the parent
	delay time.Duration
	join  int // the first request that waits for it; the number of requests: none
}

// maxHistories bounds how often one conversation may begin its history anew.
const maxHistories = 4096

// maxPrompt bounds a prompt in tokens: its text does not exist in the file, so a small file could ask for any amount.
const maxPrompt = 16 << 20

// conversation makes the trajectory of an outline. A request whose prompt does not begin with that of the one before
// (a compaction, an edit) begins a new history: a conversation of its own that starts after the last answer of the history
// before, as its sub-agent.
func (g *gather) outlined(o outline, f framing) (*Trajectory, error) {
	parts := histories(o.requests)
	if len(parts) > maxHistories {
		return nil, fmt.Errorf("the prompts begin anew %d times, more than the limit of %d", len(parts)-1, maxHistories)
	}
	trees := make([]*Trajectory, len(parts))
	for i, part := range parts {
		id := o.id
		if i > 0 {
			id = fmt.Sprintf("%s/%d", o.id, i+1)
			g.report.note("a prompt does not begin with that of the request before: a new history, played as a sub-agent that starts after the last answer")
		}
		t, err := g.history(id, o.requests[part.from:part.to], o.system, f)
		if err != nil {
			return nil, err
		}
		trees[i] = t
	}
	first := &trees[0].Turns[0]
	first.Extra = object(merge(o.about, known(first.Extra)))
	for _, sub := range o.subagents {
		if err := g.place(sub, parts, trees, f); err != nil {
			return nil, err
		}
	}
	for i := len(trees) - 1; i > 0; i-- {
		n := len(trees[i-1].Turns)
		delay := Turn{Calls: o.requests[parts[i].from].before}.ToolTime()
		trees[i-1].adopt(Subagent{Trajectory: trees[i], Fork: n - 1, Delay: delay, Join: n})
	}
	return trees[0], nil
}

// place puts a sub-agent into the history that it starts from.
func (g *gather) place(sub outlinedSub, parts []span, trees []*Trajectory, f framing) error {
	t, err := g.outlined(sub.outline, f)
	if err != nil {
		return fmt.Errorf("sub-agent %q: %w", sub.id, err)
	}
	i := 0
	for i < len(parts)-1 && sub.fork >= parts[i].to {
		i++
	}
	n := len(trees[i].Turns)
	join := sub.join - parts[i].from
	if join > n || join == n && i < len(parts)-1 {
		g.report.note("a sub-agent is waited for by a request with a new history; nothing waits for it")
		join = n
	}
	trees[i].adopt(Subagent{Trajectory: t, Fork: max(sub.fork-parts[i].from, -1), Delay: sub.delay, Join: join})
	return nil
}

// span is the requests from to to-1.
type span struct{ from, to int }

// histories marks requests where a prompt does not begin with the one before.
func histories(requests []outlined) []span {
	var parts []span
	for i := range requests {
		if i > 0 && requests[i].prompt.begins(requests[i-1].prompt) {
			parts[len(parts)-1].to++
		} else {
			parts = append(parts, span{i, i + 1})
		}
	}
	return parts
}

// history makes a conversation of requests each of which begins with the one before.
func (g *gather) history(id string, requests []outlined, system int, f framing) (*Trajectory, error) {
	b := newBuilder(id, string(g.report.Format)+":"+filepath.Base(g.in.file), g.limits)
	prompt := requests[len(requests)-1].prompt
	if n := prompt.tokens(); n > b.limit/2 || n > maxPrompt {
		return nil, fmt.Errorf("a prompt of %d tokens is longer than the limit of %d bytes, or of %d tokens", n, b.limit, maxPrompt)
	}
	marks, ends := f.frame(requests, system)
	next := 0
	for i, m := range marks {
		to := prompt.tokens()
		if i+1 < len(marks) {
			to = marks[i+1].at
		}
		raw := append([]byte(`{"role":"`), m.role...)
		raw = prompt.appendWords(append(raw, `","content":"`...), m.at, to)
		if err := b.add(append(raw, `"}`...)); err != nil {
			return nil, err
		}
		if to != ends[next] {
			continue
		}
		if err := b.turn(g.outlinedTurn(requests, next)); err != nil {
			return nil, err
		}
		next++
	}
	f.keep(prompt, marks)
	return b.done()
}

// outlinedTurn returns what is known of request k.
func (g *gather) outlinedTurn(requests []outlined, k int) Turn {
	r := requests[k]
	t := Turn{Prompt: r.prompt.tokens(), Output: r.output, Extra: r.extra}
	if t.Output == 0 {
		g.report.note("the output length of the turn is not recorded")
	}
	if k+1 == len(requests) {
		return t
	}
	t.Calls = requests[k+1].before
	if grown := requests[k+1].prompt.tokens() - t.Prompt; grown <= r.output {
		g.report.note("an answer is longer than what the next prompt adds (reasoning is not kept in it); its end is left out of the prompt")
	}
	return t
}
