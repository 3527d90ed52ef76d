package record

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Redactor replaces secrets in JSON. Equal secrets get equal placeholders, so what two requests have in common they still have
// in common afterwards; a placeholder says nothing else about its secret, since the key that it is made with is random and is
// forgotten. It is not safe for concurrent use.
type Redactor struct {
	rules  []compiled
	hidden []string // credentials, to be found wherever they are
	key    [32]byte
	clean  map[[sha256.Size]byte]bool // strings in which nothing was found: most of a request was in the one before
}

// NewRedactor returns a redactor with these rules.
func NewRedactor(rules Rules) (*Redactor, error) {
	all, err := rules.compile()
	if err != nil {
		return nil, err
	}
	r := &Redactor{rules: all, clean: map[[sha256.Size]byte]bool{}}
	rand.Read(r.key[:]) // never fails
	return r, nil
}

// leastCredential is the shortest credential that is looked for, in bytes: shorter ones are words like "EMPTY", for servers that want none.
const leastCredential = 12

// Hide makes the redactor look for a credential.
func (r *Redactor) Hide(secret string) {
	if len(secret) < leastCredential || slices.Contains(r.hidden, secret) {
		return
	}
	r.hidden = append(r.hidden, secret)
	clear(r.clean)
}

// placeholder is what stands for a secret.
var placeholder = regexp.MustCompile(`\[redacted:([a-z0-9-]+):[0-9a-f]{8}\]`)

// placeholder makes that of a secret.
func (r *Redactor) placeholder(rule, secret string) string {
	h := hmac.New(sha256.New, r.key[:])
	h.Write([]byte(secret))
	return fmt.Sprintf("[redacted:%s:%x]", rule, h.Sum(nil)[:4])
}

// span is a secret in a text.
type span struct {
	begin, end int
	rule       string
}

// find returns the secrets in a text, in their order. Placeholders in it are left alone.
func (r *Redactor) find(text string) (spans []span) {
	from := 0
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		spans = r.search(text[from:at[0]], from, spans)
		from = at[1]
	}
	return r.search(text[from:], from, spans)
}

// search appends the secrets in a piece of text that begins at base. What is left beside a secret is searched again with all
// rules, so that in the end none matches: what was redacted once does not change when it is redacted again.
func (r *Redactor) search(piece string, base int, spans []span) []span {
	found := r.first(piece)
	if len(found) == 0 {
		return spans
	}
	from := 0
	for _, s := range found {
		spans = r.search(piece[from:s.begin], base+from, spans)
		spans = append(spans, span{base + s.begin, base + s.end, s.rule})
		from = s.end
	}
	return r.search(piece[from:], base+from, spans)
}

// first returns all secrets of the first rule that finds any.
func (r *Redactor) first(piece string) (found []span) {
	for _, secret := range r.hidden {
		if i := strings.Index(piece, secret); i >= 0 {
			return []span{{i, i + len(secret), credential}}
		}
	}
	lower := strings.ToLower(piece)
	for _, c := range r.rules {
		if c.pattern == nil || len(c.hints) > 0 && !slices.ContainsFunc(c.hints, func(hint string) bool { return strings.Contains(lower, hint) }) {
			continue
		}
		for _, m := range c.pattern.FindAllStringSubmatchIndex(piece, -1) {
			if len(m) > 2 && m[2] >= 0 {
				m = m[2:]
			}
			if m[0] < m[1] && !(c.name == assignment && slices.Contains(plainWords, piece[m[0]:m[1]])) {
				found = append(found, span{m[0], m[1], c.name})
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// plainWords are what programs put after the name of a secret where they declare it.
var plainWords = []string{"string", "String", "boolean", "number", "undefined", "Optional", "SecretStr"}

var (
	secretKey  = regexp.MustCompile(`(?i)` + secretWord + `$|^(?:proxy-)?authorization$|^(?:set-)?cookie$`)
	accountKey = regexp.MustCompile(`^(?:user_id|safety_identifier|account_uuid|account_id|device_id|organization_uuid)$`)
)

// keyRule returns the rule for the value of a key, if all of the value is secret.
func (r *Redactor) keyRule(key string) string {
	rule := ""
	switch {
	case accountKey.MatchString(key):
		rule = account
	case secretKey.MatchString(key):
		rule = assignment
	}
	if slices.ContainsFunc(r.rules, func(c compiled) bool { return c.name == rule }) {
		return rule
	}
	return ""
}

// errNotJSON says that nothing may be written.
var errNotJSON = errors.New("not JSON")

// JSON returns a JSON value in which the secrets in texts and keys are replaced. Everything else keeps its bytes.
func (r *Redactor) JSON(value []byte) ([]byte, error) {
	if !json.Valid(value) {
		return nil, errNotJSON
	}
	var out []byte // nil: nothing replaced so far
	from := 0      // value[:from] is in out
	key := ""      // of the value that comes next; empty: it has none
	for i := 0; i < len(value); {
		if value[i] != '"' {
			if value[i] == '{' || value[i] == '[' || value[i] == ',' {
				key = ""
			}
			i++
			continue
		}
		end := stringEnd(value, i)
		rest := bytes.TrimLeft(value[end:], " \t\r\n")
		isKey := len(rest) > 0 && rest[0] == ':'
		if isKey {
			key = ""
		}
		out, from = r.replace(out, value, from, i+1, end-1, key)
		if isKey {
			key = string(value[i+1 : end-1])
		}
		i = end
	}
	if out == nil {
		return value, nil
	}
	return append(out, value[from:]...), nil
}

// replace appends to out what is before the secrets of the string whose inside is value[begin:end], and their placeholders.
func (r *Redactor) replace(out, value []byte, from, begin, end int, key string) ([]byte, int) {
	raw := value[begin:end]
	rule := ""
	if key != "" && len(raw) > 0 {
		rule = r.keyRule(key)
	}
	digest := sha256.Sum256(raw)
	if rule == "" && r.clean[digest] {
		return out, from
	}
	text, offsets := unescape(raw)
	spans := r.find(text)
	if rule != "" && !covered(text, spans) {
		spans = []span{{0, len(text), rule}}
	}
	if len(spans) == 0 {
		r.remember(digest)
		return out, from
	}
	for _, s := range spans {
		a, b := s.begin, s.end
		if offsets != nil {
			a, b = offsets[a], offsets[b]
		}
		out = append(out, value[from:begin+a]...)
		out = append(out, r.placeholder(s.rule, text[s.begin:s.end])...)
		from = begin + b
	}
	return out, from
}

// mostClean bounds the memory of clean strings: 32 bytes each, and more than the longest session has.
const mostClean = 1 << 18

func (r *Redactor) remember(digest [sha256.Size]byte) {
	if len(r.clean) >= mostClean {
		clear(r.clean)
	}
	r.clean[digest] = true
}

// covered reports whether all of a text is secrets and placeholders.
func covered(text string, spans []span) bool {
	for _, at := range placeholder.FindAllStringIndex(text, -1) {
		spans = append(spans, span{begin: at[0], end: at[1]})
	}
	n := 0
	for _, s := range spans {
		n += s.end - s.begin
	}
	return n == len(text)
}
