package topology

import (
	"cmp"
	"fmt"
	"slices"
)

// Severity says what a finding means for a figure.
type Severity string

// The severities, from worst to least.
const (
	Error   Severity = "error"   // a figure at that scope would be wrong
	Warning Severity = "warning" // it may be wrong, or holds less than it seems
	Info    Severity = "info"    // good to know
)

// rank orders severities, the worst first.
func (s Severity) rank() int { return slices.Index([]Severity{Error, Warning, Info}, s) }

// Code names a kind of finding for machines.
type Code string

// The kinds of finding.
const (
	NotMetered   Code = "not-metered"   // expected, and nothing meters it
	WrongNode    Code = "wrong-node"    // metered on another node than the file says
	WrongScope   Code = "wrong-scope"   // metered, but not at the scope at which the file counts it
	WrongCount   Code = "wrong-count"   // more accelerators than the file says
	ByCount      Code = "by-count"      // expected by number only: a swapped device goes unnoticed
	NotPlaced    Code = "not-placed"    // metered, and in no place of the file
	Twice        Code = "counted-twice" // one device in two places
	Part         Code = "part"          // a part metered at the same scope as its whole
	SharedModule Code = "shared-module" // one module reported by several of its accelerators
	SharedBoard  Code = "shared-board"  // several accelerators on one board, which may be one device
	TwoHosts     Code = "two-hosts"     // one device on the streams of two hosts
	TwoScopes    Code = "two-scopes"    // one device in places of two scopes
	SharedOutlet Code = "shared-outlet" // one outlet that feeds two
	OneFeed      Code = "one-feed"      // only one of several feeds is named or metered
	Supplies     Code = "supplies"      // power supplies and feeds that do not match
	Gap          Code = "gap"           // a scope at which some are metered and others not
	Uneven       Code = "uneven"        // a meter that others of the same kind have
	NoConsumer   Code = "no-consumer"   // an outlet that feeds nothing
	NotIncluded  Code = "not-included"  // equipment that is left out or modelled
	Cycle        Code = "cycle"         // something that feeds itself
	UnknownName  Code = "unknown-name"  // a reference to what the file does not name
	SameName     Code = "same-name"     // two entries of one name
	Ambiguous    Code = "ambiguous"     // a name that several hosts use
)

// Finding is one thing that is wrong or worth knowing.
type Finding struct {
	Severity Severity `json:"severity"`
	Code     Code     `json:"code"`
	Place    string   `json:"place,omitempty"`   // the entry of the file: "node gpu01"; empty: none
	Devices  []string `json:"devices,omitempty"` // what it is about, in natural order
	Text     string   `json:"text"`              // for people, without the devices
}

// Check finds what is wrong between a file and what is metered. The findings are sorted, the worst first, and do not depend on
// the order of meters or entries.
func Check(f File, d Discovered) []Finding {
	l := f.lay(d)
	c := &checker{layout: l}
	c.names()
	c.cycles()
	c.missing()
	c.kinds()
	c.gaps()
	c.twice()
	c.parts()
	c.modules()
	c.boards()
	c.hosts()
	c.feeds()
	c.consumed()
	c.shared()
	c.unplaced()
	return c.sorted()
}

// Worst returns the worst severity among findings; empty if there are none.
func Worst(list []Finding) (worst Severity) {
	for _, f := range list {
		if worst == "" || f.Severity.rank() < worst.rank() {
			worst = f.Severity
		}
	}
	return worst
}

// checker gathers findings about a layout.
type checker struct {
	*layout
	list      []Finding
	explained map[device]bool // metered devices in no place that a finding already is about
}

func (c *checker) add(s Severity, code Code, place string, devices []string, format string, args ...any) {
	slices.SortFunc(devices, natural)
	c.list = append(c.list, Finding{s, code, place, slices.Compact(devices), fmt.Sprintf(format, args...)})
}

func (c *checker) explain(list ...device) {
	if c.explained == nil {
		c.explained = map[device]bool{}
	}
	for _, k := range list {
		c.explained[k] = true
	}
}

func (c *checker) sorted() []Finding {
	slices.SortFunc(c.list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity.rank(), b.Severity.rank()), cmp.Compare(a.Code, b.Code), natural(a.Place, b.Place),
			slices.Compare(a.Devices, b.Devices), cmp.Compare(a.Text, b.Text))
	})
	return slices.CompactFunc(c.list, func(a, b Finding) bool {
		return a.Severity == b.Severity && a.Code == b.Code && a.Place == b.Place && a.Text == b.Text && slices.Equal(a.Devices, b.Devices)
	})
}

// called returns what figures call the devices.
func (c *checker) called(list ...device) (names []string) {
	for _, k := range list {
		names = append(names, c.index.name(k))
	}
	return names
}
