package sensor

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

// Quantity is a power.Quantity that YAML can read.
type Quantity power.Quantity

// UnmarshalYAML reads the quantity's name.
func (q *Quantity) UnmarshalYAML(n ast.Node) error {
	return settings.At(n, (*power.Quantity)(q).UnmarshalText([]byte(n.GetToken().Value)))
}

// Origin is a power.Origin that YAML can read.
type Origin power.Origin

// UnmarshalYAML reads the origin's name.
func (o *Origin) UnmarshalYAML(n ast.Node) error {
	return settings.At(n, (*power.Origin)(o).UnmarshalText([]byte(n.GetToken().Value)))
}

// Range is a range of driver versions, written "530..535": from the first on and before the second. Either may be left
// out. Versions are compared number by number: 535.54 < 535.104.
type Range struct{ From, Before string }

// UnmarshalYAML reads a range.
func (r *Range) UnmarshalYAML(n ast.Node) error {
	from, before, ok := strings.Cut(n.GetToken().Value, "..")
	if !ok {
		return settings.At(n, fmt.Errorf("%q is not a range such as 530..535", n.GetToken().Value))
	}
	*r = Range{from, before}
	return nil
}

// String writes the range as in the file; "all" if it has no end.
func (r Range) String() string {
	if r == (Range{}) {
		return "all"
	}
	return r.From + ".." + r.Before
}

// Includes reports whether a version lies in the range. A version that is not numbers and points lies in none but "all".
func (r Range) Includes(version string) bool {
	if r == (Range{}) {
		return true
	}
	v, ok := numbers(version)
	if !ok {
		return false
	}
	from, _ := numbers(r.From)
	before, _ := numbers(r.Before)
	return (r.From == "" || compare(v, from) >= 0) && (r.Before == "" || compare(v, before) < 0)
}

func numbers(version string) (list []int, ok bool) {
	for _, part := range strings.Split(version, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return nil, false
		}
		list = append(list, n)
	}
	return list, true
}

// compare compares versions; missing parts are 0.
func compare(a, b []int) int {
	for i := range max(len(a), len(b)) {
		x, y := 0, 0
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		if x != y {
			return x - y
		}
	}
	return 0
}
