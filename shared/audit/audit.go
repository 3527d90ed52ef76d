// Package audit finds what was done to an archive of one host's stream, and says where.
//
// An Auditor is handed the records in the order of the archive and what hubs have said of them (checkpoints), and returns a
// Report: a pure function of both. It keeps a bounded amount of memory, whatever the archive holds. docs/integrity.md says
// what each finding means, and what is proven where there is none.
package audit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"agentwatt/shared/archive"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/power"
)

// Kind is what was found.
type Kind string

// The kinds of finding.
const (
	Removed       Kind = "removed"        // messages of the chain are not there
	Inserted      Kind = "inserted"       // a message is there that the chain goes on without
	Replayed      Kind = "replayed"       // a message of the chain is there again
	Reordered     Kind = "reordered"      // a message of the chain is not in its place
	Changed       Kind = "changed"        // a message is not the one that was stored
	Fork          Kind = "fork"           // two messages follow the same one
	Restart       Kind = "restart"        // the chain begins again
	BadSignature  Kind = "bad-signature"  // a signature does not fit
	OtherSigner   Kind = "other-signer"   // signed by another key
	Unsigned      Kind = "unsigned"       // nothing is signed for longer than meterd leaves anything unsigned
	Unsealed      Kind = "unsealed"       // a message without a seal
	Malformed     Kind = "malformed"      // a message whose seal cannot be read
	Renumbered    Kind = "renumbered"     // a stream sequence that does not go with the chain
	StoredTime    Kind = "stored-time"    // a stored time that does not go with the samples, or with those around it
	Clock         Kind = "clock"          // samples of one run go back in time
	Missing       Kind = "missing"        // batches that were never stored, and that no loss record names
	Twice         Kind = "twice"          // a batch is stored twice
	BadLoss       Kind = "bad-loss"       // a loss record that makes no sense
	AfterStop     Kind = "after-stop"     // something of a run after its end
	NotStopped    Kind = "not-stopped"    // a run that has no end
	OtherHost     Kind = "other-host"     // a message of another host
	Truncated     Kind = "truncated"      // the file ends in the middle of a record
	BadCheckpoint Kind = "bad-checkpoint" // a checkpoint that is none
	Rewritten     Kind = "rewritten"      // a hub had another message with this link
	Contradiction Kind = "contradiction"  // a hub says that what it got did not fit
	Incomplete    Kind = "incomplete"     // the archive does not cover the time that it should
)

// Place is where something is. What is not known is zero.
type Place struct {
	Record   int         `json:"record,omitempty"`   // in the archive, from 1
	Sequence uint64      `json:"sequence,omitempty"` // in the host's stream
	Link     uint64      `json:"link,omitempty"`     // in the chain
	Stored   clock.Stamp `json:"stored_unix_nanos,omitempty"`
	Host     string      `json:"host,omitempty"`
	Run      string      `json:"run,omitempty"`
	Source   string      `json:"source,omitempty"`
	Seq      uint64      `json:"seq,omitempty"` // of the batch
}

// Finding is one thing that does not hold.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Place Place  `json:"place"`
	Upto  *Place `json:"upto,omitempty"` // where it goes on beyond Place, the last one
	Count uint64 `json:"count"`          // messages, batches or checkpoints that it is about
	Text  string `json:"text"`

	dropped bool   // turned out to be nothing, or part of another
	what    string // goes into the text at the end
}

// Options say what the archive is held against.
type Options struct {
	Stream  string      // "POWER" or a stream of roll-ups; empty: POWER
	Keys    []string    // public keys that the host may sign with; empty: whatever it signs with first
	HubKeys []string    // public keys that a hub may sign checkpoints with; empty: whatever they are signed with first
	From    clock.Stamp // the archive should begin here; zero: it may begin anywhere
	Until   clock.Stamp // and end here; zero: it may end anywhere
}

// Limits on what an Auditor remembers.
const (
	window       = 1 << 16 // messages by which copies and forks are recognised
	mostFindings = 10_000  // beyond them they are counted only
	mostGaps     = 10_000  // in the chain, and in the sequences of batches
	mostRuns     = 10_000  // sources of runs
	mostMarks    = 1 << 20 // checkpoints
)

// Auditor checks the archive of one host's stream. It is not safe for concurrent use.
type Auditor struct {
	options Options
	records int
	found   []*Finding
	over    uint64 // findings that are counted only

	chain   chain
	signed  signatures
	account account
	times   times
	witness witness
	facts   func(message []byte) (facts, error)
	report  Report
}

// New returns an Auditor that has seen nothing.
func New(o Options) *Auditor {
	a := &Auditor{options: o}
	if a.options.Stream == "" {
		a.options.Stream = "POWER"
	}
	a.facts = opaque
	if a.options.Stream == "POWER" {
		a.facts = batchFacts()
	}
	a.chain = chain{a: a, byLink: map[uint64]*node{}}
	a.signed = signatures{a: a, signers: map[string]*Signer{}}
	a.account = account{a: a, sources: map[key]*source{}, losses: map[key][]span{}, processes: map[string]*process{}}
	a.times = times{a: a}
	a.witness = witness{a: a, marks: map[uint64][]*mark{}}
	return a
}

// node is a message of the archive.
type node struct {
	Place
	prev, digest evidence.Digest
	vouched      bool   // signed by the host's key
	flagged      bool   // a finding says already that it is not what was stored
	broken       bool   // its prev is not the digest of the message before it
	facts        *facts // nil: not a batch, or done with
}

// follows reports whether n is tied to m.
func (n *node) follows(m *node) bool { return n.Link == m.Link+1 && n.prev == m.digest }

// begins reports whether n is the first message of a chain.
func (n *node) begins() bool { return n.Link == 1 && n.prev == evidence.Digest{} }

// Add takes the next record of the archive.
func (a *Auditor) Add(r archive.Record) {
	a.records++
	n := &node{Place: Place{Record: a.records, Sequence: r.Sequence, Stored: r.Stored}}
	a.report.count(n.Place, len(r.Payload))
	f, factsErr := a.facts(r.Payload)
	if factsErr == nil {
		n.facts = f.at(&n.Place)
	}
	sealed, err := evidence.Open(r.Payload)
	if err != nil {
		a.unreadable(n.Place, err)
		return
	}
	n.Link, n.prev, n.digest = sealed.Link, sealed.Prev, evidence.DigestOf(r.Payload)
	if (n.Link == 1) != (n.prev == evidence.Digest{}) {
		a.unreadable(n.Place, errors.New("link 1 that names a message before it, or another that names none"))
		return
	}
	if n.facts != nil {
		a.sameHost(n)
	}
	a.signed.check(n, sealed)
	a.witness.see(n)
	a.chain.add(n)
	a.signed.age(n, sealed.Signature != nil)
	if factsErr != nil && !n.flagged {
		a.report.note("link %d (record %d) is sealed, and is not a batch that can be read here: %v", n.Link, n.Record, factsErr)
	}
}

// unreadable takes a record without a readable seal. It may have been any message: it stands for one of the chain.
func (a *Auditor) unreadable(p Place, err error) {
	a.chain.holes++
	kind, what := Malformed, fmt.Sprintf("the seal cannot be read: %v", err)
	if errors.Is(err, evidence.ErrUnsealed) {
		kind, what = Unsealed, "no seal: it cannot be told whether it is what was stored"
	}
	if last := a.last(); last != nil && last.Kind == kind && endOf(last).Record == p.Record-1 {
		last.extend(p)
		return
	}
	a.find(kind, p, 1, "%s", what)
}

// sameHost finds a message of another host.
func (a *Auditor) sameHost(n *node) {
	if a.report.Host == "" {
		a.report.Host = n.Host
	}
	if n.Host != a.report.Host {
		a.find(OtherHost, n.Place, 1, "it is of host %q, the archive of %q", n.Host, a.report.Host)
		n.flagged, n.facts = true, nil
	}
}

// Checkpoint takes an encoded checkpoint, the nth of its archive. Those of other hosts and streams are not looked at.
// Checkpoints come before the records.
func (a *Auditor) Checkpoint(nth int, record []byte) { a.witness.add(nth, record) }

// Torn says that no further record could be read.
func (a *Auditor) Torn(err error) {
	p := a.chain.place()
	a.find(Truncated, Place{Record: a.records + 1, Link: p.Link, Sequence: p.Sequence, Stored: p.Stored}, 0,
		"the file %v; what is behind is not known", errors.Unwrap(err))
}

// find adds a finding.
func (a *Auditor) find(kind Kind, p Place, count uint64, format string, args ...any) *Finding {
	f := &Finding{Kind: kind, Place: p, Count: count, Text: fmt.Sprintf(format, args...)}
	if len(a.found) >= mostFindings {
		a.over++
		return f
	}
	a.found = append(a.found, f)
	return f
}

// last returns the finding that was added last, if there is one.
func (a *Auditor) last() *Finding {
	if len(a.found) == 0 {
		return nil
	}
	return a.found[len(a.found)-1]
}

// extend makes a finding reach up to a place, one message more.
func (f *Finding) extend(p Place) {
	f.Upto = &p
	f.Count++
}

// endOf returns the last place of a finding.
func endOf(f *Finding) Place {
	if f.Upto != nil {
		return *f.Upto
	}
	return f.Place
}

// Report closes the audit. The Auditor is not used afterwards.
func (a *Auditor) Report() Report {
	a.chain.end()
	a.account.end()
	a.witness.end()
	a.covers()
	r := a.report
	r.Stream, r.Records = a.options.Stream, a.records
	for _, f := range a.found {
		if f.dropped {
			continue
		}
		if f.what != "" {
			f.Text += f.what
		}
		r.Findings = append(r.Findings, *f)
	}
	slices.SortStableFunc(r.Findings, func(x, y Finding) int { return x.Place.Record - y.Place.Record })
	r.NotListed = a.over
	a.signed.summarise(&r)
	a.account.summarise(&r)
	a.witness.summarise(&r)
	return r
}

// slack is how far the first and last message may be from where an archive should begin and end: a source publishes about once
// a second, and is signed for every 5 s.
const slack = 10 * time.Second

// covers compares the archive with the time that it should cover.
func (a *Auditor) covers() {
	from, until := a.options.From, a.options.Until
	if a.records == 0 {
		if from != 0 || until != 0 {
			a.find(Incomplete, Place{}, 0, "there is nothing in it")
		}
		return
	}
	first, last := a.report.First, a.report.Last
	if from != 0 && first.Stored > from.Add(slack) && first.Link != 1 && !a.account.discarded {
		a.find(Incomplete, first, 0, "it begins %v after the time that it should, with link %d: what came before is not there, and no loss record says that it was discarded",
			first.Stored.Sub(from).Round(time.Second), first.Link)
	}
	if until != 0 && last.Stored < until.Add(-slack) {
		a.find(Incomplete, last, 0, "it ends %v before the time that it should, %s", until.Sub(last.Stored).Round(time.Second), a.account.ending())
	}
}

// discarded reports whether a loss record says that a limit of the store took a batch away.
func discarded(reason string) bool { return reason == power.LostSize || reason == power.LostAge }
