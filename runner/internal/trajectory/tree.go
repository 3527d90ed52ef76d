package trajectory

import (
	"fmt"
	"iter"
	"slices"
)

// All iterates over the conversations of the tree in pre-order, each with its index: 0 is the main conversation, a
// sub-agent comes before its own sub-agents and these before the next one. The indices are the same in every iteration.
func (t *Trajectory) All() iter.Seq2[int, *Trajectory] {
	return func(yield func(int, *Trajectory) bool) {
		n := 0
		t.walk(func(t *Trajectory) bool {
			n++
			return yield(n-1, t)
		})
	}
}

// walk visits the tree in pre-order until visit returns false, and returns whether it never did.
func (t *Trajectory) walk(visit func(*Trajectory) bool) bool {
	if !visit(t) {
		return false
	}
	for _, s := range t.Subagents {
		if !s.walk(visit) {
			return false
		}
	}
	return true
}

// Conversation returns the conversation of index i; nil: there is none.
func (t *Trajectory) Conversation(i int) *Trajectory {
	for n, c := range t.All() {
		if n == i {
			return c
		}
	}
	return nil
}

// TreeTurns returns the number of turns of all conversations.
func (t *Trajectory) TreeTurns() (n int) {
	for _, c := range t.All() {
		n += len(c.Turns)
	}
	return n
}

// TreeSubagents returns the number of sub-agents, those of sub-agents included.
func (t *Trajectory) TreeSubagents() (n int) {
	for range t.All() {
		n++
	}
	return n - 1
}

// AtOnce returns the greatest number of conversations that can be under way at the same time, by forks and joins alone.
func (t *Trajectory) AtOnce() int {
	// The life of the conversation in steps: step k lasts from the answer before turn k to that of turn k. The last step comes
	// after the last answer: only what nothing waited for goes on.
	change := make([]int, len(t.Turns)+2)
	change[0], change[len(t.Turns)] = 1, -1
	for _, s := range t.Subagents {
		most := s.AtOnce()
		change[s.Fork+1] += most
		change[s.Join+1] -= most
	}
	now, most := 0, 0
	for _, c := range change {
		now += c
		most = max(most, now)
	}
	return most
}

// checkTree checks how the conversations of a tree hang together; each is good by itself. limit bounds the bytes of all their
// messages.
func (t *Trajectory) checkTree(limit int) error {
	ids, size := map[string]bool{}, 0
	for _, c := range t.All() {
		if ids[c.ID] || c.ID == "" {
			return fmt.Errorf("the sub-agent id %q is empty or not unique in the trajectory", c.ID)
		}
		ids[c.ID] = true
		if size += len(c.Messages); size > limit {
			return fmt.Errorf("the messages of all conversations are longer than the limit of %d bytes", limit)
		}
		for i, s := range c.Subagents {
			if err := c.checkFork(s); err != nil {
				return fmt.Errorf("sub-agent %q: %w", s.ID, err)
			}
			if i > 0 && s.Fork < c.Subagents[i-1].Fork {
				return fmt.Errorf("sub-agent %q: it forks after turn %d, before the sub-agent %q in front of it", s.ID, s.Fork, c.Subagents[i-1].ID)
			}
		}
	}
	return nil
}

// checkFork checks where a sub-agent of t begins and ends.
func (t *Trajectory) checkFork(s Subagent) error {
	switch n := len(t.Turns); {
	case s.Fork < -1 || s.Fork >= n:
		return fmt.Errorf("fork is %d: its parent has the turns 0 to %d; -1 is the start", s.Fork, n-1)
	case s.Join <= s.Fork || s.Join > n:
		return fmt.Errorf("join is %d: want a turn after the fork (%d), or %d for none", s.Join, s.Fork, n)
	case s.Delay < 0:
		return fmt.Errorf("its delay is negative: %v", s.Delay)
	}
	return nil
}

// adopt adds sub-agents to t, in the order of their forks. Their origin is that of t.
func (t *Trajectory) adopt(subagents ...Subagent) {
	for _, s := range subagents {
		s.Origin = t.Origin
		t.Subagents = append(t.Subagents, s)
	}
	slices.SortStableFunc(t.Subagents, func(a, b Subagent) int { return a.Fork - b.Fork })
}
