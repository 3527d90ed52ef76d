package topology

import (
	"cmp"
	"slices"

	"agentwatt/shared/power"
)

// Counted is one device of an account: at its scope each joule counts once.
type Counted struct {
	Scope  power.Scope `json:"scope"`
	Device string      `json:"device"`           // as joined figures call it
	Place  string      `json:"place,omitempty"`  // the entry of the file; empty: none
	Meters []string    `json:"meters,omitempty"` // IDs of the meters of the device at the scope; the best of them is used. Empty: not metered
	Why    string      `json:"why,omitempty"`    // why it is not counted; empty: it is
}

// Expected lists the devices that must be present and valid for a figure at a scope: by UUID, or as host/device so that no
// other host's device of that name is taken for it. Accelerators of which the file states only the number are those that d shows; where it shows too few, the rest get names
// that no device has, so that the figure is not valid.
func Expected(f File, d Discovered, scope power.Scope) (names []string) {
	l := f.lay(d)
	for _, p := range l.places {
		if p.scope == scope && p.uncount == "" {
			names = append(names, p.at.String())
		}
	}
	slices.SortFunc(names, natural)
	return slices.Compact(names)
}

// ExpectedAll lists the devices of all headline scopes, as a power plan takes them.
func ExpectedAll(f File, d Discovered) (names []string) {
	for _, s := range headline {
		names = append(names, Expected(f, d, s)...)
	}
	slices.SortFunc(names, natural)
	return slices.Compact(names)
}

// headline lists the scopes of figures, from the smallest.
var headline = []power.Scope{power.Accelerator, power.Module, power.Node, power.Rack}

// Once accounts for every device of the headline scopes, placed or metered: whether it is counted, in which place, by which
// meters, or why not. The rows are sorted by scope, from the smallest, and device.
func Once(f File, d Discovered) (rows []Counted) {
	l := f.lay(d)
	for s, places := range l.byScope() {
		for k, p := range places {
			rows = append(rows, Counted{Scope: s, Device: l.index.name(k), Place: p.owner, Meters: l.index.ids(k, s), Why: p.uncount})
		}
		for _, k := range l.index.list {
			if _, ok := places[k]; !ok && l.index.at(k, s) {
				rows = append(rows, Counted{Scope: s, Device: l.index.name(k), Meters: l.index.ids(k, s), Why: "in no place of the file"})
			}
		}
	}
	slices.SortFunc(rows, func(a, b Counted) int {
		return cmp.Or(cmp.Compare(slices.Index(headline, a.Scope), slices.Index(headline, b.Scope)), natural(a.Device, b.Device))
	})
	return rows
}

// byScope lists the devices of each headline scope with the place that counts them, or else the one that says why not. Of
// several the first by name decides: a device is counted once, whatever the file says.
func (l *layout) byScope() map[power.Scope]map[device]*place {
	found := map[power.Scope]map[device]*place{}
	for _, s := range headline {
		found[s] = map[device]*place{}
	}
	for _, p := range l.places {
		of, ok := found[p.scope]
		if !ok {
			continue
		}
		if q := of[p.at]; q == nil || q.uncount != "" && p.uncount == "" || (q.uncount == "") == (p.uncount == "") && natural(p.owner, q.owner) < 0 {
			of[p.at] = p
		}
	}
	return found
}

// ids lists the IDs of a device's meters at a scope.
func (x *index) ids(k device, s power.Scope) (list []string) {
	for _, m := range x.meters[k] {
		if m.Scope == s {
			list = append(list, m.ID)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
