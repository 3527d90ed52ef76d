package simulate

import (
	"slices"
	"time"

	"agentwatt/shared/power"
)

// Step is one iteration of the engine.
type Step struct {
	Begin     time.Time
	Duration  time.Duration
	Decoding  int          // sequences that decode
	Context   int          // tokens of their contexts in sum: prompt and output so far
	Prefilled int          // prompt tokens computed
	Tokens    int          // output tokens emitted at its end
	Work      power.Energy // above idle, all devices together, spread evenly over the step
}

// Totals counts what the engine did since it began.
type Totals struct {
	Steps     int // begun
	Tokens    int // output tokens of completed steps, read by somebody or not
	Prefilled int // prompt tokens computed in completed steps
	Reused    int // prompt tokens found in the cache
	Admitted  int // requests
	Finished  int // requests that produced all their tokens
	Cancelled int // requests given up by their clients, waiting ones included
	Evicted   int // cache blocks
	Waiting   int // requests now in the queue
	Running   int // requests now prefilling or decoding
	Asked     int // prompt tokens of the requests admitted
	Drafted   int // tokens proposed in completed steps
	Accepted  int // of them, those that became output
	Held      int // cache blocks now in use by requests
}

// scheduler decides what each step computes. It is pure: told the time, it keeps the state.
type scheduler struct {
	p      Params
	cache  *cache
	queue  []*sequence // waiting, by arrival
	batch  []*sequence // prefilling or decoding, by admission
	step   Step        // in progress
	totals Totals
}

func newScheduler(p Params) *scheduler {
	return &scheduler{p: p, cache: newCache(p.capacity())}
}

// arrive queues a request.
func (s *scheduler) arrive(q *sequence) {
	at, _ := slices.BinarySearchFunc(s.queue, q, order)
	for at < len(s.queue) && order(s.queue[at], q) == 0 {
		at++
	}
	s.queue = slices.Insert(s.queue, at, q)
}

// begin composes the step that begins now from what arrived, and was not cancelled, strictly before now. ok is false where
// there is nothing to do.
func (s *scheduler) begin(now time.Time) (step Step, ok bool) {
	s.drop(now)
	s.admit(now)
	if len(s.batch) == 0 {
		return Step{}, false
	}
	s.step = s.compose()
	s.step.Begin = now
	s.totals.Steps++
	return s.step, true
}

// earliest returns when an idle engine can begin its next step: a nanosecond after the first request in the queue arrived,
// so that all who arrive at the same instant of virtual time are in it. It is zero if none waits.
func (s *scheduler) earliest() time.Time {
	if len(s.queue) == 0 {
		return time.Time{}
	}
	return s.queue[0].arrived.Add(1)
}

// drop removes what was cancelled before now.
func (s *scheduler) drop(now time.Time) {
	gone := func(q *sequence) bool {
		if q.cancelled.IsZero() || !q.cancelled.Before(now) {
			return false
		}
		s.cache.release(q.held, q.private)
		s.totals.Cancelled++
		return true
	}
	s.queue = slices.DeleteFunc(s.queue, gone)
	s.batch = slices.DeleteFunc(s.batch, gone)
}

// admit moves requests that arrived before now from the queue to the batch, strictly in order: the first that does not fit
// holds up the others.
func (s *scheduler) admit(now time.Time) {
	n := 0
	for _, q := range s.queue {
		if len(s.batch) == s.p.MaxBatch || !q.arrived.Before(now) {
			break
		}
		need := s.p.blocks(q.prompt + q.limit)
		// At least one token is computed: without it there is nothing to emit the first output token.
		held, ok := s.cache.take(q.chain, (q.prompt-1)/s.p.BlockTokens, need)
		if !ok {
			break
		}
		q.held, q.private = held, need-len(held)
		q.reused = len(held) * s.p.BlockTokens
		q.computed = q.reused
		s.totals.Reused += q.reused
		s.totals.Asked += q.prompt
		s.totals.Admitted++
		s.batch = append(s.batch, q)
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// compose plans one step over the batch: all decode whose prompt is complete, the others share the prefill budget first
// come first served.
func (s *scheduler) compose() Step {
	var step Step
	budget := s.p.PrefillBudget
	for _, q := range s.batch {
		q.prefill, q.gain = 0, 0
		if q.decoding() {
			q.gain = q.draw(s.p)
			step.Decoding++
			step.Context += q.prompt + q.emitted
		} else {
			q.prefill = min(budget, q.prompt-q.computed)
			budget -= q.prefill
			step.Prefilled += q.prefill
			if q.computed+q.prefill == q.prompt {
				q.gain = 1
			}
		}
		step.Tokens += q.gain
	}
	step.Duration = s.p.StepTime(step.Decoding, step.Context, step.Prefilled)
	step.Work = s.p.StepWork(step.Tokens, step.Prefilled)
	return step
}

// complete ends the step in progress: prompts advance, their whole blocks become reusable, tokens are handed out, and
// finished sequences leave, all in the order of the batch.
func (s *scheduler) complete() {
	s.totals.Tokens += s.step.Tokens
	s.totals.Prefilled += s.step.Prefilled
	s.step = Step{}
	s.batch = slices.DeleteFunc(s.batch, func(q *sequence) bool {
		if q.decoding() {
			s.totals.Drafted += s.p.Draft
			s.totals.Accepted += max(0, q.gain-1)
		}
		q.computed += q.prefill
		for done := min(q.computed/s.p.BlockTokens, len(q.chain)); len(q.held) < done; q.private-- {
			q.held = append(q.held, s.cache.name(q.chain[len(q.held)]))
		}
		q.emitted += q.gain
		if q.gain > 0 {
			q.mail.put(q.gain, q.reused)
		}
		if q.emitted < q.length {
			return false
		}
		s.cache.release(q.held, q.private)
		s.totals.Finished++
		return true
	})
}

// count returns the totals as of now.
func (s *scheduler) count() Totals {
	t := s.totals
	t.Evicted = s.cache.evicted
	t.Waiting, t.Running, t.Held = len(s.queue), len(s.batch), s.cache.held()
	return t
}
