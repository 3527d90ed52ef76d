package endpoint

import (
	"strconv"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a chunk's JSON.
const maxDepth = 500

// cursor reads JSON in place, without building anything: of a chunk we need a few numbers and whether some strings are
// empty. It is strict: what encoding/json refuses, it refuses (bad). It is checked against encoding/json by a fuzz test.
//
//	for open := c.enter('{'); open && c.next('}'); {
//		switch string(c.key()) { case "usage": ... default: c.skip() }
//	}
type cursor struct {
	b     []byte
	i     int
	fresh bool // just behind an opening bracket
	bad   bool
	depth int
}

// peek returns the first byte of the next token, or 0 at the end or after an error.
func (c *cursor) peek() byte {
	for ; c.i < len(c.b) && !c.bad; c.i++ {
		switch c.b[c.i] {
		case ' ', '\t', '\n', '\r':
		default:
			return c.b[c.i]
		}
	}
	return 0
}

// enter steps over the opening bracket of an object or array. A value of another kind is skipped: false.
func (c *cursor) enter(open byte) bool {
	if c.peek() != open {
		c.skip()
		return false
	}
	if c.depth == maxDepth {
		c.bad = true
		return false
	}
	c.i++
	c.depth++
	c.fresh = true
	return true
}

// next moves to the next member or element, and reports false behind the closing bracket or after an error.
func (c *cursor) next(closing byte) bool {
	p, fresh := c.peek(), c.fresh
	c.fresh = false
	switch {
	case p == closing && p != 0:
		c.i++
		c.depth--
		return false
	case fresh && p != 0:
		return true
	case p == ',':
		c.i++
		return true
	}
	c.bad = true
	return false
}

// key reads a member's name and the colon.
func (c *cursor) key() []byte {
	s := c.str()
	if c.peek() != ':' {
		c.bad = true
		return nil
	}
	c.i++
	if s.escaped {
		return []byte(s.decode())
	}
	return s.raw
}

// text is a JSON string in place.
type text struct {
	raw     []byte // between the quotes
	escaped bool
	size    int // bytes of UTF-8 once decoded
}

func (t text) decode() string {
	if !t.escaped {
		return string(t.raw)
	}
	out := make([]byte, 0, len(t.raw))
	for i := 0; i < len(t.raw); {
		if t.raw[i] != '\\' {
			out = append(out, t.raw[i])
			i++
			continue
		}
		r, n, _ := unescape(t.raw[i:])
		out = utf8.AppendRune(out, r)
		i += n
	}
	return string(out)
}

// str reads a string; anything else is an error.
func (c *cursor) str() text {
	if c.peek() != '"' {
		c.bad = true
		return text{}
	}
	c.i++
	var t text
	begin := c.i
	for c.i < len(c.b) {
		switch ch := c.b[c.i]; {
		case ch == '"':
			t.raw = c.b[begin:c.i]
			c.i++
			return t
		case ch == '\\':
			r, n, ok := unescape(c.b[c.i:])
			if !ok {
				c.bad = true
				return text{}
			}
			t.escaped = true
			t.size += utf8.RuneLen(r)
			c.i += n
		case ch < ' ':
			c.bad = true
			return text{}
		default:
			t.size++
			c.i++
		}
	}
	c.bad = true
	return text{}
}

// unescape decodes the escape at the start of b: the rune and how many bytes it takes. A lone surrogate becomes U+FFFD.
func unescape(b []byte) (r rune, n int, ok bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	switch b[1] {
	case '"', '\\', '/':
		return rune(b[1]), 2, true
	case 'b':
		return '\b', 2, true
	case 'f':
		return '\f', 2, true
	case 'n':
		return '\n', 2, true
	case 'r':
		return '\r', 2, true
	case 't':
		return '\t', 2, true
	case 'u':
		return unescapeUnicode(b)
	}
	return 0, 0, false
}

func unescapeUnicode(b []byte) (r rune, n int, ok bool) {
	hi, ok := hex4(b)
	if !ok {
		return 0, 0, false
	}
	if hi < 0xd800 || hi > 0xdfff {
		return hi, 6, true
	}
	if lo, ok := hex4(b[6:]); ok && hi < 0xdc00 && lo >= 0xdc00 && lo <= 0xdfff {
		return (hi-0xd800)<<10 + (lo - 0xdc00) + 0x10000, 12, true
	}
	return utf8.RuneError, 6, true
}

// hex4 reads \uXXXX.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, ch := range b[2:6] {
		d, ok := hexDigit(ch)
		if !ok {
			return 0, false
		}
		r = r<<4 | rune(d)
	}
	return r, true
}

// null steps over a null and reports whether there was one.
func (c *cursor) null() bool {
	if c.peek() != 'n' {
		return false
	}
	c.literal("null")
	return true
}

func (c *cursor) literal(s string) {
	if len(c.b)-c.i < len(s) || string(c.b[c.i:c.i+len(s)]) != s {
		c.bad = true
		return
	}
	c.i += len(s)
}

// count reads a number of tokens. Values that are no number, or a negative one, are skipped: ok is false.
func (c *cursor) count() (n int, ok bool) {
	if p := c.peek(); p < '0' || p > '9' {
		c.skip()
		return 0, false
	}
	f, err := strconv.ParseFloat(string(c.number()), 64)
	if err != nil || f > 1e15 {
		return 0, false
	}
	return int(f), true
}

// number reads a number by the grammar of RFC 8259.
func (c *cursor) number() []byte {
	begin := c.i
	c.accept('-')
	if !c.accept('0') {
		c.digits()
	}
	if c.accept('.') {
		c.digits()
	}
	if c.accept('e') || c.accept('E') {
		if !c.accept('+') {
			c.accept('-')
		}
		c.digits()
	}
	return c.b[begin:c.i]
}

func (c *cursor) accept(ch byte) bool {
	if c.i < len(c.b) && c.b[c.i] == ch {
		c.i++
		return true
	}
	return false
}

func (c *cursor) digits() {
	begin := c.i
	for c.i < len(c.b) && c.b[c.i] >= '0' && c.b[c.i] <= '9' {
		c.i++
	}
	if c.i == begin {
		c.bad = true
	}
}

// skip steps over any value.
func (c *cursor) skip() {
	switch p := c.peek(); {
	case p == '{':
		for open := c.enter('{'); open && c.next('}'); {
			c.key()
			c.skip()
		}
	case p == '[':
		for open := c.enter('['); open && c.next(']'); {
			c.skip()
		}
	case p == '"':
		c.str()
	case p == 't':
		c.literal("true")
	case p == 'f':
		c.literal("false")
	case p == 'n':
		c.literal("null")
	case p == '-' || p >= '0' && p <= '9':
		c.number()
	default:
		c.bad = true
	}
}

// whole reports whether one value was read, without errors, up to the end.
func (c *cursor) whole() bool { return c.peek() == 0 && !c.bad && c.i == len(c.b) && c.depth == 0 }
