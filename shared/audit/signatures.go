package audit

import (
	"maps"
	"slices"
	"strings"
	"time"

	"agentwatt/shared/evidence"
)

// signatures checks who signed, and that nothing stays unsigned for long. A signature is good for its message and, by the
// chain, for all before it.
type signatures struct {
	a       *Auditor
	signers map[string]*Signer
	first   string // the key that signed first, where none is given

	upTo   Place // the last message under a good signature
	since  Place // the last signature, or the first message; no record: none yet
	silent *Finding
}

// unsignedLimit is how long stored messages may go without a signature: meterd signs every 5 s at most, and a message comes
// about once a second; METHOD asks for 10 s.
const unsignedLimit = 10*time.Second + 2*time.Second

// check verifies the signature of a message, if it has one.
func (s *signatures) check(n *node, sealed evidence.Sealed) {
	if sealed.Signature == nil {
		return
	}
	if err := sealed.Check(); err != nil {
		n.flagged = true
		s.a.find(BadSignature, n.Place, 1, "%v", err)
		return
	}
	signer := s.signers[sealed.Signer]
	if signer == nil {
		signer = &Signer{Key: sealed.Signer, First: n.Place}
		s.signers[sealed.Signer] = signer
	}
	signer.Signatures++
	signer.Last = n.Place
	if s.first == "" {
		s.first = sealed.Signer
	}
	if !s.trusts(sealed.Signer) {
		if signer.Signatures == 1 {
			s.a.find(OtherSigner, n.Place, 1, "signed by %s, not by the host's key", sealed.Signer)
		}
		return
	}
	n.vouched = true
	s.upTo = n.Place
}

// trusts reports whether a key is the host's, as far as is known.
func (s *signatures) trusts(key string) bool {
	if len(s.a.options.Keys) > 0 {
		return slices.Contains(s.a.options.Keys, key)
	}
	return key == s.first
}

// age finds a stretch that nothing is signed in. Time without messages does not count.
func (s *signatures) age(n *node, isSigned bool) {
	if isSigned || s.since.Record == 0 {
		s.since, s.silent = n.Place, nil
		return
	}
	if n.Stored.Sub(s.since.Stored) <= unsignedLimit {
		return
	}
	if s.silent == nil {
		s.silent = s.a.find(Unsigned, n.Place, 1, "no signature for more than %v, since record %d", unsignedLimit, s.since.Record)
		return
	}
	s.silent.extend(n.Place)
}

// cut starts the time anew, where the chain does not go on.
func (s *signatures) cut() { s.since, s.silent = Place{}, nil }

func (s *signatures) summarise(r *Report) {
	for _, key := range slices.Sorted(maps.Keys(s.signers)) {
		r.Signers = append(r.Signers, *s.signers[key])
	}
	slices.SortStableFunc(r.Signers, func(a, b Signer) int { return a.First.Record - b.First.Record })
	r.SignedUpTo, r.Trusted = s.upTo, len(s.a.options.Keys) > 0
	switch {
	case r.Records == 0:
	case len(s.signers) == 0:
		r.note("nothing is signed: whoever can write the archive could have made it")
	case !r.Trusted:
		r.note("no key of the host was given: it is shown that one key signed everything (%s), not whose it is", strings.Join(keysOf(r.Signers), ", "))
	}
	if behind := r.Last.Link - min(s.upTo.Link, r.Last.Link); len(s.signers) > 0 && behind > 0 {
		r.note("the last %d messages, from link %d, are behind the last signature: they could be cut off or replaced unseen", behind, s.upTo.Link+1)
	}
}

func keysOf(list []Signer) (out []string) {
	for _, s := range list {
		out = append(out, s.Key)
	}
	return out
}
