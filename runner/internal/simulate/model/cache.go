package model

import (
	"container/list"

	"agentwatt/runner/internal/simulate"
)

// cache is the prefix cache ("Cache" in docs/simulate.md).
type cache struct {
	tokens int               // of a block
	free   int               // blocks
	named  map[uint64]*block //
	idle   *list.List        // named blocks that nobody holds, the least recently used first
}

// block is a named block.
type block struct {
	name    uint64
	holders int
	idle    *list.Element // nil while somebody holds it
}

func newCache(p simulate.Params) *cache {
	return &cache{tokens: p.BlockTokens, free: p.CacheTokens / p.BlockTokens, named: map[uint64]*block{}, idle: list.New()}
}

// admit gives q its blocks; false if they do not fit.
func (c *cache) admit(q *sequence) bool {
	var reused []*block
	unheld := 0
	for _, name := range q.names[:min(len(q.names), (q.served.Prompt-1)/c.tokens)] {
		b, ok := c.named[name]
		if !ok {
			break
		}
		reused = append(reused, b)
		if b.holders == 0 {
			unheld++
		}
	}
	private := (q.served.Prompt+q.limit+c.tokens-1)/c.tokens - len(reused)
	if private > c.free+c.idle.Len()-unheld {
		return false
	}
	for _, b := range reused {
		c.hold(b)
	}
	for c.free < private {
		oldest := c.idle.Remove(c.idle.Front()).(*block)
		delete(c.named, oldest.name)
		c.free++
	}
	c.free -= private
	q.held, q.private = reused, private
	q.computed = len(reused) * c.tokens
	q.served.Cached = q.computed
	return true
}

func (c *cache) hold(b *block) {
	if b.holders++; b.idle != nil {
		c.idle.Remove(b.idle)
		b.idle = nil
	}
}

// name gives the blocks of q's prompt that are computed their names.
func (c *cache) name(q *sequence) {
	for i := len(q.held); i < len(q.names) && (i+1)*c.tokens <= q.computed; i++ {
		b, ok := c.named[q.names[i]]
		if ok {
			c.free++
		} else {
			b = &block{name: q.names[i]}
			c.named[b.name] = b
		}
		c.hold(b)
		q.held = append(q.held, b)
		q.private--
	}
}

// release takes everything that q holds.
func (c *cache) release(q *sequence) {
	for i := len(q.held) - 1; i >= 0; i-- {
		b := q.held[i]
		if b.holders--; b.holders == 0 {
			b.idle = c.idle.PushBack(b)
		}
	}
	c.free += q.private
	q.held, q.private = nil, 0
}
