package snmp

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentwatt/shared/power"
)

// Bounds of a discovery.
const (
	discoveryTime = 60 * time.Second
	mostPoints    = 2048
)

// layout is what one device offers: found once, then read.
type layout struct {
	identity identity
	profile  *Profile
	rows     []row
	absent   []string // what the device has no value for, and why
}

// row is a line of a level's table: one inlet, one phase, ...
type row struct {
	level    *Level
	chain    string // number of the unit in a chain; empty: the profile knows no chains
	name     string // e.g. "inlet-1", or "unit-2/inlet-1": the last part of Device, stable as long as the wiring is
	label    string // the owner's name for it
	since    string // when the energy began to be counted, as the device says it
	whole    bool   // together with the others so marked, it is all that the PDU takes
	power    *point
	energy   *point
	apparent *point
}

// point is one value that can be read.
type point struct {
	reading *Reading
	oid     string
	valid   string      // OID that says whether it is a value; empty: none
	time    string      // OID of the device's time; empty: none
	scale   power.Scale // of one count
	step    int64       // counts that a change is at least
	wrap    int64
}

// survey is one discovery in progress.
type survey struct {
	client  *client
	prefix  string
	profile *Profile
	walks   map[string][]found // tables already walked: power and energy often share one
	names   map[string]bool    // rows already found: a level may come twice, as alternatives
	wholes  map[string]int     // for each unit of a chain, the level that is its whole
	out     layout
	points  int
}

// discover finds the rows of a device whose profile is known.
func (c *client) discover(ctx context.Context, id identity, m candidate, o Options) (layout, error) {
	s := &survey{
		client: c, prefix: m.prefix, profile: m.profile, out: layout{identity: id, profile: m.profile},
		walks: map[string][]found{}, names: map[string]bool{}, wholes: map[string]int{},
	}
	for i := range m.profile.Levels {
		if l := &m.profile.Levels[i]; l.Whole || o.includes(l.Level) {
			if err := s.level(ctx, i, l); err != nil {
				return layout{}, fmt.Errorf("look for the PDU's %ss: %w", l.Level, err)
			}
		}
	}
	s.out.rows = slices.DeleteFunc(s.out.rows, func(r row) bool { return !r.whole && !o.includes(r.level.Level) })
	return s.out, nil
}

// level adds the rows of one table.
func (s *survey) level(ctx context.Context, number int, l *Level) error {
	indexes, err := s.indexes(ctx, l)
	if err != nil {
		return err
	}
	beside, err := s.client.getAll(ctx, s.besides(l, indexes))
	if err != nil {
		return err
	}
	for _, index := range indexes {
		r := row{level: l}
		r.chain, r.name = s.name(l, index)
		if s.names[r.name] {
			continue
		}
		for _, x := range []struct {
			what    string
			reading *Reading
			point   **point
		}{{"power", &l.Power, &r.power}, {"energy", &l.Energy, &r.energy}, {"apparent", &l.Apparent, &r.apparent}} {
			if !x.reading.OID.set() {
				continue
			}
			p, why := s.point(x.reading, index, beside)
			if why != "" && x.what != "apparent" {
				s.out.absent = append(s.out.absent, fmt.Sprintf("%s %s: %s", r.name, x.what, why))
			}
			*x.point = p
		}
		if r.power == nil && r.energy == nil {
			continue
		}
		if s.points += 2; s.points > mostPoints {
			return fmt.Errorf("more than %d values: %w", mostPoints, errGarbled)
		}
		if first, ok := s.wholes[r.chain]; l.Whole && (!ok || first == number) {
			s.wholes[r.chain], r.whole = number, true
		}
		r.label = label(beside[l.Label.at(s.prefix, index)])
		r.since = since(beside[l.Since.at(s.prefix, index)])
		s.names[r.name] = true
		s.out.rows = append(s.out.rows, r)
	}
	return nil
}

// indexes returns the rows that belong to the level, in the order of the table.
func (s *survey) indexes(ctx context.Context, l *Level) ([]string, error) {
	var list []string
	for _, c := range []Column{l.Power.OID, l.Energy.OID} {
		if !c.set() {
			continue
		}
		table, err := s.walk(ctx, c.root(s.prefix))
		if err != nil {
			return nil, err
		}
		for _, f := range table {
			if r, ok := c.row(s.prefix, f.oid); ok && !slices.Contains(list, r) {
				list = append(list, r)
			}
		}
	}
	slices.SortFunc(list, compareOIDs)
	if l.Where == nil {
		return list, nil
	}
	table, err := s.walk(ctx, l.Where.OID.root(s.prefix))
	if err != nil {
		return nil, err
	}
	if len(table) == 0 && l.Where.Missing == "first" && len(list) > 1 {
		s.out.absent = append(s.out.absent, fmt.Sprintf("%d rows after the first %s: the device does not say whether they are more of the whole or parts of it",
			len(list)-1, l.Level))
	}
	return l.Where.choose(s.prefix, list, table), nil
}

// choose applies the condition to the rows.
func (w *Where) choose(prefix string, rows []string, table []found) []string {
	if len(table) == 0 {
		switch first := min(1, len(rows)); w.Missing {
		case "all":
			return rows
		case "first":
			return rows[:first]
		case "rest":
			return rows[first:]
		}
		return nil
	}
	codes := map[string]int64{}
	for _, f := range table {
		if r, ok := w.OID.row(prefix, f.oid); ok && f.value.form == integer {
			codes[r] = f.value.n
		}
	}
	return slices.DeleteFunc(rows, func(r string) bool {
		code, ok := codes[r]
		return !ok || len(w.Is) > 0 && !slices.Contains(w.Is, code) || slices.Contains(w.Not, code)
	})
}

func (s *survey) walk(ctx context.Context, root string) ([]found, error) {
	if t, ok := s.walks[root]; ok {
		return t, nil
	}
	t, err := s.client.walk(ctx, root, mostRows)
	if err == nil {
		s.walks[root] = t
	}
	return t, err
}

// besides lists what else must be known of the rows: their values, units, digits, names.
func (s *survey) besides(l *Level, indexes []string) []string {
	columns := []Column{l.Label, l.Since}
	for _, r := range l.readings() {
		columns = append(columns, r.OID, r.Digits)
		if r.Units != nil {
			columns = append(columns, r.Units.OID)
		}
		if r.Valid != nil {
			columns = append(columns, r.Valid.OID)
		}
	}
	var oids []string
	for _, c := range columns {
		for _, i := range indexes {
			if oid := c.at(s.prefix, i); c.set() {
				oids = append(oids, oid)
			}
		}
	}
	slices.SortFunc(oids, compareOIDs)
	return slices.Compact(oids)
}

// name makes the row's name out of its index.
func (s *survey) name(l *Level, index string) (chain, name string) {
	name = l.Level
	if s.profile.Chain != nil {
		chain, index, _ = strings.Cut(index, ".")
	}
	if index != "" && index != "0" { // 0 is the instance of a scalar
		name += "-" + index
	}
	if s.profile.Chain != nil && chain != s.profile.Chain.First {
		name = "unit-" + chain + "/" + name
	}
	return chain, name
}

// since is the start of a counter as a device says it: a text, or seconds since 1970 where 0 is none.
func since(v value) string {
	if v.form == integer && v.n > 0 {
		return time.Unix(v.n, 0).UTC().Format(time.RFC3339)
	}
	return label(v)
}
