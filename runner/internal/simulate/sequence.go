package simulate

import (
	"cmp"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Natural output lengths are log-normal with this median; the spread puts P95 near 2000 tokens (METHOD 2).
const (
	lengthMedian = 150
	lengthSigma  = 1.575
)

// sequence is one request inside the engine. The server fills in the first group, the scheduler owns the others; mail
// is for both.
type sequence struct {
	arrived time.Time
	digest  uint64   // of the whole prompt
	chain   []uint64 // names of the prompt's whole blocks
	prompt  int      // tokens
	limit   int      // most output tokens: what the cache reserves
	length  int      // output tokens that it will produce
	random  *rand.Rand
	mail    *mailbox

	reused    int       // prompt tokens found in the cache
	computed  int       // prompt tokens in the cache, the reused ones included
	emitted   int       // output tokens
	held      []*block  // named blocks, from the prompt's beginning
	private   int       // blocks without a name
	cancelled time.Time // zero: not

	prefill int // prompt tokens computed in the step in progress
	gain    int // output tokens emitted at its end
}

// newSequence prepares a prompt for the engine. limit is the most output tokens; least is how many come at the least.
func newSequence(p Params, tools, messages []byte, limit, least int) *sequence {
	chain, digest := fingerprint(p.BlockTokens*BytesPerToken, tools, messages)
	q := &sequence{
		digest: digest,
		chain:  chain,
		prompt: (len(tools) + len(messages) + BytesPerToken - 1) / BytesPerToken,
		limit:  limit,
		random: rand.New(rand.NewPCG(p.Seed, digest)),
		mail:   &mailbox{ready: make(chan struct{}, 1)},
	}
	natural := int(min(math.Round(lengthMedian*math.Exp(lengthSigma*q.random.NormFloat64())), 1<<30))
	q.length = min(max(natural, least, 1), limit)
	return q
}

// decoding reports whether the prompt is complete: the first token was emitted.
func (q *sequence) decoding() bool { return q.computed == q.prompt }

// draw returns how many tokens a step of decoding yields: one, and further proposed ones until the first that is not
// accepted; never beyond the length.
func (q *sequence) draw(p Params) int {
	n := 1
	for n <= p.Draft && q.random.Float64() < p.Acceptance {
		n++
	}
	return min(n, q.length-q.emitted)
}

// order sorts by arrival. Requests of the same instant, which only virtual time has, are sorted by what they ask, so that
// the order of goroutines never shows.
func order(a, b *sequence) int {
	return cmp.Or(a.arrived.Compare(b.arrived), cmp.Compare(a.digest, b.digest), cmp.Compare(a.limit, b.limit), cmp.Compare(a.length, b.length))
}

// fingerprint hashes parts as one string with 64-bit FNV-1a. chain holds the hash at the end of each whole block of size
// bytes, digest the hash of everything.
func fingerprint(size int, parts ...[]byte) (chain []uint64, digest uint64) {
	const offset, prime = 14695981039346656037, 1099511628211
	total := 0
	for _, part := range parts {
		total += len(part)
	}
	chain = make([]uint64, 0, total/size)
	digest = offset
	left := size
	for _, part := range parts {
		for len(part) > 0 {
			n := min(left, len(part))
			for _, b := range part[:n] {
				digest = (digest ^ uint64(b)) * prime
			}
			part = part[n:]
			if left -= n; left == 0 {
				chain = append(chain, digest)
				left = size
			}
		}
	}
	return chain, digest
}

// mailbox carries a sequence's output from the engine to its request without ever blocking the engine. It keeps the steps
// apart: one entry per step, however late it is read.
type mailbox struct {
	ready chan struct{} // has a value when something came since the last take

	mu     sync.Mutex
	tokens []int
	reused int
}

// put adds the tokens of one step.
func (m *mailbox) put(tokens, reused int) {
	m.mu.Lock()
	m.tokens = append(m.tokens, tokens)
	m.reused = reused
	m.mu.Unlock()
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// take appends what came since the last take to dst, one entry per step. reused is the number of prompt tokens that were
// found in the cache.
func (m *mailbox) take(dst []int) (tokens []int, reused int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dst = append(dst, m.tokens...)
	m.tokens = m.tokens[:0]
	return dst, m.reused
}
