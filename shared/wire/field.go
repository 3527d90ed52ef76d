package wire

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// field is one field of a message.
type field struct {
	number protowire.Number
	kind   protowire.Type
	value  uint64 // if kind is varint or fixed64
	bytes  []byte // if kind is bytes; part of the input
	texts  texts  // seen before
}

// message takes the fields of a message one after the other.
type message interface{ field(field) error }

// read hands the fields of data to m.
func read(data []byte, t texts, m message) error {
	for at := 0; at < len(data); {
		f, n := next(data[at:])
		f.texts = t
		if n < 0 {
			return fmt.Errorf("at byte %d: %w", at, protowire.ParseError(n))
		}
		if err := m.field(f); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// next parses the first field of data and returns its length, or a negative protowire error code.
func next(data []byte) (f field, n int) {
	var tag, value int
	f.number, f.kind, tag = protowire.ConsumeTag(data)
	if tag < 0 {
		return f, tag
	}
	switch rest := data[tag:]; f.kind {
	case protowire.VarintType:
		f.value, value = protowire.ConsumeVarint(rest)
	case protowire.Fixed64Type:
		f.value, value = protowire.ConsumeFixed64(rest)
	case protowire.BytesType:
		f.bytes, value = protowire.ConsumeBytes(rest)
	default:
		value = protowire.ConsumeFieldValue(f.number, f.kind, rest)
	}
	if value < 0 {
		return f, value
	}
	return f, tag + value
}

// want reports a field that was written as another type.
func (f field) want(kind protowire.Type) error {
	if f.kind != kind {
		return fmt.Errorf("field %d: wire type %d, not %d", f.number, f.kind, kind)
	}
	return nil
}

func (f field) uint() (uint64, error) { return f.value, f.want(protowire.VarintType) }

func (f field) int() (int64, error) { return unzigzag(f.value), f.want(protowire.VarintType) }

func (f field) bool() (bool, error) { return f.value != 0, f.want(protowire.VarintType) }

func (f field) float() (float64, error) {
	return math.Float64frombits(f.value), f.want(protowire.Fixed64Type)
}

// set reads a signed integer into dst.
func set[T ~int64](f field, dst *T) error {
	v, err := f.int()
	*dst = T(v)
	return err
}

// enum reads an enumeration that has no value above last into dst.
func (f field) enum(what string, dst *uint8, last uint8) error {
	if err := f.want(protowire.VarintType); err != nil {
		return err
	}
	if f.value > uint64(last) {
		return fmt.Errorf("%s %d: not known", what, f.value)
	}
	*dst = uint8(f.value)
	return nil
}

// text reads a string.
func (f field) text(what string) (string, error) {
	if err := f.want(protowire.BytesType); err != nil {
		return "", err
	}
	if s, ok := f.texts[string(f.bytes)]; ok {
		return s, nil
	}
	s := string(f.bytes[:min(len(f.bytes), MaxText+1)])
	err := checkText(what, s)
	if err == nil {
		f.texts.add(s)
	}
	return s, err
}

// message reads a message within a message.
func (f field) message(what string, m message) error {
	err := f.want(protowire.BytesType)
	if err == nil {
		err = read(f.bytes, f.texts, m)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// column reads a packed column, or adds one entry of one that another writer did not pack, or did in parts.
func (f field) column(col []byte) ([]byte, error) {
	switch {
	case f.kind == protowire.VarintType:
		return protowire.AppendVarint(col, f.value), nil
	case f.kind == protowire.BytesType && len(col) == 0:
		// Without room behind it, so that an entry added later does not overwrite the input.
		return f.bytes[:len(f.bytes):len(f.bytes)], nil
	case f.kind == protowire.BytesType:
		return append(col, f.bytes...), nil
	}
	return col, f.want(protowire.BytesType)
}
