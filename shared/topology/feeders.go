package topology

import "slices"

// feeder is what a name in fed_by means.
type feeder struct {
	input     *input
	outlet    *outlet  // nil: the input itself
	consumers []string // owners fed by it, each once
}

// connect notes who is fed by what.
func (l *layout) connect() {
	for _, r := range l.racks {
		for _, i := range r.inputs {
			l.feeders[i.ref] = &feeder{input: i}
		}
	}
	for _, o := range l.outlets {
		l.feeders[o.name] = &feeder{input: o.input, outlet: o}
	}
	for _, c := range l.consumers() {
		for _, name := range c.fedBy {
			if f := l.feeders[name]; f != nil && !slices.Contains(f.consumers, c.owner) {
				f.consumers = append(f.consumers, c.owner)
			}
		}
	}
}

// consumer is whatever names what feeds it.
type consumer struct {
	owner string
	fedBy []string
}

func (l *layout) consumers() (list []consumer) {
	for _, r := range l.racks {
		for _, i := range r.inputs {
			list = append(list, consumer{"input " + i.ref, i.fedBy})
		}
	}
	for _, n := range l.nodes {
		list = append(list, consumer{"node " + n.name, n.fedBy})
	}
	for _, e := range l.equipment {
		list = append(list, consumer{"equipment " + e.name, e.fedBy})
	}
	return list
}
