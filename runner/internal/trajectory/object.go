package trajectory

import (
	"encoding/json"
	"fmt"
)

// The functions in this file walk JSON that is valid and compact (json.Compact made it), without decoding it: what they
// return aliases the input, so that messages keep their bytes. encoding/json would match keys without regard to case,
// keep the last of two equal keys, and lose the order; all three would change what goes over the wire.

// member is one key and value of a JSON object.
type member struct {
	key   string // decoded
	value []byte // aliases the object
	at    int    // offset of value in the object
}

// members splits a compact JSON object. Two equal keys are an error: which of them counts would be a guess.
func members(object []byte) ([]member, error) {
	if len(object) == 0 || object[0] != '{' {
		return nil, fmt.Errorf("is %s, not an object", kind(object))
	}
	var ms []member
	for i := 1; object[i] != '}'; {
		end := stringEnd(object, i)
		key, err := text(object[i:end])
		if err != nil {
			return nil, err
		}
		for _, m := range ms {
			if m.key == key {
				return nil, fmt.Errorf("has the key %q twice", key)
			}
		}
		at := end + 1 // past the colon
		end = valueEnd(object, at)
		ms = append(ms, member{key, object[at:end], at})
		if i = end; object[i] == ',' {
			i++
		}
	}
	return ms, nil
}

// elements splits a compact JSON array.
func elements(array []byte) ([][]byte, error) {
	if len(array) == 0 || array[0] != '[' {
		return nil, fmt.Errorf("is %s, not an array", kind(array))
	}
	return list(array[1 : len(array)-1]), nil
}

// list splits compact JSON values that are joined by commas.
func list(values []byte) [][]byte {
	var parts [][]byte
	for i := 0; i < len(values); {
		end := valueEnd(values, i)
		parts = append(parts, values[i:end])
		i = end + 1
	}
	return parts
}

// valueEnd returns the offset after the value that begins at b[i].
func valueEnd(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = stringEnd(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // end of the object or array around a number, true, false or null
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

// stringEnd returns the offset after the string whose opening quote is b[i].
func stringEnd(b []byte, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// text decodes a JSON string.
func text(value []byte) (string, error) {
	if len(value) == 0 || value[0] != '"' {
		return "", fmt.Errorf("is %s, not a string", kind(value))
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err
}

// kind names the type of a JSON value for a message.
func kind(value []byte) string {
	if len(value) == 0 {
		return "missing"
	}
	switch value[0] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}

// find returns the value of a key, nil if the key is absent or its value is null.
func find(ms []member, key string) []byte {
	for _, m := range ms {
		if m.key == key && !isNull(m.value) {
			return m.value
		}
	}
	return nil
}

func isNull(value []byte) bool { return string(value) == "null" }

// object makes a JSON object of members, nil of none.
func object(ms []member) json.RawMessage {
	if len(ms) == 0 {
		return nil
	}
	o := []byte{'{'}
	for i, m := range ms {
		if i > 0 {
			o = append(o, ',')
		}
		o = append(append(appendText(o, m.key), ':'), m.value...)
	}
	return append(o, '}')
}

// array makes a JSON array of values.
func array(values []json.RawMessage) []byte {
	a := []byte{'['}
	for i, v := range values {
		if i > 0 {
			a = append(a, ',')
		}
		a = append(a, v...)
	}
	return append(a, ']')
}

// appendText appends s as a JSON string without escaping HTML, as agents send it.
func appendText(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
