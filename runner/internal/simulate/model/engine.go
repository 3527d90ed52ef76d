package model

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"agentwatt/runner/internal/simulate"
)

// never is later than every event.
const never = time.Duration(math.MaxInt64)

// engine is the state between two boundaries ("Time" in docs/simulate.md).
type engine struct {
	p        simulate.Params
	cache    *cache
	queue    []*sequence // in the order of admission
	batch    []*sequence // likewise
	boundary time.Duration
	busy     bool // a step ends at the boundary; else the engine is idle until then
	course   *Course
}

// sequence is a request in the engine.
type sequence struct {
	served *Served
	wait   time.Duration
	quit   time.Duration

	digest        uint64
	names         []uint64 // of the whole blocks of the prompt
	rng           *rand.Rand
	limit, length int

	held     []*block // named blocks, from the prompt's beginning
	private  int      // blocks without a name
	computed int      // prompt tokens
	share    int      // of them in the step under way
	emits    int      // tokens at the end of the step under way
}

// The constants of FNV-1a, 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func newSequence(p simulate.Params, r Request, at due, ordinal int) *sequence {
	q := &sequence{
		served: &Served{Agent: at.agent, Ordinal: ordinal, Arrived: at.at},
		wait:   r.Wait, quit: r.Quit, limit: r.Limit, digest: fnvOffset,
	}
	if r.Quit == 0 {
		q.quit = never
	}
	q.read(r.Prompt, 4*p.BlockTokens)
	q.rng = rand.New(rand.NewPCG(p.Seed, q.digest))
	natural := int(math.Round(150 * math.Exp(1.575*q.rng.NormFloat64())))
	q.length = min(max(natural, r.Least, 1), r.Limit)
	return q
}

// read hashes the prompt and names its whole blocks.
func (q *sequence) read(prompt [][]byte, block int) {
	bytes, left := 0, block
	for _, piece := range prompt {
		bytes += len(piece)
		for _, b := range piece {
			q.digest = (q.digest ^ uint64(b)) * fnvPrime
			if left--; left == 0 {
				q.names = append(q.names, q.digest)
				left = block
			}
		}
	}
	q.served.Prompt = (bytes + 3) / 4
}

func (q *sequence) prefilled() bool { return q.computed == q.served.Prompt }

// arrive puts a sequence into the queue and wakes an idle engine.
func (e *engine) arrive(q *sequence) {
	e.course.requests = append(e.course.requests, q.served)
	at, _ := slices.BinarySearchFunc(e.queue, q, func(a, b *sequence) int {
		return cmp.Or(cmp.Compare(a.served.Arrived, b.served.Arrived), cmp.Compare(a.digest, b.digest),
			cmp.Compare(a.limit, b.limit), cmp.Compare(a.length, b.length))
	})
	e.queue = slices.Insert(e.queue, at, q)
	if !e.busy {
		e.boundary = min(e.boundary, q.served.Arrived+1)
	}
}

// step is one boundary: complete, drop, admit, compose. It returns the sequences that have their answer.
func (e *engine) step() (answered []*sequence) {
	now := e.boundary
	if e.busy {
		answered = e.complete(now)
	}
	gone := func(q *sequence) bool {
		if q.quit >= now {
			return false
		}
		e.cache.release(q)
		return true
	}
	e.batch = slices.DeleteFunc(e.batch, gone)
	e.queue = slices.DeleteFunc(e.queue, gone)
	for len(e.queue) > 0 && len(e.batch) < e.p.MaxBatch && e.queue[0].served.Arrived < now && e.cache.admit(e.queue[0]) {
		e.batch = append(e.batch, e.queue[0])
		e.queue = e.queue[1:]
	}
	e.compose(now)
	return answered
}

// complete ends the step at now.
func (e *engine) complete(now time.Duration) (answered []*sequence) {
	e.batch = slices.DeleteFunc(e.batch, func(q *sequence) bool {
		q.computed += q.share
		e.cache.name(q)
		if q.emits == 0 {
			return false
		}
		s := q.served
		if s.Output == 0 {
			s.First, s.FirstTokens = now, q.emits
		}
		s.Output += q.emits
		s.Last = now
		if s.Done = s.Output == q.length; s.Done {
			e.cache.release(q)
			answered = append(answered, q)
		}
		return s.Done
	})
	return answered
}

// compose begins the next step at now, or leaves the engine idle.
func (e *engine) compose(now time.Duration) {
	if e.busy = len(e.batch) > 0; !e.busy {
		e.boundary = never
		if len(e.queue) > 0 {
			e.boundary = e.queue[0].served.Arrived + 1
		}
		return
	}
	var decoding, context, tokens, prefill int
	for _, q := range e.batch {
		q.share, q.emits = 0, 0
		if q.prefilled() {
			decoding++
			context += q.served.Prompt + q.served.Output
			q.emits = min(e.burst(q), q.length-q.served.Output)
		} else {
			q.share = min(e.p.PrefillBudget-prefill, q.served.Prompt-q.computed)
			prefill += q.share
			if q.computed+q.share == q.served.Prompt {
				q.emits = 1
			}
		}
		tokens += q.emits
	}
	duration := e.p.StepBase + time.Duration(decoding)*e.p.StepPerSequence +
		time.Duration(int64(e.p.StepPerKilotoken)*int64(context)/1000) +
		time.Duration(math.Round(float64(prefill)*1e9/e.p.PrefillRate))
	if e.p.Draft > 0 && decoding > 0 {
		duration += e.p.DraftCost
	}
	work := int64(e.p.StepEnergy) + int64(e.p.DecodeEnergy)*int64(tokens) + int64(e.p.PrefillEnergy)*int64(prefill)
	e.course.add(now, duration, work)
	e.boundary = now + duration
}

// burst draws how many tokens a decoding sequence would emit in a step.
func (e *engine) burst(q *sequence) int {
	k := 1
	for range e.p.Draft {
		if q.rng.Float64() >= e.p.Acceptance {
			break
		}
		k++
	}
	return k
}
