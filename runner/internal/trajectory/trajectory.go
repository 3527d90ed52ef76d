// Package trajectory holds recorded agent sessions: the model, its native file format, validation, importers and a
// generator.
//
// A trajectory keeps all its messages once, as the bytes that go over the wire; a turn is a length into them. So the
// request of turn k+1 begins with the bytes of turn k's by construction, any number of agents share one copy, and a
// request is built without touching history.
package trajectory

import (
	"bytes"
	"encoding/json"
	"time"
)

// Trajectory is one recorded agent session. It is read-only once built and shared between agents.
type Trajectory struct {
	ID       string // unique in its dataset
	Origin   string // where it came from: "synth", or "<format>:<file>"
	Messages []byte // all messages of the last turn: compact JSON objects joined by commas, without the brackets
	Turns    []Turn // in order; at least one

	// Where a salt is inserted: offsets into Messages just after the opening quote of a JSON string.
	SaltBefore int // in the first message's content: nothing is shared between agents
	SaltAfter  int // in the first non-system message's content: system prompt and tools are shared

	Subagents []Subagent // conversations that this one starts, in the order of their forks; nil: none
}

// Subagent is a conversation of its own that runs beside the one that starts it, its parent. With its like it makes a
// trajectory a tree: forks where an answer starts it, joins where the parent's next request waits for it.
type Subagent struct {
	*Trajectory               // its messages and turns, and its own sub-agents; the ID is unique in the whole tree
	Fork        int           // it starts after the answer to this turn of the parent; -1: with the parent
	Delay       time.Duration // from that answer, or the parent's start, to its first request, as recorded
	Join        int           // the first turn of the parent whose request waits for its end, that of its own sub-agents included; the number of turns: none does
}

// Turn is one model call: its request is Messages[:End] with Tools, and what followed it when it was recorded.
type Turn struct {
	End       int             // Messages[:End] are this turn's messages
	Tools     json.RawMessage // compact JSON array, as recorded for this turn; nil: the request has no tools
	Prompt    int             // recorded prompt tokens; 0: not recorded
	Output    int             // recorded output tokens, reasoning included; 0: not recorded
	MaxOutput int             // the recorded request's own cap; 0: none
	Calls     []Call          // tools that ran after the answer; empty on the last turn
	Extra     json.RawMessage // fields of the source row that the model does not know, kept; nil: none
}

// Call is one tool execution.
type Call struct {
	Tool     string        // function name; empty: not recorded
	Duration time.Duration // as recorded; 0: not recorded
}

// SharedPrefix returns how many bytes a and b begin with together.
func SharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := 0; i < n; {
		step := min(n-i, 4096)
		if bytes.Equal(a[i:i+step], b[i:i+step]) {
			i += step
			continue
		}
		for a[i] == b[i] {
			i++
		}
		return i
	}
	return n
}

// ToolTime returns the recorded tool time after the turn: its calls ran one after the other.
func (t Turn) ToolTime() time.Duration {
	var sum time.Duration
	for _, c := range t.Calls {
		sum += c.Duration
	}
	return sum
}
