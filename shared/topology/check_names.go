package topology

import "slices"

// names finds references to what the file does not name, names used twice, and device names that several hosts use.
func (c *checker) names() {
	var racks, feeders []string
	for _, r := range c.racks {
		racks = append(racks, r.name)
	}
	for name := range c.feeders {
		feeders = append(feeders, name)
	}
	rack := func(place, name string) {
		if name != "" && !slices.Contains(racks, name) {
			c.add(Error, UnknownName, place, nil, "it stands in rack %s, which the file does not name%s", name, suggest(name, racks))
		}
	}
	for _, n := range c.nodes {
		rack("node "+n.name, n.rack)
	}
	for _, e := range c.equipment {
		rack("equipment "+e.name, e.rack)
	}
	for _, x := range c.consumers() {
		for _, name := range x.fedBy {
			if c.feeders[name] == nil {
				c.add(Error, UnknownName, x.owner, nil, "it is fed by %s, which is no outlet or input of the file%s", name, suggest(name, feeders))
			}
		}
	}
	c.sameNames()
	for _, p := range c.places {
		if len(p.several) > 1 {
			c.add(Error, Ambiguous, p.owner, c.called(p.several...), "%s may mean any of several devices: write which, if need be as host/device", p.ref)
		}
	}
}

// sameNames finds entries and outlets that share a name.
func (c *checker) sameNames() {
	seen := map[string]int{}
	for _, r := range c.racks {
		seen["rack "+r.name]++
	}
	for _, n := range c.nodes {
		seen["node "+n.name]++
	}
	for _, e := range c.equipment {
		seen["equipment "+e.name]++
	}
	for _, o := range c.outlets {
		seen["outlet "+o.name]++
	}
	for name, n := range seen {
		if n > 1 {
			c.add(Error, SameName, name, nil, "the file names it %d times", n)
		}
	}
}

// cycles finds inputs that feed themselves through others.
func (c *checker) cycles() {
	const begun, done = 1, 2
	state := map[*input]int{}
	var path []*input
	var visit func(i *input)
	visit = func(i *input) {
		switch state[i] {
		case begun:
			var names []string
			for _, x := range path[slices.Index(path, i):] {
				names = append(names, x.ref)
			}
			c.add(Error, Cycle, "rack "+least(path[slices.Index(path, i):]).rack.name, names, "these inputs feed each other in a circle")
			return
		case done:
			return
		}
		state[i] = begun
		path = append(path, i)
		for _, name := range i.fedBy {
			if f := c.feeders[name]; f != nil {
				visit(f.input)
			}
		}
		path = path[:len(path)-1]
		state[i] = done
	}
	for _, i := range c.inputsInOrder() {
		visit(i)
	}
}

// least returns the input of the first name in natural order.
func least(list []*input) *input {
	return slices.MinFunc(list, func(a, b *input) int { return natural(a.ref, b.ref) })
}

// inputsInOrder lists all inputs by name, so that a circle is found from the same end whatever the order of the file.
func (c *checker) inputsInOrder() (list []*input) {
	for _, r := range c.racks {
		list = append(list, r.inputs...)
	}
	slices.SortStableFunc(list, func(a, b *input) int { return natural(a.ref, b.ref) })
	return list
}

// hosts finds one device on the streams of several hosts: a machine under two names, or one polled by two.
func (c *checker) hosts() {
	for id, list := range c.index.byID {
		if len(list) < 2 || !unique(id) {
			continue
		}
		c.explain(list...)
		c.add(Error, TwoHosts, "", c.called(list...), "one device on the streams of %d hosts: meter it from one, or each of them counts it", len(list))
	}
}
