package audit

import (
	"slices"
	"time"

	"agentwatt/shared/evidence"
)

// witness holds the archive against checkpoints: what hubs have said that they held.
type witness struct {
	a     *Auditor
	marks map[uint64][]*mark // by link
	count int
	first string // the key that signed first, where none is given
	out   Witnessed

	rewritten *Finding // of the last checkpoint, where it did not fit
}

// mark is a checkpoint.
type mark struct {
	evidence.Checkpoint
	seen bool
}

// hubSlack is how much later than a hub held it a message may have been stored, by two clocks.
const hubSlack = 10 * time.Second

// add takes the nth checkpoint of an archive.
func (w *witness) add(nth int, record []byte) {
	c, err := evidence.OpenCheckpoint(record)
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		w.a.find(BadCheckpoint, Place{}, 1, "checkpoint %d: %v", nth, err)
		return
	}
	if c.Stream != w.a.options.Stream {
		return
	}
	if w.first == "" {
		w.first = c.Signer
	}
	if keys := w.a.options.HubKeys; len(keys) > 0 && !slices.Contains(keys, c.Signer) || len(keys) == 0 && c.Signer != w.first {
		w.a.find(BadCheckpoint, Place{}, 1, "checkpoint %d is signed by %s, not by the hub's key", nth, c.Signer)
		return
	}
	if w.count < mostMarks {
		w.count++
		w.marks[c.Link] = append(w.marks[c.Link], &mark{Checkpoint: c})
	}
}

// see holds a message of the archive against what was said of its link.
func (w *witness) see(n *node) {
	for _, m := range w.marks[n.Link] {
		if m.Host != n.Host && n.Host != "" || m.Contradiction != "" {
			continue
		}
		m.seen = true
		switch {
		case m.Digest != n.digest:
			w.differs(n, m)
		case n.Stored > m.Time.Add(hubSlack):
			w.a.find(StoredTime, n.Place, 1, "stored %v after the hub held it, by the hub's clock", n.Stored.Sub(m.Time))
		default:
			w.rewritten = nil
			w.out.Fit++
			if n.Link >= w.out.UpTo.Link {
				w.out.UpTo, w.out.HeldSoon, w.out.Hub = n.Place, m.Time, m.Signer
			}
		}
	}
}

// differs says that a message is not the one that the hub held. Where it is so from one checkpoint to the next that is one finding.
func (w *witness) differs(n *node, m *mark) {
	n.flagged = true
	if w.rewritten != nil {
		w.rewritten.extend(n.Place)
		return
	}
	w.rewritten = w.a.find(Rewritten, n.Place, 1, "at %v the hub held another message with link %d", m.Time, n.Link)
}

// end finds what a hub held and the archive has not, and what a hub did not like.
func (w *witness) end() {
	host, last := w.a.report.Host, w.a.report.Last
	var beyond *mark
	for _, list := range w.marks {
		for _, m := range list {
			switch {
			case host != "" && m.Host != host:
			case m.Contradiction != "":
				w.a.find(Contradiction, Place{Sequence: m.Sequence, Link: m.Link, Host: m.Host}, 1, "the hub said at %v: %s", m.Time, m.Contradiction)
			case !m.seen && m.Link > last.Link && (beyond == nil || m.Link > beyond.Link):
				beyond = m
			}
		}
	}
	if beyond == nil || host == "" {
		return
	}
	if until := w.a.options.Until; until != 0 && beyond.Time > until {
		return // it should not reach that far
	}
	p := Place{Record: w.a.records + 1, Sequence: last.Sequence + 1, Link: last.Link + 1}
	w.a.find(Removed, p, beyond.Link-last.Link, "the end is missing: at %v the hub held link %d", beyond.Time, beyond.Link)
}

func (w *witness) summarise(r *Report) {
	r.Checkpoints = w.out
	if w.count == 0 {
		r.note("no checkpoints of a hub were given: that the end was cut off, or that all was made anew with the host's key, would not be seen")
	}
}
