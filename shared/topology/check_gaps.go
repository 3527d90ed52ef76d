package topology

import (
	"cmp"
	"slices"
	"strings"

	"agentwatt/shared/power"
)

// gaps finds scopes at which only some of the nodes or racks are metered: a figure there says less than it seems to.
func (c *checker) gaps() {
	some := func(n int, of int) bool { return 0 < n && n < of }
	var withInput, withModule, accelerated, racked, fed int
	for _, n := range c.nodes {
		withInput += count(len(n.inputs) > 0)
		withModule += count(len(n.modules) > 0)
		accelerated += count(len(n.accelerators)+len(n.modules) > 0)
		racked += count(n.rack != "")
	}
	for _, r := range c.racks {
		fed += count(len(r.inputs) > 0)
	}
	for _, n := range c.nodes {
		if some(withInput, len(c.nodes)) && len(n.inputs) == 0 {
			c.add(Warning, Gap, "node "+n.name, nil, "it has no input, and other nodes have: a figure at scope node lacks it")
		}
		if some(withModule, accelerated) && len(n.modules) == 0 && len(n.accelerators) > 0 {
			c.add(Warning, Gap, "node "+n.name, nil, "its accelerators are in no module, and those of other nodes are: a figure at scope module lacks them")
		}
		if some(racked, len(c.nodes)) && n.rack == "" {
			c.add(Warning, Gap, "node "+n.name, nil, "it stands in no rack, and other nodes do: a figure at scope rack lacks it")
		}
	}
	for _, r := range c.racks {
		if some(fed, len(c.racks)) && len(r.inputs) == 0 {
			c.add(Warning, Gap, "rack "+r.name, nil, "it has no inputs, and other racks have: a figure at scope rack lacks it")
		}
	}
	c.outletGaps()
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// outletGaps finds inputs of which only some outlets are metered: those outlets cannot be added up.
func (c *checker) outletGaps() {
	all := map[*input][]*outlet{}
	for _, o := range c.outlets {
		all[o.input] = append(all[o.input], o)
	}
	for i, list := range all {
		var without []string
		for _, o := range list {
			if !o.found {
				without = append(without, o.name)
			}
		}
		if n := len(without); 0 < n && n < len(list) {
			c.add(Info, Gap, "input "+i.ref, without, "these outlets are not metered, and the others are")
		}
	}
}

// kinds finds devices that lack a meter which most of their kind have: the same name and scope, another quantity or field.
func (c *checker) kinds() {
	type kind struct {
		name  string
		scope power.Scope
	}
	meters := map[kind]map[string]map[device]bool{} // by the meter's last part of the ID
	devices := map[kind]map[device]bool{}
	for _, k := range c.index.list {
		for _, m := range c.index.meters[k] {
			of := kind{m.Name, m.Scope}
			if !m.Scope.Headline() || m.Name == "" {
				continue
			}
			if devices[of] == nil {
				devices[of], meters[of] = map[device]bool{}, map[string]map[device]bool{}
			}
			field := cmp.Or(m.ID[strings.LastIndexByte(m.ID, '/')+1:], m.Quantity.String())
			if meters[of][field] == nil {
				meters[of][field] = map[device]bool{}
			}
			devices[of][k], meters[of][field][k] = true, true
		}
	}
	for of, fields := range meters {
		for field, with := range fields {
			var without []device
			for k := range devices[of] {
				if !with[k] {
					without = append(without, k)
				}
			}
			if len(without) > 0 && len(with) > len(without) {
				slices.SortFunc(without, func(a, b device) int { return natural(a.String(), b.String()) })
				c.add(Warning, Uneven, "", c.called(without...), "no meter %q, which %d others of %s have", field, len(with), of.name)
			}
		}
	}
}
