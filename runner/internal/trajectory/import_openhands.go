package trajectory

import (
	"fmt"
	"io"
	"time"
)

// importOpenHands reads OpenHands' output.jsonl, {instance_id, history, metrics, ...} per line with the event stream of a
// session in history, or one exported event stream, an array of events.
//
// Messages and tool calls are those of the model's response, which each action of the agent has in its tool_call_metadata.
// The tool time is the time from an action to its observation.
func (l Limits) importOpenHands(in io.Reader, file string) (*Dataset, *Report, error) {
	g := l.newGather(in, file, OpenHands)
	var stream *openHands // of a file that is one event stream
	return g.each(func(ms []member) error {
		if g.in.layout != inArray {
			return g.openHands(ms)
		}
		if stream == nil {
			stream = g.newOpenHands(stem(file), nil)
		}
		return stream.event(object(ms))
	}, func() error {
		if stream == nil {
			return nil
		}
		if g.report.LeftOut > 0 {
			g.report.LeftOut = 1 // all events are one trajectory
			return nil
		}
		return g.finishOpenHands(stream, nil)
	})
}

func isOpenHands(ms []member) bool {
	history, err := elements(find(ms, "history"))
	if err != nil {
		return false
	}
	if len(history) == 0 {
		return find(ms, "instance_id") != nil && find(ms, "metadata") != nil
	}
	first := history[0]
	if pair, err := elements(first); err == nil && len(pair) > 0 { // old versions have pairs of action and observation
		first = pair[0]
	}
	event, err := members(first)
	return err == nil && isOpenHandsEvent(event)
}

func isOpenHandsEvent(ms []member) bool {
	return (find(ms, "action") != nil || find(ms, "observation") != nil) && (find(ms, "args") != nil || find(ms, "content") != nil || find(ms, "extras") != nil)
}

// openHands is the state of importing one session.
type openHands struct {
	*delegate // whose events are being read
	g         *gather
	id        string
	usages    map[string][2]int // prompt and output tokens by response
	agents    int               // delegates so far
}

// delegate is an agent of the session: the first, or one that another has delegated to.
type delegate struct {
	*chat
	parent    *delegate
	actions   map[string]started // by event id
	responses map[string]bool    // those that are in the conversation already
	spent     [2]int             // tokens accumulated so far
	fork      int                // the parent's turn that started it
	by        started            // the parent's action that did
	began     time.Time          // its first event
}

// started is an action of the agent.
type started struct {
	call string // id of its tool call
	at   time.Time
}

func (g *gather) openHands(ms []member) error {
	history, err := elements(find(ms, "history"))
	if err != nil {
		return fmt.Errorf("history %w", err)
	}
	metrics, _ := members(find(ms, "metrics"))
	o := g.newOpenHands(g.id(ms, "instance_id", "id"), find(metrics, "token_usages"))
	for i, raw := range history {
		events := [][]byte{raw}
		if pair, err := elements(raw); err == nil {
			events = pair
		}
		for _, event := range events {
			if err := o.event(event); err != nil {
				return fmt.Errorf("history[%d]: %w", i, err)
			}
		}
	}
	return g.finishOpenHands(o, without(ms, "history"))
}

func (g *gather) newOpenHands(id string, usages []byte) *openHands {
	o := &openHands{g: g, id: id, usages: map[string][2]int{}}
	o.delegate = newDelegate(g.chat(id), nil)
	list, _ := elements(usages)
	for _, raw := range list {
		ms, _ := members(raw)
		response, _ := text(find(ms, "response_id"))
		if prompt, output, err := usage(raw); err == nil && response != "" {
			o.usages[response] = [2]int{prompt, output}
		}
	}
	return o
}

func newDelegate(c *chat, parent *delegate) *delegate {
	return &delegate{chat: c, parent: parent, actions: map[string]started{}, responses: map[string]bool{}}
}

func (g *gather) finishOpenHands(o *openHands, about []member) error {
	for o.parent != nil {
		g.report.note("a delegate has no end in the history")
		if _, err := o.join(); err != nil {
			return err
		}
	}
	return g.finish(o.chat, about)
}
