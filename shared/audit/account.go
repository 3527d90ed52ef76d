package audit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// account reckons up the batches of every source of every run: each is there once, or a loss record names it.
type account struct {
	a         *Auditor
	sources   map[key]*source
	losses    map[key][]span
	processes map[string]*process
	order     []string // processes, as they came
	holes     []hole
	lost      []LostSpan
	batches   uint64

	discarded bool // a loss record says that a limit of the store took batches away
}

type key struct{ run, source string }

// source is one source of one run.
type source struct {
	last   uint64 // Seq
	record int    // of that batch
}

// span is batches from first to last.
type span struct{ first, last uint64 }

// hole is batches that are not there. early: the archive may begin after them.
type hole struct {
	key
	span
	place Place
	after int // record of the batch before it; 0: none
	early bool
}

// process is one run of meterd, with all its segments.
type process struct {
	Run
	ended   bool // by loss records of a later run
	stopped Place
}

// take takes a batch of the chain, in its order.
func (c *account) take(f *facts) {
	c.batches++
	p := c.process(f)
	c.lose(f)
	k := key{f.run, f.source}
	s := c.sources[k]
	if s == nil {
		if len(c.sources) >= mostRuns {
			return
		}
		s = &source{}
		c.sources[k] = s
		if f.seq > 1 {
			c.hole(hole{key: k, span: span{1, f.seq - 1}, place: f.place, early: !p.Started && c.a.report.First.Link != 1})
		}
	} else if f.seq > s.last+1 {
		c.hole(hole{key: k, span: span{s.last + 1, f.seq - 1}, place: f.place, after: s.record})
	} else if f.seq <= s.last {
		c.again(f, k)
		return
	}
	s.last, s.record = f.seq, f.place.Record
}

// again takes a batch whose number was passed. It may come late, where records were put in another order.
func (c *account) again(f *facts, k key) {
	for i, h := range c.holes {
		if h.key == k && h.first <= f.seq && f.seq <= h.last {
			c.holes = slices.Delete(c.holes, i, i+1)
			for _, rest := range []span{{h.first, f.seq - 1}, {f.seq + 1, h.last}} {
				if rest.first <= rest.last {
					h.span = rest
					c.hole(h)
				}
			}
			return
		}
	}
	c.a.find(Twice, f.place, 1, "batch %d of %s, run %s, is there already", f.seq, f.source, f.run)
}

func (c *account) hole(h hole) {
	if len(c.holes) < mostGaps {
		c.holes = append(c.holes, h)
	}
}

// process takes note of the run that a batch is of.
func (c *account) process(f *facts) *process {
	id := clock.Process(f.run)
	p := c.processes[id]
	if p == nil {
		p = &process{Run: Run{ID: id, First: f.place}}
		if len(c.processes) < mostRuns {
			c.processes[id] = p
			c.order = append(c.order, id)
		}
	}
	if p.Stopped {
		c.a.find(AfterStop, f.place, 1, "run %s had its end in record %d", id, p.stopped.Record)
	}
	p.Last = f.place
	if f.start {
		p.Started = true
	}
	if f.stop {
		p.Stopped, p.stopped = true, f.place
	}
	return p
}

// lose takes the losses that a batch names.
func (c *account) lose(f *facts) {
	for _, l := range f.losses {
		if l.First == 0 || l.Last != 0 && l.Last < l.First || l.Run == "" || l.Source == "" {
			c.a.find(BadLoss, f.place, 1, "a loss of batches %d to %d of %q, run %q", l.First, l.Last, l.Source, l.Run)
			continue
		}
		s, out := span{l.First, l.Last}, LostSpan{Run: l.Run, Source: l.Source, First: l.First, Last: l.Last, Reason: l.Reason}
		if l.Last == 0 {
			s.last = math.MaxUint64
		} else {
			out.Batches = l.Last - l.First + 1
		}
		k := key{l.Run, l.Source}
		c.losses[k] = append(c.losses[k], s)
		if len(c.lost) < mostGaps && !slices.Contains(c.lost, out) {
			c.lost = append(c.lost, out)
		}
		c.discarded = c.discarded || discarded(l.Reason)
		if p := c.processes[clock.Process(l.Run)]; p != nil && l.Reason == power.LostStop && clock.Process(l.Run) != clock.Process(f.run) {
			p.ended = true
		}
	}
}

// end finds what is missing and on no record.
func (c *account) end() {
	for _, h := range c.holes {
		g := c.gapOf(h)
		if g != nil {
			g.known += h.last - h.first + 1
			g.named += h.last - h.first + 1
		}
		for _, rest := range unnamed(h.span, c.losses[h.key]) {
			c.miss(h, rest, g)
		}
	}
	for _, g := range c.a.chain.gaps {
		if g.known > 0 && g.known == g.named && g.known == g.finding.Count && !g.finding.dropped {
			g.finding.dropped = true
			c.a.report.note("links %d to %d are not there: the host's store had discarded them, and loss records name every one of their %d batches", g.from, g.to, g.known)
		}
	}
	for i, id := range c.order {
		switch p := c.processes[id]; {
		case p.Stopped:
		case p.ended:
			c.a.report.note("run %s was killed, or its host lost power: loss records of the next run say so", id)
		case i == len(c.order)-1:
			c.a.report.note("the archive ends while run %s goes on", id)
		case c.journalled():
			c.a.find(NotStopped, p.Last, 0, "run %s has no end, and no later run says that it was cut off", id)
		}
	}
}

// journalled reports whether any run of the archive says when it begins or ends.
func (c *account) journalled() bool {
	for _, p := range c.processes {
		if p.Started || p.Stopped {
			return true
		}
	}
	return false
}

// gapOf returns the gap in the chain that a hole is part of; nil: there is none.
func (c *account) gapOf(h hole) *gap {
	for _, g := range c.a.chain.gaps {
		if at := g.finding.Place.Record; at > h.after && at <= h.place.Record && !g.finding.dropped {
			return g
		}
	}
	return nil
}

// miss says that batches are missing, as part of a gap in the chain where there is one.
func (c *account) miss(h hole, s span, g *gap) {
	count := s.last - s.first + 1
	name := fmt.Sprintf("batch %d of %s", s.first, h.source)
	if count > 1 {
		name = fmt.Sprintf("batches %d to %d of %s", s.first, s.last, h.source)
	}
	switch {
	case g != nil:
		g.named -= count
		if len(g.finding.what) < 500 {
			g.finding.what += "; missing is " + name
		}
	case h.early: // the archive begins later than that
	default:
		c.a.find(Missing, h.place, count, "%s, run %s, is not there, and no loss record names it", name, h.run)
	}
}

// unnamed returns what of a span no loss covers.
func unnamed(s span, losses []span) (out []span) {
	sorted := slices.Clone(losses)
	slices.SortFunc(sorted, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for _, l := range sorted {
		if l.last < s.first || l.first > s.last {
			continue
		}
		if l.first > s.first {
			out = append(out, span{s.first, l.first - 1})
		}
		if l.last >= s.last {
			return out
		}
		s.first = l.last + 1
	}
	return append(out, s)
}

// ending says how the last run of the archive ends.
func (c *account) ending() string {
	if len(c.order) == 0 {
		return "without a word"
	}
	if p := c.processes[c.order[len(c.order)-1]]; p.Stopped {
		return "with the end of run " + p.ID
	}
	return "in the middle of run " + c.order[len(c.order)-1]
}

func (c *account) summarise(r *Report) {
	r.Batches, r.Lost = c.batches, c.lost
	for _, id := range c.order {
		r.Runs = append(r.Runs, c.processes[id].Run)
	}
}
