package snmp

import (
	"math"
	"slices"
	"strings"

	"github.com/gosnmp/gosnmp"

	"agentwatt/shared/power"
)

// value is what a device gave for one OID.
type value struct {
	form form
	n    int64  // integer
	text string // text and object
	wide bool   // a Counter32, which by RFC 2578 7.1.6 wraps at 2^32
}

// form is the kind of a value on the wire, as far as it matters here.
type form uint8

const (
	absent  form = iota // no such object or instance, null: there is nothing
	integer             // any integer that fits an int64
	text                // an octet string
	object              // an object identifier
	strange             // anything else
)

const mostTextBytes = 1024

// decode takes a variable of an answer. NoSuchObject and NoSuchInstance come without an error and must never become 0.
func decode(v gosnmp.SnmpPDU) value {
	switch v.Type {
	case gosnmp.NoSuchObject, gosnmp.NoSuchInstance, gosnmp.EndOfMibView, gosnmp.Null:
		return value{}
	}
	switch x := v.Value.(type) {
	case int:
		return value{form: integer, n: int64(x)}
	case uint:
		return value{form: integer, n: int64(x & math.MaxUint32), wide: v.Type == gosnmp.Counter32}
	case uint32:
		return value{form: integer, n: int64(x)}
	case uint64:
		if x <= math.MaxInt64 {
			return value{form: integer, n: int64(x)}
		}
	case []byte:
		return value{form: text, text: string(x[:min(len(x), mostTextBytes)])}
	case string:
		if v.Type == gosnmp.ObjectIdentifier {
			return value{form: object, text: strings.TrimPrefix(x, ".")}
		}
	}
	return value{form: strange}
}

// raw takes the count of a reading out of a value, or says why there is none.
func (r *Reading) raw(v value) (int64, power.Status) {
	switch {
	case v.form == absent:
		return 0, power.Unsupported
	case r.Text != "" && v.form == text:
		n, status := r.written(v.text)
		if status != power.OK {
			return 0, status
		}
		v = value{form: integer, n: n}
	case r.Text != "" || v.form != integer:
		return 0, power.Failed
	}
	if v.n < 0 || slices.Contains(r.Absent, v.n) {
		return 0, power.Unsupported
	}
	return v.n, power.OK
}

// written takes the count out of a text.
func (r *Reading) written(s string) (int64, power.Status) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "-", "--", "n/a", "na":
		return 0, power.Unsupported
	}
	n, err := parseNumber(s)
	if err != nil {
		return 0, power.Failed
	}
	raw, err := n.in(r.Unit, r.Text)
	if err != nil {
		return 0, power.Failed
	}
	return raw, power.OK
}

// label makes a text that a device gave fit to be shown: printable ASCII, of bounded length.
func label(v value) string {
	const most = 64
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, v.text)
	return strings.TrimSpace(s[:min(len(s), most)])
}
