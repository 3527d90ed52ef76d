package trajectory

import (
	_ "embed"
	"hash/fnv"
	"strings"
)

// Formats that record token counts and block hashes instead of text get filler text: lower-case English words, each of which
// is one token with and without the space before it in the vocabularies of today's models. So n words are n tokens wherever a
// message begins, and the text of a block is known by its id alone.

//go:embed fill_words.txt
var fillList string

// fillWords has 1<<fillBits words (docs/formats-trajectory.md says in which vocabularies each is one token).
var fillWords = strings.Fields(fillList)

const (
	fillBits   = 11
	fillDigits = (64 + fillBits - 1) / fillBits // words that spell an id
)

// fillID names a text without end. The first word tells apart ids that differ by less than the number of words, the first
// fillDigits words tell apart all.
type fillID uint64

// fillOf returns the text of an id in its scope; the empty scope is that of ids that mean the same everywhere.
func fillOf(scope string, id uint64) fillID {
	if scope == "" {
		return fillID(id)
	}
	h := fnv.New64a()
	h.Write([]byte(scope))
	return fillID(id + mix(h.Sum64()))
}

// word returns word i of the text.
func (f fillID) word(i int) string {
	if i < fillDigits {
		digit := uint64(f) >> (i * fillBits)
		return fillWords[(digit^mix(uint64(i)))&(1<<fillBits-1)] // without the mix, small ids would begin alike
	}
	return fillWords[mix(uint64(f)+uint64(i)*0x9e3779b97f4a7c15)&(1<<fillBits-1)]
}

// mix spreads the bits of x: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// fill is a part of a prompt: the first n words of a text.
type fill struct {
	id fillID
	n  int
}

// fills is a prompt.
type fills []fill

// tokens returns the length of the prompt.
func (s fills) tokens() (n int) {
	for _, f := range s {
		n += f.n
	}
	return n
}

// appendWords appends tokens from to to of the prompt: words with spaces between them.
func (s fills) appendWords(dst []byte, from, to int) []byte {
	at, first := 0, true
	for _, f := range s {
		for i := max(from-at, 0); i < min(f.n, to-at); i++ {
			if !first {
				dst = append(dst, ' ')
			}
			dst, first = append(dst, f.id.word(i)...), false
		}
		if at += f.n; at >= to {
			break
		}
	}
	return dst
}

// begins reports whether the prompt begins with all of another and goes on after it.
func (s fills) begins(with fills) bool {
	last := len(with) - 1
	for i, f := range with {
		if i >= len(s) || s[i].id != f.id || s[i].n < f.n || i < last && s[i].n != f.n {
			return false
		}
	}
	return s.tokens() > with.tokens()
}

// upTo returns the first n tokens of the prompt.
func (s fills) upTo(n int) (part fills) {
	for _, f := range s {
		if n <= 0 {
			break
		}
		part = append(part, fill{f.id, min(f.n, n)})
		n -= f.n
	}
	return part
}
