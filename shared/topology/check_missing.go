package topology

import (
	"slices"

	"agentwatt/shared/power"
)

// missing finds devices that the file expects and nothing meters where they are expected.
func (c *checker) missing() {
	for _, p := range c.places {
		switch {
		case len(p.several) > 1: // said already
		case !p.found && p.other != nil:
			c.add(Info, NotMetered, p.owner, []string{p.ref}, "another name of %s, and nothing is metered by it", p.other.ref)
		case !p.found:
			c.add(Error, NotMetered, p.owner, []string{p.ref}, "expected, and nothing meters it%s%s", c.scopeWords(p), c.instead(p))
		case c.wander(p):
			c.add(Error, WrongNode, p.owner, c.called(p.at), "metered on host %s, not here: was it moved?", p.at.host)
		case p.declared && !c.index.at(p.at, p.scope):
			c.add(Error, WrongScope, p.owner, c.called(p.at), "to be counted at scope %s, but metered at %s only", p.scope, c.scopesOf(p.at))
		case !p.declared && p.scope == power.Component && !c.inRack(p):
			c.add(Warning, WrongScope, p.owner, c.called(p.at), "metered at %s only, and in no rack: no figure holds it", c.scopesOf(p.at))
		}
	}
	c.byNumber()
	c.surplus()
}

// byNumber lists the accelerators that the file does not name.
func (c *checker) byNumber() {
	for _, n := range c.nodes {
		var list []device
		for _, p := range n.accelerators {
			if p.unnamed && p.found {
				list = append(list, p.at)
			}
		}
		if len(list) > 0 {
			c.add(Info, ByCount, "node "+n.name, c.called(list...), "expected by number only: a swapped device goes unnoticed; name them")
		}
	}
}

// inRack reports whether the equipment of a place is behind the inputs of a rack.
func (c *checker) inRack(p *place) bool {
	return slices.ContainsFunc(c.equipment, func(e *equipment) bool { return e.rack != "" && slices.Contains(e.measured, p) })
}

func (c *checker) scopeWords(p *place) string {
	if !p.declared {
		return ""
	}
	return " at scope " + string(p.scope)
}

// instead names what may be meant by a device that is not metered.
func (c *checker) instead(p *place) string {
	placed := c.placed("")
	var free []string
	for _, o := range c.places {
		if o.other == p && o.found {
			return "; its other name " + c.index.name(o.at) + " is metered: put that first"
		}
	}
	for _, k := range c.index.list {
		if placed[k] == nil && c.index.at(k, p.scope) && (p.host == "" || k.host == p.host) {
			free = append(free, k.id)
		}
	}
	return suggest(p.ref, free)
}

// wander reports whether a node's own device was found on another node of the file.
func (c *checker) wander(p *place) bool {
	return p.host != "" && p.at.host != p.host && slices.ContainsFunc(c.nodes, func(n *node) bool { return n.name == p.at.host })
}

// scopesOf lists the scopes at which a device is metered.
func (c *checker) scopesOf(k device) (text string) {
	var scopes []string
	for _, m := range c.index.meters[k] {
		scopes = append(scopes, string(m.Scope))
	}
	slices.Sort(scopes)
	for i, s := range slices.Compact(scopes) {
		if i > 0 {
			text += " and "
		}
		text += s
	}
	return text
}

// surplus finds hosts with more accelerators than the file says by number.
func (c *checker) surplus() {
	placed := c.placed(power.Accelerator)
	for _, n := range c.nodes {
		byNumber := slices.ContainsFunc(n.accelerators, func(p *place) bool { return p.unnamed })
		var spare []device
		for _, k := range c.index.list {
			if byNumber && k.host == n.name && c.index.at(k, power.Accelerator) && placed[k] == nil {
				spare = append(spare, k)
			}
		}
		if len(spare) > 0 {
			c.explain(spare...)
			all := slices.Clone(spare)
			for _, p := range n.accelerators {
				if p.unnamed {
					all = append(all, p.at)
				}
			}
			c.add(Error, WrongCount, "node "+n.name, c.called(all...), "%d accelerators are metered and the file says %d: name those that count", len(all), len(all)-len(spare))
		}
	}
}

// unplaced finds what is metered at a headline scope and has no place, as far as nothing else was said about it.
func (c *checker) unplaced() {
	placed := c.placed("")
	for _, o := range c.outlets {
		if o.found {
			c.explain(o.at)
		}
	}
	for _, p := range c.places {
		c.explain(p.several...)
	}
	for _, k := range c.index.list {
		if placed[k] != nil || c.explained[k] {
			continue
		}
		for _, s := range []power.Scope{power.Accelerator, power.Module, power.Node, power.Rack} {
			if c.index.at(k, s) {
				c.add(Warning, NotPlaced, "host "+k.host, c.called(k), "metered at scope %s, but in no place of the file: not counted", s)
			}
		}
	}
}
