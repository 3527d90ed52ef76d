// Package model predicts what the simulated engine does, without running it: a discrete-event model of docs/simulate.md,
// with no clock, goroutine or HTTP in it. It shares no code with the engine but the type of its parameters, so that where
// the two agree, to the nanosecond and the microjoule, it is because both do what the page says.
//
// Tests take from it what a search should find (Capacity) and what a meter should have seen (Course.Energy).
//
// Times are durations since the engine was made.
package model

import (
	"container/heap"
	"time"

	"agentwatt/runner/internal/simulate"
)

// Request is one request of an agent.
type Request struct {
	Prompt [][]byte      // bytes of the tools array, if any, then of the messages without brackets; read once, not kept
	Limit  int           // most output tokens; prompt and limit must fit the engine's context
	Least  int           // fewest output tokens: the limit with ignore_eos
	Quit   time.Duration // when the client gives up, if it has no answer then; 0: never
	Wait   time.Duration // from the answer to the agent's next request
}

// Agent is a closed loop: it sends a request, waits for the answer and then for Wait, and sends the next.
type Agent struct {
	Spawn time.Duration          // of its first request
	Next  func() (Request, bool) // called when a request is due; false: it has no more
}

// Served is a request as it was served. What did not happen before the end of the course, or before the client gave up, is zero.
type Served struct {
	Agent, Ordinal int           // whose request, and the how manieth of it, from 0
	Arrived        time.Duration //
	First, Last    time.Duration // when its first and its last token came
	Prompt, Cached int           // tokens
	Output         int           // tokens
	FirstTokens    int           // tokens of the first event
	Done           bool          // all output came
}

// Run plays the load against an engine until the given time.
func Run(p simulate.Params, load []Agent, until time.Duration) *Course {
	e := &engine{p: p, cache: newCache(p), boundary: never, course: &Course{p: p, Until: until}}
	agents := &agents{load: load, ordinal: make([]int, len(load))}
	for i, a := range load {
		heap.Push(agents, due{a.Spawn, i})
	}
	for {
		switch next := agents.next(); {
		case min(next, e.boundary) > until:
			e.course.close()
			return e.course
		case e.boundary <= next:
			for _, q := range e.step() {
				heap.Push(agents, due{q.served.Last + q.wait, q.served.Agent})
			}
		default:
			at := heap.Pop(agents).(due)
			if r, ok := load[at.agent].Next(); ok {
				e.arrive(newSequence(p, r, at, agents.ordinal[at.agent]))
				agents.ordinal[at.agent]++
			}
		}
	}
}

// due is an agent's next request.
type due struct {
	at    time.Duration
	agent int
}

// agents is a heap of the agents that wait for their next request.
type agents struct {
	load    []Agent
	ordinal []int
	dues    []due
}

func (a *agents) next() time.Duration {
	if len(a.dues) == 0 {
		return never
	}
	return a.dues[0].at
}

// Len, Less, Swap, Push and Pop are heap.Interface.
func (a *agents) Len() int           { return len(a.dues) }
func (a *agents) Less(i, j int) bool { return a.dues[i].at < a.dues[j].at }
func (a *agents) Swap(i, j int)      { a.dues[i], a.dues[j] = a.dues[j], a.dues[i] }
func (a *agents) Push(x any)         { a.dues = append(a.dues, x.(due)) }
func (a *agents) Pop() any {
	last := len(a.dues) - 1
	x := a.dues[last]
	a.dues = a.dues[:last]
	return x
}
