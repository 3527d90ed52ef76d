package audit

import (
	"fmt"

	"agentwatt/shared/evidence"
)

// chain follows the links. What does not follow the last message is not believed at once: the record after it tells
// whether the chain goes on from the new message or from the one before, so that the odd one out is named.
type chain struct {
	a     *Auditor
	head  *node
	holes uint64 // records since head that have no readable seal

	byLink map[uint64]*node // the last messages, by link
	recent []*node          // the same in the order in which they came
	oldest int              // in recent, which is a ring once it is full

	left  []left  // ends of the chain from which it did not go on, so far
	early []early // messages that stand before their place, perhaps
	gaps  []*gap

	offset   uint64   // stream sequence minus link
	renumber *Finding // of the last message, whose offset is odd
	odd      uint64   // that offset
}

// left is an end of the chain that the record after it did not follow.
type left struct {
	end     *node
	first   *node    // the record that did not
	finding *Finding // what was made of that
	gap     *gap     // where links are missing between the two
}

// early is a piece of the chain that stands before its place, or that does not belong to it.
type early struct {
	first, last *node
	finding     *Finding
}

// gap is a stretch of links that are missing.
type gap struct {
	from, to      uint64
	before, after evidence.Digest // of the message before; what the message after names
	filled        map[uint64]evidence.Digest
	finding       *Finding
	known, named  uint64 // batches that are missing by their numbers, and how many of them loss records name
}

const mostLeft = 8

// place returns that of the last message of the chain.
func (c *chain) place() Place {
	if c.head == nil {
		return Place{}
	}
	return c.head.Place
}

// add puts n behind the chain, or says why it does not belong there.
func (c *chain) add(n *node) {
	h := c.head
	switch {
	case h == nil:
		c.a.report.First = n.Place
		c.accept(n)
		c.offset = n.Sequence - n.Link
	case n.follows(h):
		c.number(n)
		c.settle()
		c.accept(n)
		c.absorb()
	case c.returns(n):
	case n.begins():
		c.restart(n)
	case n.Link > h.Link:
		c.jump(n)
	default:
		c.old(n)
	}
	c.holes = 0
}

// accept makes n the end of the chain.
func (c *chain) accept(n *node) {
	c.remember(n)
	c.head = n
	c.a.report.Last = n.Place
}

// settle takes the end of the chain as belonging to it, now that something follows.
func (c *chain) settle() {
	if h := c.head; h != nil && h.facts != nil {
		c.a.account.take(h.facts)
		c.a.times.take(h.facts)
		h.facts = nil
	}
	if len(c.left) > 0 && c.left[0].end.Record+mostLeft < c.head.Record {
		c.left = c.left[1:] // it is long past
	}
}

func (c *chain) remember(n *node) {
	c.byLink[n.Link] = n
	if len(c.recent) < window {
		c.recent = append(c.recent, n)
		return
	}
	if gone := c.recent[c.oldest]; c.byLink[gone.Link] == gone {
		delete(c.byLink, gone.Link)
	}
	c.recent[c.oldest] = n
	c.oldest = (c.oldest + 1) % window
}

// number compares the stream's sequence with the link. They go up together.
func (c *chain) number(n *node) {
	offset := n.Sequence - n.Link
	switch {
	case offset == c.offset:
		c.renumber = nil
	case c.renumber != nil && offset == c.odd:
		// The stream goes on from there. Higher numbers alone take nothing away: no message is missing.
		if int64(offset-c.offset) > 0 {
			c.renumber.dropped = true
			c.a.report.note("the stream's sequence jumps by %d before link %d, while the chain is whole: no message is missing", offset-c.offset, n.Link-1)
		}
		c.offset, c.renumber = offset, nil
	default:
		c.odd = offset
		c.renumber = c.a.find(Renumbered, n.Place, 1, "its stream sequence is %d, where the chain has it at %d", n.Sequence, n.Link+c.offset)
	}
}

// depart goes on with n, which does not follow the end of the chain, and remembers that end.
func (c *chain) depart(n *node, f *Finding, g *gap) {
	end := c.head
	c.left = append(c.left, left{end, n, f, g})
	if len(c.left) > mostLeft {
		c.left = c.left[1:]
	}
	c.offset, c.renumber = n.Sequence-n.Link, nil
	n.broken = true
	if end.facts != nil { // it may be the odd one, but mostly it is not
		c.a.account.take(end.facts)
		c.a.times.take(end.facts)
		end.facts = nil
	}
	c.accept(n)
	c.a.signed.cut()
}

// returns reports whether n follows an end that was left: what came between does not belong there.
func (c *chain) returns(n *node) bool {
	for i := len(c.left) - 1; i >= 0; i-- {
		l := c.left[i]
		if !n.follows(l.end) {
			continue
		}
		odd := c.head
		c.left = c.left[:i]
		c.drop(l)
		count := uint64(odd.Record - l.first.Record + 1)
		l.finding.Kind, l.finding.Place, l.finding.Count, l.finding.Upto = Inserted, l.first.Place, count, upto(l.first, odd)
		l.finding.Text, l.finding.dropped = "the chain goes on without it"+c.origin(l.first), false
		c.early = append(c.early, early{l.first, odd, l.finding})
		if len(c.early) > mostLeft {
			c.early = c.early[1:]
		}
		c.offset = n.Sequence - n.Link
		c.accept(n)
		c.absorb()
		return true
	}
	return false
}

// drop forgets the gap that a message seemed to make.
func (c *chain) drop(l left) {
	if l.gap != nil {
		for i, g := range c.gaps {
			if g == l.gap {
				c.gaps = append(c.gaps[:i], c.gaps[i+1:]...)
				return
			}
		}
	}
}

// origin says where else a message that does not belong to the chain may come from.
func (c *chain) origin(n *node) string {
	if n.Host != "" && n.Host != c.a.report.Host {
		return fmt.Sprintf(": it is a message of host %q", n.Host)
	}
	return ""
}

// absorb goes on with what stood before its place, if its place is now.
func (c *chain) absorb() {
	for i := 0; i < len(c.early); i++ {
		e := c.early[i]
		if !e.first.follows(c.head) {
			continue
		}
		e.finding.Kind = Reordered
		e.finding.Text = fmt.Sprintf("it belongs behind link %d (record %d)", c.head.Link, c.head.Record)
		c.early = append(c.early[:i], c.early[i+1:]...)
		c.settle()
		c.head = e.last
		c.offset = e.last.Sequence - e.last.Link
		i = -1
	}
}

func upto(first, last *node) *Place {
	if first == last {
		return nil
	}
	return &last.Place
}

func (c *chain) restart(n *node) {
	f := c.a.find(Restart, n.Place, 1,
		"the chain begins again, after link %d: the store was made anew, or was put in place of another; nothing ties what follows to what came before", c.head.Link)
	c.depart(n, f, nil)
}

// jump takes a message with a link behind the end of the chain that it is not tied to.
func (c *chain) jump(n *node) {
	h := c.head
	missing := n.Link - h.Link - 1
	missing -= min(missing, c.holes)
	if missing == 0 {
		c.depart(n, c.mismatch(n), nil)
		return
	}
	p := n.Place
	p.Link, p.Run, p.Source, p.Seq = h.Link+1, "", "", 0
	last := p
	last.Link = n.Link - 1
	f := c.a.find(Removed, p, missing, "%s before link %d", those(missing, "message is missing", "messages are missing"), n.Link)
	if last.Link != p.Link {
		f.Upto = &last
	}
	g := &gap{from: p.Link, to: last.Link, before: h.digest, after: n.prev, finding: f}
	if len(c.gaps) < mostGaps {
		c.gaps = append(c.gaps, g)
	}
	c.depart(n, f, g)
}

// mismatch finds that n has the next link and names another message than the one before it.
func (c *chain) mismatch(n *node) *Finding {
	h := c.head
	if c.holes > 0 || h.flagged {
		return c.a.spare(n) // said already
	}
	if h.vouched {
		n.flagged = true
		return c.a.find(Changed, n.Place, 1, "it does not name the message before it, which is signed and whole")
	}
	if l := len(c.left); h.broken && l > 0 && c.left[l-1].finding.Kind == Changed {
		f := c.left[l-1].finding // two breaks in a row: one message whose bytes and whose prev are others
		if f.Count == 1 && f.Upto == nil && f.Place.Record < h.Record && f.what == "" {
			f.Place, f.what = h.Place, ", or it and the one before it"
			f.Text = "it is not the message that was stored: it names another before it, and the next names another in its place"
		} else {
			f.extend(h.Place)
		}
		return f
	}
	if f := c.a.find(Changed, h.Place, 1, "it is not the message that link %d names as the one before it", n.Link); f != nil {
		return f
	}
	return nil
}

// spare returns a finding that is not listed unless it becomes one of another kind.
func (a *Auditor) spare(n *node) *Finding {
	f := a.find(Changed, n.Place, 1, "")
	f.dropped = true
	return f
}

// old takes a message with a link that the chain has passed.
func (c *chain) old(n *node) {
	same := c.byLink[n.Link]
	g := c.gapOf(n.Link)
	switch before := c.byLink[n.Link-1]; {
	case same != nil && same.digest == n.digest:
		c.a.find(Replayed, n.Place, 1, "it is a copy of record %d", same.Record)
	case g != nil:
		c.late(n, g)
	case same == nil:
		c.a.find(Replayed, n.Place, 1, "link %d comes long after it was passed, or is from before the archive", n.Link)
	case before != nil && n.follows(before):
		f := c.a.find(Fork, n.Place, 1, "two messages follow link %d: records %d and %d", before.Link, same.Record, n.Record)
		c.left = append(c.left, left{n, same, f, nil})
	default:
		f := c.a.find(Inserted, n.Place, 1, "nothing ties it to the chain, in which record %d has its link%s", same.Record, c.origin(n))
		c.left = append(c.left, left{n, same, f, nil})
	}
}

func (c *chain) gapOf(link uint64) *gap {
	for i := len(c.gaps) - 1; i >= 0; i-- {
		if g := c.gaps[i]; g.from <= link && link <= g.to {
			if _, filled := g.filled[link]; !filled {
				return g
			}
		}
	}
	return nil
}

// late takes a message that belongs into a gap.
func (c *chain) late(n *node, g *gap) {
	before, known := g.filled[n.Link-1]
	if n.Link == g.from {
		before, known = g.before, true
	}
	if known && before != n.prev || n.Link == g.to && g.after != n.digest {
		c.a.find(Inserted, n.Place, 1, "nothing ties it to the chain, where link %d is missing%s", n.Link, c.origin(n))
		return
	}
	if g.filled == nil {
		g.filled = map[uint64]evidence.Digest{}
	}
	g.filled[n.Link] = n.digest
	c.remember(n)
	if n.facts != nil {
		c.a.account.take(n.facts)
	}
	g.finding.Count--
	g.finding.dropped = g.finding.Count == 0
	c.a.find(Reordered, n.Place, 1, "it belongs before link %d", g.to+1)
}

// end takes the last message of the archive into account.
func (c *chain) end() {
	if c.head != nil {
		c.settle()
	}
}

// those counts things.
func those(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
