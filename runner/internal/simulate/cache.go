package simulate

import "container/list"

// block is BlockTokens prompt tokens in the prefix cache, named by the hash of the prompt up to the block's end.
type block struct {
	name uint64
	refs int           // sequences that hold it
	idle *list.Element // place among the unreferenced; nil while refs > 0
}

// cache is the KV cache in blocks. A block is either named, so that another prompt with the same beginning can reuse it,
// or private to one sequence (prompt not yet computed, the partial tail, output).
//
// The names present always form whole chains from a prompt's beginning: who holds a block holds the ones before it, and
// of the blocks that one sequence gives back the last goes first.
type cache struct {
	capacity int
	named    map[uint64]*block
	idle     list.List // unreferenced named blocks, least recently used first
	private  int       // blocks of sequences without a name
	evicted  int       // blocks evicted so far
}

func newCache(capacity int) *cache {
	return &cache{capacity: capacity, named: make(map[uint64]*block)}
}

// take gives a sequence need blocks in all: as many as possible of the chain's first max by reuse, the others private
// and freed by eviction where necessary. It returns the reused ones. ok is false, and nothing changed, where even
// evicting all that is not in use is not enough.
func (c *cache) take(chain []uint64, max, need int) (reused []*block, ok bool) {
	idle := 0 // reused blocks that are among the unreferenced: not there to be evicted
	for _, name := range chain[:min(max, len(chain))] {
		b := c.named[name]
		if b == nil {
			break
		}
		if b.refs == 0 {
			idle++
		}
		reused = append(reused, b)
	}
	fresh := need - len(reused)
	free := c.capacity - c.private - len(c.named)
	if fresh > free+c.idle.Len()-idle {
		return nil, false
	}
	for _, b := range reused {
		c.hold(b)
	}
	for ; free < fresh; free++ {
		c.evict()
	}
	c.private += fresh
	return reused, true
}

// hold adds a reference.
func (c *cache) hold(b *block) {
	if b.refs == 0 {
		c.idle.Remove(b.idle)
		b.idle = nil
	}
	b.refs++
}

// name turns one private block into a named one, held by its sequence. If another sequence computed the same block
// meanwhile, that one is held instead and the private one is free again.
func (c *cache) name(name uint64) *block {
	c.private--
	b := c.named[name]
	if b == nil {
		b = &block{name: name, refs: 1}
		c.named[name] = b
		return b
	}
	c.hold(b)
	return b
}

// release gives back what a sequence held: its named blocks stay until evicted, its private ones are free.
func (c *cache) release(held []*block, private int) {
	c.private -= private
	for i := len(held) - 1; i >= 0; i-- {
		b := held[i]
		if b.refs--; b.refs == 0 {
			b.idle = c.idle.PushBack(b)
		}
	}
}

// held returns how many blocks sequences hold. The others can be had, if need be by eviction.
func (c *cache) held() int { return c.private + len(c.named) - c.idle.Len() }

// evict forgets the least recently used block that nobody holds.
func (c *cache) evict() {
	b := c.idle.Remove(c.idle.Front()).(*block)
	delete(c.named, b.name)
	c.evicted++
}
