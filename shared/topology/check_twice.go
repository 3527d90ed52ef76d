package topology

import (
	"slices"
	"strings"

	"agentwatt/shared/power"
)

// twice finds devices in more than one place.
func (c *checker) twice() {
	for k, places := range c.placed("") {
		if len(places) < 2 {
			continue
		}
		var owners []string
		scopes := map[power.Scope]bool{}
		for _, p := range places {
			owners = append(owners, p.owner)
			scopes[p.scope] = true
		}
		slices.SortFunc(owners, natural)
		where := strings.Join(owners, " and ")
		if len(scopes) > 1 && !c.metersAll(k, scopes) {
			c.add(Error, TwoScopes, owners[0], c.called(k), "it has places at %d scopes (%s): which part of the system does it meter?", len(scopes), where)
		}
		if len(scopes) == len(places) {
			continue
		}
		c.add(Error, Twice, owners[0], c.called(k), "it has %d places (%s), and its energy counts once", len(places), where)
	}
	c.sharedOutlets()
}

// metersAll reports whether a device may have places at all of the scopes: it is metered at each. An accelerator may report
// its module, too.
func (c *checker) metersAll(k device, scopes map[power.Scope]bool) bool {
	if len(scopes) == 2 && scopes[power.Accelerator] && scopes[power.Module] {
		return true
	}
	for s := range scopes {
		if !c.index.at(k, s) {
			return false
		}
	}
	return true
}

// sharedOutlets finds outlets that feed two, and devices that are the outlets of two inputs.
func (c *checker) sharedOutlets() {
	for name, f := range c.feeders {
		if f.outlet == nil || len(f.consumers) < 2 {
			continue
		}
		consumers := slices.Clone(f.consumers)
		slices.SortFunc(consumers, natural)
		c.add(Error, SharedOutlet, "input "+f.input.ref, []string{name}, "one outlet feeds %s: an outlet has one cord", strings.Join(consumers, " and "))
	}
	placed := c.placed("")
	for _, o := range c.outlets {
		for _, p := range placed[o.at] {
			if o.found && p.scope == power.Rack && p.uncount == "" {
				c.add(Error, Twice, p.owner, c.called(o.at), "it is counted here and is an outlet of %s, which has it already", o.input.ref)
			}
		}
	}
}

// parts finds devices that are metered at the scope of the whole that they belong to: phases beside an inlet, outlets beside a
// total, power supplies beside the node, MIG instances beside their GPU. Without a file that leaves them out they are added.
func (c *checker) parts() {
	counted := c.counted()
	for _, s := range []power.Scope{power.Accelerator, power.Module, power.Node, power.Rack} {
		var list []device
		for _, k := range c.index.list {
			if c.index.at(k, s) {
				list = append(list, k)
			}
		}
		wholes := map[device][]device{} // of each, its parts
		for _, part := range list {
			if whole, ok := wholeOf(part, list); ok {
				wholes[whole] = append(wholes[whole], part)
			}
		}
		for whole, parts := range wholes {
			both := slices.DeleteFunc(slices.Clone(parts), func(k device) bool { return !counted[s][k] })
			switch {
			case counted[s][whole] && len(both) > 0:
				c.add(Error, Part, "host "+whole.host, c.called(both...), "counted at scope %s beside %s, which holds them", s, c.index.name(whole))
			case len(both) > 0:
				c.explain(whole)
				c.add(Info, Part, "host "+whole.host, c.called(both...), "counted at scope %s; %s holds them and is not counted", s, c.index.name(whole))
			}
			if left := slices.DeleteFunc(slices.Clone(parts), func(k device) bool { return counted[s][k] }); len(left) > 0 {
				c.explain(left...)
				c.add(Warning, Part, "host "+whole.host, c.called(left...), "metered at scope %s beside %s, which holds them: whoever adds up that scope without this file counts them twice", s, c.index.name(whole))
			}
		}
	}
}

// counted lists the devices that count, by scope.
func (l *layout) counted() map[power.Scope]map[device]bool {
	found := map[power.Scope]map[device]bool{}
	for _, p := range l.places {
		if p.uncount != "" {
			continue
		}
		if found[p.scope] == nil {
			found[p.scope] = map[device]bool{}
		}
		found[p.scope][p.at] = true
	}
	return found
}

// levels orders the parts of a PDU or a node, by the first word of what comes last in a device's id.
var levels = map[string]int{
	"total": 1, "unit": 1, "bmc": 1, "chassis": 1, "dcmi": 1, "system": 1,
	"inlet": 2, "input": 2, "infeed": 2, "mains": 2, "cord": 2,
	"phase": 3, "pole": 3, "line": 3,
	"bank": 4, "branch": 4, "circuit": 4, "breaker": 4, "group": 4, "section": 4,
	"outlet": 5, "psu": 5, "supply": 5, "powersupply": 5,
}

// level returns where a device is among the parts of its parent, and the parent; 0: not known.
func (d device) level() (n int, parent string) {
	parent, last := "", d.id
	if i := strings.LastIndexByte(d.id, '/'); i >= 0 {
		parent, last = d.id[:i], d.id[i+1:]
	}
	word := strings.ToLower(last)
	if i := strings.IndexFunc(word, func(r rune) bool { return r < 'a' || r > 'z' }); i >= 0 {
		word = word[:i]
	}
	return levels[word], parent
}

// wholeOf returns the device of the list that part is a part of, the largest if there are several.
func wholeOf(part device, list []device) (whole device, ok bool) {
	level, parent := part.level()
	best := level
	for _, k := range list {
		if k.host != part.host || k == part {
			continue
		}
		if strings.HasPrefix(part.id, k.id+"/") || strings.HasPrefix(part.id, "MIG-") && strings.HasPrefix(k.id, "GPU-") {
			return k, true
		}
		if n, p := k.level(); p == parent && n > 0 && n < best {
			whole, ok, best = k, true, n
		}
	}
	return whole, ok
}
