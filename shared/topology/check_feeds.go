package topology

import (
	"slices"
	"strings"
)

// feeds finds nodes of which only one of several feeds is named or metered, and power supplies that do not match.
func (c *checker) feeds() {
	for _, n := range c.nodes {
		owner := "node " + n.name
		named, dark := c.feedsOf(n)
		if len(named) > 0 && len(dark) > 0 && len(dark) < len(named) {
			c.add(Error, OneFeed, owner, nil, "it is fed by %s, and %s not metered: that part of its power is missing", words(named), is(dark))
		}
		rack := c.rackFeeds(n.rack)
		lacks := slices.DeleteFunc(slices.Clone(rack), func(f string) bool { return slices.Contains(named, f) })
		switch {
		case len(n.fedBy) > 0 && len(lacks) > 0 && n.supplies != 1:
			c.add(Warning, OneFeed, owner, nil, "it is fed by %s only, and its rack also has %s: is a cord missing from the file?", words(named), words(lacks))
		case len(n.fedBy) == 0 && n.supplies > 1 && len(rack) == 1:
			c.add(Warning, OneFeed, owner, nil, "it has %d power supplies, and its rack has %s only", n.supplies, words(rack))
		}
		if outlets := c.outletsOf(n.fedBy); outlets > 0 && n.supplies > 0 && outlets != n.supplies {
			c.add(Warning, Supplies, owner, nil, "it has %d power supplies and is fed by %d outlets", n.supplies, outlets)
		}
	}
}

// words names feeds: feed A and feed B.
func words(feeds []string) string { return "feed " + strings.Join(feeds, " and feed ") }

func is(feeds []string) string {
	if len(feeds) == 1 {
		return words(feeds) + " is"
	}
	return words(feeds) + " are"
}

// feedsOf lists the feeds of a node, and those of them of which an input is not metered.
func (c *checker) feedsOf(n *node) (named, dark []string) {
	for _, i := range c.inputsOf(n) {
		if i.feed == "" {
			continue
		}
		named = append(named, i.feed)
		if !i.found {
			dark = append(dark, i.feed)
		}
	}
	slices.Sort(named)
	slices.Sort(dark)
	return slices.Compact(named), slices.Compact(dark)
}

// inputsOf lists the inputs that feed a node: those that it names, or all that feed nothing else in its rack.
func (l *layout) inputsOf(n *node) (list []*input) {
	for _, name := range n.fedBy {
		if f := l.feeders[name]; f != nil && !slices.Contains(list, f.input) {
			list = append(list, f.input)
		}
	}
	for _, r := range l.racks {
		if len(n.fedBy) == 0 && n.rack != "" && r.name == n.rack {
			list = append(list, l.lowest(r)...)
		}
	}
	return list
}

// lowest lists the inputs of a rack that feed no other input.
func (l *layout) lowest(r *rack) (list []*input) {
	above := map[*input]bool{}
	for _, o := range l.racks {
		for _, i := range o.inputs {
			for _, name := range i.fedBy {
				if f := l.feeders[name]; f != nil {
					above[f.input] = true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(r.inputs), func(i *input) bool { return above[i] })
}

// rackFeeds lists the feeds of a rack.
func (c *checker) rackFeeds(name string) (feeds []string) {
	for _, r := range c.racks {
		for _, i := range r.inputs {
			if r.name == name && i.feed != "" {
				feeds = append(feeds, i.feed)
			}
		}
	}
	slices.Sort(feeds)
	return slices.Compact(feeds)
}

// outletsOf counts the outlets among what feeds something.
func (c *checker) outletsOf(fedBy []string) (n int) {
	for _, name := range fedBy {
		if f := c.feeders[name]; f != nil && f.outlet != nil {
			n++
		}
	}
	return n
}

// consumed finds outlets that feed nothing, of inputs of which some outlet feeds something.
func (c *checker) consumed() {
	used, idle := map[*input]bool{}, map[*input][]*outlet{}
	for _, o := range c.outlets {
		if len(c.feeders[o.name].consumers) > 0 {
			used[o.input] = true
		} else {
			idle[o.input] = append(idle[o.input], o)
		}
	}
	for i, list := range idle {
		var metered, others []string
		for _, o := range list {
			if o.found {
				metered = append(metered, o.name)
			} else {
				others = append(others, o.name)
			}
		}
		owner := "input " + i.ref
		switch {
		case !used[i]:
			c.add(Info, NoConsumer, owner, slices.Concat(metered, others), "the file does not say what these outlets feed")
			continue
		case len(metered) > 0:
			c.add(Warning, NoConsumer, owner, metered, "metered outlets that feed nothing the file names: is something plugged in?")
		}
		if len(others) > 0 {
			c.add(Info, NoConsumer, owner, others, "outlets that feed nothing the file names")
		}
	}
}

// shared lists equipment whose power is not measured.
func (c *checker) shared() {
	for _, e := range c.equipment {
		inside := ""
		if e.rack != "" {
			inside = "; the inputs of rack " + e.rack + " hold it"
		}
		switch {
		case e.out != "":
			c.add(Info, NotIncluded, "equipment "+e.name, nil, "not metered: %s%s", e.out, inside)
		case e.most > 0:
			c.add(Info, NotIncluded, "equipment "+e.name, nil, "not metered: at most %v by its maker's document%s", e.most, inside)
		}
	}
}
