package snmp

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/settings"
)

// OIDs of the standard's system group (RFC 3418), without a point in front, as everywhere here.
const (
	sysDescr    = "1.3.6.1.2.1.1.1.0"
	sysObjectID = "1.3.6.1.2.1.1.2.0"
	sysUpTime   = "1.3.6.1.2.1.1.3.0"
	sysName     = "1.3.6.1.2.1.1.5.0"
)

const mostArcs = 128 // RFC 2578 3.5

// Column is where a value is found in a device: an OID to which the index of a row is added, or put where it has a star.
// One that begins with a point continues the prefix by which the device was matched.
type Column struct{ text string }

// parseColumn reads an OID, with a star or without.
func parseColumn(text string) (Column, error) {
	head, tail, starred := strings.Cut(text, ".*")
	bad := !numeric(strings.TrimPrefix(head, "."))
	bad = bad || !strings.HasPrefix(text, ".") && !strings.HasPrefix(text, "1.3.6.1.")
	bad = bad || starred && tail != "" && (tail[0] != '.' || !numeric(tail[1:]))
	if bad {
		return Column{}, fmt.Errorf("%q is not an OID", text)
	}
	return Column{text}, nil
}

// numeric reports whether an OID is numbers with points between them.
func numeric(oid string) bool {
	arcs := strings.Split(oid, ".")
	for _, a := range arcs {
		if _, err := strconv.ParseUint(a, 10, 32); err != nil || len(a) > 1 && a[0] == '0' {
			return false
		}
	}
	return len(arcs) <= mostArcs
}

// UnmarshalYAML reads a column.
func (c *Column) UnmarshalYAML(n ast.Node) (err error) {
	*c, err = parseColumn(n.GetToken().Value)
	return settings.At(n, err)
}

// set reports whether the profile gives this column.
func (c Column) set() bool { return c.text != "" }

// root is the OID to walk for the rows, on a device matched by the given prefix.
func (c Column) root(prefix string) string {
	head, _, _ := strings.Cut(c.text, ".*")
	if strings.HasPrefix(head, ".") {
		return prefix + head
	}
	return head
}

// at is the OID of one row.
func (c Column) at(prefix, row string) string {
	_, tail, _ := strings.Cut(c.text, ".*")
	return c.root(prefix) + "." + row + tail
}

// row returns the index of the row that the OID belongs to; not ok if it is another column's.
func (c Column) row(prefix, oid string) (row string, ok bool) {
	_, tail, _ := strings.Cut(c.text, ".*")
	row, ok = strings.CutPrefix(oid, c.root(prefix)+".")
	if !ok {
		return "", false
	}
	row, ok = strings.CutSuffix(row, tail)
	return row, ok && row != ""
}

// under reports whether an OID is the prefix or below it.
func under(oid, prefix string) bool { return oid == prefix || strings.HasPrefix(oid, prefix+".") }

// compareOIDs orders OIDs arc by arc, as SNMP does.
func compareOIDs(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if len(x) != len(y) {
			return len(x) - len(y) // arcs have no leading zeros
		}
		if x != y {
			return strings.Compare(x, y)
		}
	}
	return 0
}

// encodedBytes is the length of an OID on the wire, with its header.
func encodedBytes(oid string) int {
	n := 2 - 1 // the first two arcs share a byte
	for a := range strings.SplitSeq(oid, ".") {
		v, _ := strconv.ParseUint(a, 10, 32)
		n++
		for v >>= 7; v > 0; v >>= 7 {
			n++
		}
	}
	return n
}
