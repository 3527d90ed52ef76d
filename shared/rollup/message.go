package rollup

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Message is what is stored of roll-ups: rows of one resolution, of one source on one host. docs/formats-rollup.md describes its
// encoding.
type Message struct {
	Host, Source string
	Resolution   time.Duration
	Series       []Series // of each the meter's ID, Device, Name, Scope, Quantity and Simulated are kept
}

// Fields of message Rollup.
const (
	fieldHost       = 1
	fieldSource     = 2
	fieldResolution = 3 // seconds
	fieldSeries     = 4

	seriesID        = 1
	seriesDevice    = 2
	seriesName      = 3
	seriesScope     = 4
	seriesQuantity  = 5
	seriesSimulated = 6
	seriesRun       = 7
	seriesRow       = 8 // packed: rowNumbers varints, zigzag
)

// rowNumbers is how many numbers a row has, in the order of numbers.
const rowNumbers = 16

// numbers lists those fields of a row that are stored.
func (r *Row) numbers() [rowNumbers]*int64 {
	return [rowNumbers]*int64{
		(*int64)(&r.Begin), (*int64)(&r.Length), (*int64)(&r.Energy), (*int64)(&r.Measured), (*int64)(&r.Covered),
		(*int64)(&r.Least), (*int64)(&r.Greatest), &r.Fresh, &r.Gaps, (*int64)(&r.Longest), &r.Absent, &r.Impossible, &r.Late,
		&r.Resets, &r.Missed, &r.Lost,
	}
}

// Encode appends the encoding of m to dst.
func (m *Message) Encode(dst []byte) []byte {
	dst = appendText(dst, fieldHost, m.Host)
	dst = appendText(dst, fieldSource, m.Source)
	dst = appendNumber(dst, fieldResolution, uint64(m.Resolution/time.Second))
	for _, s := range m.Series {
		dst = protowire.AppendBytes(protowire.AppendTag(dst, fieldSeries, protowire.BytesType), s.encode())
	}
	return dst
}

func (s *Series) encode() []byte {
	var out []byte
	out = appendText(out, seriesID, s.Meter.ID)
	out = appendText(out, seriesDevice, s.Meter.Device)
	out = appendText(out, seriesName, s.Meter.Name)
	out = appendText(out, seriesScope, string(s.Meter.Scope))
	out = appendNumber(out, seriesQuantity, uint64(s.Meter.Quantity))
	if s.Meter.Simulated {
		out = appendNumber(out, seriesSimulated, 1)
	}
	out = appendText(out, seriesRun, s.Run)
	var row []byte
	for i := range s.Rows {
		row = row[:0]
		for _, n := range s.Rows[i].numbers() {
			row = protowire.AppendVarint(row, protowire.EncodeZigZag(*n))
		}
		out = protowire.AppendBytes(protowire.AppendTag(out, seriesRow, protowire.BytesType), row)
	}
	return out
}

func appendText(dst []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, number, protowire.BytesType), s)
}

func appendNumber(dst []byte, number protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, number, protowire.VarintType), n)
}

// mostMessage bounds what Decode reads: more than the bus takes.
const mostMessage = 4 << 20

// Decode reads a message, with its seal or without. What it does not know it passes over.
func Decode(data []byte) (*Message, error) {
	if len(data) > mostMessage {
		return nil, fmt.Errorf("decode a roll-up: %d bytes, more than %d", len(data), mostMessage)
	}
	m := &Message{}
	err := fields(data, func(number protowire.Number, text []byte, n uint64) error {
		switch number {
		case fieldHost:
			m.Host = string(text)
		case fieldSource:
			m.Source = string(text)
		case fieldResolution:
			m.Resolution = time.Duration(min(n, uint64(Resolutions[2]/time.Second))) * time.Second
		case fieldSeries:
			s, err := decodeSeries(text)
			if err != nil {
				return err
			}
			m.Series = append(m.Series, s)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("decode a roll-up of %d bytes: %w", len(data), err)
	}
	return m, nil
}

func decodeSeries(data []byte) (s Series, err error) {
	err = fields(data, func(number protowire.Number, text []byte, n uint64) error {
		switch number {
		case seriesID:
			s.Meter.ID = string(text)
		case seriesDevice:
			s.Meter.Device = string(text)
		case seriesName:
			s.Meter.Name = string(text)
		case seriesScope:
			s.Meter.Scope = power.Scope(text)
		case seriesQuantity:
			s.Meter.Quantity = power.Quantity(n)
		case seriesSimulated:
			s.Meter.Simulated = n != 0
		case seriesRun:
			s.Run = string(text)
		case seriesRow:
			r, err := decodeRow(text)
			if err != nil {
				return err
			}
			s.Rows = append(s.Rows, r)
		}
		return nil
	})
	return s, err
}

func decodeRow(data []byte) (r Row, err error) {
	for _, n := range r.numbers() {
		v, size := protowire.ConsumeVarint(data)
		if size < 0 {
			return r, errors.New("a row that is cut short")
		}
		*n = protowire.DecodeZigZag(v)
		data = data[size:]
	}
	if r.Length < 0 || r.Length > time.Duration(1)<<61 || r.Begin < 0 || r.Begin > clock.Stamp(1)<<61 {
		return r, errors.New("a row of a time that cannot be")
	}
	return r, nil
}

// fields hands the fields of a message to fn: bytes as text, numbers as n.
func fields(data []byte, fn func(number protowire.Number, text []byte, n uint64) error) error {
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeTag(data)
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		var text []byte
		var n uint64
		switch kind {
		case protowire.BytesType:
			text, size = protowire.ConsumeBytes(data)
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(data)
		default:
			size = protowire.ConsumeFieldValue(number, kind, data)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		data = data[size:]
		if err := fn(number, text, n); err != nil {
			return err
		}
	}
	return nil
}
