package audit

import (
	"fmt"
	"slices"
	"strings"

	"agentwatt/shared/clock"
)

// Report is what an audit found, and what is shown where it found nothing.
type Report struct {
	Host    string `json:"host"`
	Stream  string `json:"stream"`
	Records int    `json:"records"`
	Bytes   int64  `json:"bytes"` // of the messages
	First   Place  `json:"first"` // message of the chain
	Last    Place  `json:"last"`

	Signers     []Signer   `json:"signers,omitempty"`
	SignedUpTo  Place      `json:"signed_up_to"` // everything of the chain up to here is under a good signature
	Trusted     bool       `json:"trusted"`      // and the key was given, so that it is known whose signature it is
	Checkpoints Witnessed  `json:"checkpoints"`
	Batches     uint64     `json:"batches"`
	Lost        []LostSpan `json:"lost,omitempty"` // what loss records name
	Runs        []Run      `json:"runs,omitempty"`

	Findings  []Finding `json:"findings,omitempty"`
	NotListed uint64    `json:"findings_not_listed,omitempty"`
	Notes     []string  `json:"notes,omitempty"` // what is not amiss, but worth knowing
}

// Signer is a key that messages are signed with.
type Signer struct {
	Key         string `json:"key"`
	Signatures  uint64 `json:"signatures"`
	First, Last Place
}

// Witnessed is what hubs say of the stream.
type Witnessed struct {
	Hub      string      `json:"hub,omitempty"` // key of the hub that signed the last one that fits
	Fit      uint64      `json:"fit"`           // checkpoints that a message of the archive fits
	UpTo     Place       `json:"up_to"`         // a hub held everything of the chain up to here,
	HeldSoon clock.Stamp `json:"held_at_unix_nanos,omitempty"`
}

// LostSpan is batches that are on record as lost.
type LostSpan struct {
	Run     string `json:"run"`
	Source  string `json:"source"`
	First   uint64 `json:"first"`
	Last    uint64 `json:"last,omitempty"` // 0: to an end that is not known
	Reason  string `json:"reason"`
	Batches uint64 `json:"batches,omitempty"` // 0: not known
}

// Run is one run of meterd.
type Run struct {
	ID      string `json:"id"` // of the process
	First   Place  `json:"first"`
	Last    Place  `json:"last"`
	Started bool   `json:"started"` // its beginning is in the archive
	Stopped bool   `json:"stopped"` // so is its orderly end
}

// Intact reports whether nothing was found.
func (r Report) Intact() bool { return len(r.Findings) == 0 && r.NotListed == 0 }

func (r *Report) count(p Place, bytes int) {
	r.Bytes += int64(bytes)
	if r.First.Record == 0 {
		r.First = p
	}
}

const mostNotes = 100

// note adds something worth knowing, once.
func (r *Report) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(r.Notes) < mostNotes && !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// String says where in the archive a place is.
func (p Place) String() string {
	var parts []string
	add := func(format string, v any, known bool) {
		if known {
			parts = append(parts, fmt.Sprintf(format, v))
		}
	}
	add("record %d", p.Record, p.Record != 0)
	add("sequence %d", p.Sequence, p.Sequence != 0)
	add("link %d", p.Link, p.Link != 0)
	add("stored %v", p.Stored, p.Stored != 0)
	if p.Run != "" {
		parts = append(parts, fmt.Sprintf("batch %d of %s, run %s", p.Seq, p.Source, p.Run))
	}
	return strings.Join(parts, ", ")
}
