package record

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// stringEnd returns the offset after the JSON string whose opening quote is b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// escapes are the letters that JSON escapes with, and what they mean.
var escapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape decodes the inside of a JSON string. offsets says for each byte of the text, and for its end, where in raw its
// escape or itself begins; nil: nothing is escaped, and text is raw.
func unescape(raw []byte) (text string, offsets []int) {
	i := 0
	for i < len(raw) && raw[i] != '\\' {
		i++
	}
	if i == len(raw) {
		return string(raw), nil
	}
	out := make([]byte, 0, len(raw))
	offsets = make([]int, 0, len(raw)+1)
	for i = 0; i < len(raw); {
		begin := i
		if raw[i] != '\\' {
			out, offsets = append(out, raw[i]), append(offsets, i)
			i++
			continue
		}
		switch c := raw[i+1]; {
		case c == 'u':
			var r rune
			r, i = unescapeRune(raw, i)
			out = utf8.AppendRune(out, r)
		case escapes[c] != 0:
			out = append(out, escapes[c])
			i += 2
		default: // a quote, a slash or a backslash
			out = append(out, c)
			i += 2
		}
		for len(offsets) < len(out) {
			offsets = append(offsets, begin)
		}
	}
	return string(out), append(offsets, len(raw))
}

// unescapeRune decodes \uXXXX at raw[i], or two of them that make up one character, and returns the offset after it.
func unescapeRune(raw []byte, i int) (rune, int) {
	r := hexRune(raw[i+2 : i+6])
	if utf16.IsSurrogate(r) && i+12 <= len(raw) && raw[i+6] == '\\' && raw[i+7] == 'u' {
		if both := utf16.DecodeRune(r, hexRune(raw[i+8:i+12])); both != utf8.RuneError {
			return both, i + 12
		}
	}
	return r, i + 6 // half a pair becomes U+FFFD when it is appended
}

func hexRune(digits []byte) rune {
	n, _ := strconv.ParseUint(string(digits), 16, 32) // JSON is valid: four hexadecimal digits
	return rune(n)
}
