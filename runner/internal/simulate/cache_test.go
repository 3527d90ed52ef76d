package simulate

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

// check verifies what holds for every cache at any time.
func (c *cache) check() error {
	idle := 0
	for name, b := range c.named {
		if b.name != name || b.refs < 0 || (b.refs == 0) != (b.idle != nil) {
			return fmt.Errorf("block %x: %+v", name, *b)
		}
		if b.refs == 0 {
			idle++
		}
	}
	switch {
	case idle != c.idle.Len():
		return fmt.Errorf("%d blocks without references, %d in the list", idle, c.idle.Len())
	case c.private < 0:
		return fmt.Errorf("%d private blocks", c.private)
	case c.private+len(c.named) > c.capacity:
		return fmt.Errorf("%d private and %d named blocks in a cache of %d", c.private, len(c.named), c.capacity)
	}
	return nil
}

// check verifies that no block is there without the ones before it in its prompt, and that everything the sequences
// hold is accounted for.
func (s *scheduler) check(all []*sequence) error {
	if err := s.cache.check(); err != nil {
		return err
	}
	for _, q := range all {
		for i := 1; i < len(q.chain); i++ {
			if s.cache.named[q.chain[i]] != nil && s.cache.named[q.chain[i-1]] == nil {
				return fmt.Errorf("block %d of a prompt is in the cache without the one before it", i)
			}
		}
	}
	private := 0
	for _, q := range s.batch {
		private += q.private
		if got, want := len(q.held)+q.private, s.p.blocks(q.prompt+q.limit); got != want {
			return fmt.Errorf("a sequence holds %d blocks, want %d", got, want)
		}
		if used := s.p.blocks(q.prompt + q.emitted); used > len(q.held)+q.private {
			return fmt.Errorf("a sequence needs %d blocks and holds %d", used, len(q.held)+q.private)
		}
	}
	if private != s.cache.private {
		return fmt.Errorf("sequences hold %d private blocks, the cache knows %d", private, s.cache.private)
	}
	return nil
}

// Whatever arrives and is given up, the cache keeps its account, nobody starves, and all tokens come.
func TestSchedulerKeepsItsAccount(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := randomParams(r)
		s := newScheduler(p)
		now := time.Unix(1000, 0)
		var all []*sequence
		cancelled := 0
		for i := 0; i < 300 || s.count().Running+s.count().Waiting > 0; i++ {
			if i > 20000 {
				t.Fatalf("seed %d: somebody starves: %+v", seed, s.count())
			}
			if i < 300 && r.IntN(4) == 0 {
				q := randomSequence(r, p)
				q.arrived = now
				all = append(all, q)
				s.arrive(q)
			}
			if len(all) > 0 && r.IntN(10) == 0 {
				if q := all[r.IntN(len(all))]; q.cancelled.IsZero() && q.emitted < q.length {
					q.cancelled = now
					cancelled++
				}
			}
			now = now.Add(1)
			if step, ok := s.begin(now); ok {
				now = now.Add(step.Duration)
				s.complete()
			}
			if i%8 != 0 {
				continue
			}
			if err := s.check(all); err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, i, err)
			}
		}
		n := s.count()
		if n.Finished+n.Cancelled != len(all) || n.Running+n.Waiting != 0 {
			t.Errorf("seed %d: %d requests, %d of them cancelled; totals %+v", seed, len(all), cancelled, n)
		}
		if s.cache.private != 0 || len(s.cache.named) != s.cache.idle.Len() {
			t.Errorf("seed %d: blocks are still held by nobody: %d private", seed, s.cache.private)
		}
		for _, q := range all {
			if q.cancelled.IsZero() && q.emitted != q.length {
				t.Errorf("seed %d: a sequence of %d tokens got %d", seed, q.length, q.emitted)
			}
		}
	}
}

// randomSequence draws a prompt out of few beginnings, so that prompts share them.
func randomSequence(r *rand.Rand, p Params) *sequence {
	prompt := make([]byte, 4+r.IntN(600*BytesPerToken))
	for i := range prompt {
		prompt[i] = byte(i / 500)
	}
	for at := r.IntN(len(prompt)); at < len(prompt); at++ {
		prompt[at] ^= byte(1 + len(prompt)%3)
	}
	limit := 1 + r.IntN(300)
	return newSequence(p, nil, prompt, limit, r.IntN(limit+1))
}

func TestLeastRecentlyUsedGoesFirst(t *testing.T) {
	c := newCache(6)
	fill := func(chain ...uint64) {
		t.Helper()
		held, ok := c.take(chain, len(chain), len(chain))
		if !ok {
			t.Fatalf("no room for %v", chain)
		}
		for _, name := range chain[len(held):] {
			held = append(held, c.name(name))
		}
		c.release(held, 0)
	}
	fill(1, 2, 3)
	fill(10, 11)
	fill(1, 2) // used again: now 3 is the oldest, then 11, 10, 2, 1
	fill(20, 21)
	for name, want := range map[uint64]bool{1: true, 2: true, 3: false, 10: true, 11: true, 20: true, 21: true} {
		if got := c.named[name] != nil; got != want {
			t.Errorf("block %d in the cache: %v, want %v", name, got, want)
		}
	}
	fill(30, 31)
	for name, want := range map[uint64]bool{1: true, 2: true, 10: false, 11: false, 20: true, 30: true} {
		if got := c.named[name] != nil; got != want {
			t.Errorf("block %d in the cache after more: %v, want %v", name, got, want)
		}
	}
	if err := c.check(); err != nil {
		t.Error(err)
	}
	if c.evicted != 3 {
		t.Errorf("%d evicted, want 3", c.evicted)
	}
}

func TestReusedBlocksAreNotEvictedForTheirOwnRequest(t *testing.T) {
	c := newCache(4)
	held, _ := c.take([]uint64{1, 2}, 2, 3)
	held = append(held, c.name(1), c.name(2))
	c.release(held, 1)
	if _, ok := c.take([]uint64{1, 2}, 2, 5); ok {
		t.Fatal("five blocks fit in four")
	}
	if err := c.check(); err != nil || c.idle.Len() != 2 {
		t.Fatalf("a request that did not fit changed the cache: %v", err)
	}
	held, ok := c.take([]uint64{1, 2}, 2, 4)
	if !ok || len(held) != 2 || c.evicted != 0 {
		t.Errorf("reused %d, evicted %d, fits %v; want 2, 0, true", len(held), c.evicted, ok)
	}
}

// A context that was evicted is computed again; one that was not is reused.
func TestEvictionCostsPrefill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := plain()
		p.MaxContext, p.CacheTokens = 2048, 2560 // one context of 1000 tokens beside another, not two
		s := start(t, p, Options{})
		defer s.stop()
		ask := func(prefix string) int {
			q := ofTokens(1000, prefix)
			q.max = 24
			return s.ask(t.Context(), q).usage().Details.Cached
		}
		const all = 999 / 16 * 16
		got := []int{ask("a"), ask("a"), ask("b"), ask("a"), ask("c"), ask("a"), ask("b")}
		// The oldest goes first and from its end: c takes what is free and two blocks from the end of b.
		c := 64 + 62 + 62 - 160
		want := []int{0, all, 0, all, 0, all, (62 - c) * 16}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("cached tokens of the requests: %v, want %v", got, want)
				break
			}
		}
	})
}

func TestHeadOfLineWaitsForTheCache(t *testing.T) {
	p := plain()
	p.MaxContext, p.CacheTokens = 1024, 1024
	s := newScheduler(p)
	now := time.Unix(1000, 0)
	add := func(prompt, output int, id byte) *sequence {
		text := make([]byte, prompt*BytesPerToken)
		text[0] = id
		q := newSequence(p, nil, text, output, output)
		now = now.Add(1)
		q.arrived = now
		s.arrive(q)
		return q
	}
	add(400, 200, 'a') // 38 of 64 blocks
	large, small := add(400, 100, 'b'), add(10, 2, 'c')
	for s.count().Running+s.count().Waiting > 0 {
		now = now.Add(1)
		s.begin(now)
		if s.count().Running == 1 && s.count().Waiting == 2 && large.emitted+small.emitted > 0 {
			t.Fatal("output for a sequence that waits")
		}
		if small.held != nil && large.held == nil {
			t.Fatal("the small request overtook the large one")
		}
		s.complete()
	}
}

func TestFingerprintOfPartsIsThatOfTheWhole(t *testing.T) {
	whole := []byte("the quick brown fox jumps over the lazy dog, twice, and then once more")
	want, digest := fingerprint(8, whole)
	for cut := range whole {
		got, d := fingerprint(8, whole[:cut], whole[cut:])
		if fmt.Sprint(got) != fmt.Sprint(want) || d != digest {
			t.Errorf("cut at %d: %x, want %x", cut, got, want)
		}
	}
	if got := len(want); got != len(whole)/8 {
		t.Errorf("%d blocks, want %d", got, len(whole)/8)
	}
	// The published test vector of 64-bit FNV-1a.
	if _, got := fingerprint(8, []byte("foobar")); got != 0x85944171f73967e8 {
		t.Errorf("digest %x, want 85944171f73967e8", got)
	}
}
