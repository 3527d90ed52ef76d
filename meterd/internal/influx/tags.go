package influx

import (
	"math"
	"strconv"
	"strings"

	"agentwatt/shared/power"
)

// The line protocol: measurement,tag=value,... field=value,... time. Tags are written in the order of their names, as the server
// likes them.

// appendTag appends one tag. No two texts become the same tag: what the protocol cannot say or would misread is written %XX, and
// an empty text %.
func appendTag(b []byte, name, value string) []byte {
	b = append(append(append(b, ','), name...), '=')
	if value == "" {
		return append(b, '%')
	}
	const hex = "0123456789ABCDEF"
	for _, c := range []byte(strings.ToValidUTF8(value, "\uFFFD")) {
		switch {
		case c == '%' || c == '\\' || c < ' ' || c == 0x7f: // a backslash before a comma cannot be told from an escape
			b = append(b, '%', hex[c>>4], hex[c&15])
		case c == ',' || c == '=' || c == ' ':
			b = append(b, '\\', c)
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendText appends a string field's value. Control characters become blanks, so that a line is a line.
func appendText(b []byte, value string) []byte {
	b = append(b, '"')
	for _, c := range []byte(strings.ToValidUTF8(value, "\uFFFD")) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// appendInt appends an integer field's value.
func appendInt(b []byte, v int64) []byte { return append(strconv.AppendInt(b, v, 10), 'i') }

// appendCount appends a counter. Servers before 2.0 have no unsigned integers; no count comes near 2^63.
func appendCount(b []byte, v uint64) []byte { return appendInt(b, int64(min(v, math.MaxInt64))) }

// appendFloat appends a float field's value, the shortest that reads back as v.
func appendFloat(b []byte, v float64) []byte { return strconv.AppendFloat(b, v, 'g', -1, 64) }

// series is what stays the same in the lines of one meter.
type series struct {
	tags  []byte  // ",device=...,source=..." without the measurement
	name  string  // measurement
	field string  // of the value in a unit
	times float64 // a raw count in that unit: times/over
	over  float64
}

// newSeries prepares the lines of a meter.
func newSeries(host, source string, m power.Meter) *series {
	s := &series{name: "power", field: "watts"}
	if m.Quantity == power.Counter {
		s.name, s.field = "energy", "joules"
	}
	b := appendTag(nil, "device", m.Device)
	b = appendTag(b, "host", host)
	b = appendTag(b, "meter", m.ID)
	b = appendTag(b, "quantity", m.Quantity.String())
	b = appendTag(b, "scope", string(m.Scope))
	b = appendTag(b, "simulated", strconv.FormatBool(m.Simulated))
	s.tags = appendTag(b, "source", source)
	if m.Scale.Num > 0 && m.Scale.Den > 0 {
		s.times, s.over = perUnit(m.Scale)
	}
	return s
}

const million = 1_000_000

// perUnit returns a scale, which is in millionths of the unit, as a fraction in lowest terms: 1/1000 for milliwatts, so that
// 417,123 mW become 417.123 and not its neighbour.
func perUnit(s power.Scale) (times, over float64) {
	num, den := s.Num, s.Den
	g := gcd(num, den)
	num, den = num/g, den/g
	g = gcd(num, million)
	return float64(num / g), float64(den) * float64(million/g)
}

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// appendValue appends the fields of a sample.
func (s *series) appendValue(b []byte, x power.Sample) []byte {
	if x.Status != power.OK {
		return appendText(append(b, "status="...), x.Status.String())
	}
	b = appendInt(append(b, "raw="...), x.Raw)
	if s.over == 0 { // a scale that makes no sense: the count alone is true
		return b
	}
	b = append(append(append(b, ','), s.field...), '=')
	return appendFloat(b, float64(x.Raw)*s.times/s.over)
}
