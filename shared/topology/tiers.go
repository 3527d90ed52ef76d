package topology

import (
	"fmt"
	"slices"

	"agentwatt/shared/power"
)

// balancer makes the tiers of a layout.
type balancer struct {
	*layout
	uses  map[of]power.Use
	tiers []Tier
}

// reading is a device that a tier needs, at the scope at which it is to be read.
type reading struct {
	of
	name string
}

// need makes the readings of places.
func (b *balancer) need(places []*place) (list []reading) {
	for _, p := range places {
		list = append(list, reading{of{p.at, p.scope}, b.index.name(p.at)})
	}
	return list
}

// modulesOf balances the accelerators of each module of a node; or all together, where the file does not say which is where.
func (b *balancer) modulesOf(n *node) {
	owner := "node " + n.name
	together := slices.ContainsFunc(n.modules, func(m *module) bool { return m.count > 0 })
	var modules, accelerators []*place
	for _, m := range n.modules {
		modules = append(modules, m.place)
		accelerators = append(accelerators, m.accelerators...)
		if !together && len(m.accelerators) > 0 {
			b.add(tierModule, owner+" "+m.ref, b.need([]*place{m.place}), b.need(m.accelerators), inside, 0, []string{"CPU and memory of the module"})
		}
	}
	for _, p := range n.accelerators {
		if p.unnamed {
			accelerators = append(accelerators, p)
		}
	}
	if together {
		b.add(tierModules, owner, b.need(modules), b.need(accelerators), inside, 0, []string{"CPU and memory of the modules"})
	}
}

// below lists the largest parts of a node that are metered: its modules and the accelerators in none; else its accelerators
// and CPU packages. Memory has meters of its own on some hosts, but those of an accelerator are inside it.
func (b *balancer) below(n *node) (list []reading) {
	alone := n.accelerators
	for _, m := range n.modules {
		list = append(list, b.need([]*place{m.place})...)
	}
	if len(n.modules) > 0 {
		alone = slices.DeleteFunc(slices.Clone(alone), func(p *place) bool { return p.unnamed })
		return append(list, b.need(alone)...)
	}
	list = b.need(alone)
	for _, k := range b.index.list {
		if k.host == n.name && b.index.at(k, power.CPU) {
			list = append(list, reading{of{k, power.CPU}, b.index.name(k)})
		}
	}
	return list
}

// partsOf balances the parts of a node with its input.
func (b *balancer) partsOf(n *node) {
	parts := b.below(n)
	if len(n.inputs) == 0 || len(parts) == 0 {
		return
	}
	lost := behindSupply
	if b.busbar(n) {
		lost = inside
	}
	open := "fans, storage, network and power supplies of the node"
	if !slices.ContainsFunc(parts, func(r reading) bool { return r.scope != power.Accelerator }) {
		open = "CPUs, memory, " + open
	}
	b.add(tierNode, "node "+n.name, b.need(n.inputs), parts, lost, 0, []string{open})
}

// busbar reports whether a node gets direct current: its input is behind the conversion.
func (b *balancer) busbar(n *node) bool {
	return slices.ContainsFunc(b.racks, func(r *rack) bool { return r.name == n.rack && n.rack != "" && r.dc })
}

// cordsOf balances a node with the outlets that feed it, where all of them are metered.
func (b *balancer) cordsOf(n *node) {
	var outlets []reading
	for _, name := range n.fedBy {
		f := b.feeders[name]
		if f == nil || f.outlet == nil || !f.outlet.found || len(f.consumers) > 1 {
			return
		}
		outlets = append(outlets, b.outlet(f.outlet))
	}
	if len(outlets) > 0 && len(n.inputs) > 0 {
		b.add(tierCords, "node "+n.name, outlets, b.need(n.inputs), noConversion, 0, nil)
	}
}

// outlet makes the reading of an outlet, at the scope at which it is metered: component, unless its source says otherwise.
func (b *balancer) outlet(o *outlet) reading {
	scope := power.Component
	if !b.index.at(o.at, scope) {
		scope = b.index.meters[o.at][0].Scope
	}
	return reading{of{o.at, scope}, b.index.name(o.at)}
}

// outletsOfInput balances the metered outlets of an input with it.
func (b *balancer) outletsOfInput(i *input) {
	var metered []reading
	var open []string
	for _, o := range b.outlets {
		if o.input != i {
			continue
		}
		if o.found {
			metered = append(metered, b.outlet(o))
		} else {
			open = append(open, o.name)
		}
	}
	if len(metered) == 0 {
		return
	}
	lost := noConversion
	if len(open) > 0 {
		lost, open = inside, []string{fmt.Sprintf("%d outlets", len(open))}
	}
	b.add(tierOutlets, "input "+i.ref, b.need([]*place{i.place}), metered, lost, 0, open)
}

// inputsAbove balances inputs that are fed by others of the same rack with those.
func (b *balancer) inputsAbove(r *rack) {
	var above, below []*place
	for _, i := range r.inputs {
		if len(i.fedBy) == 0 {
			above = append(above, i.place)
		}
	}
	for _, i := range b.lowest(r) {
		below = append(below, i.place)
	}
	if len(above) > 0 && len(below) > 0 && !slices.Equal(above, below) {
		b.add(tierInputs, "rack "+r.name, b.need(above), b.need(below), noConversion, 0, nil)
	}
}

// nodesOf balances the nodes and equipment of a rack with the inputs that feed them. A node without a meter of its input is
// stood in for by its metered parts, and what it draws besides is not known.
func (b *balancer) nodesOf(r *rack) {
	var inputs []*place
	for _, i := range b.lowest(r) {
		inputs = append(inputs, i.place)
	}
	var below []reading
	var open []string
	for _, n := range b.nodes {
		switch {
		case n.rack != r.name:
		case len(n.inputs) > 0:
			below = append(below, b.need(n.inputs)...)
		default:
			below = append(below, b.below(n)...)
			open = append(open, "what node "+n.name+" draws besides its metered parts")
		}
	}
	var modelled power.Power
	for _, e := range b.equipment {
		switch {
		case e.rack != r.name:
		case e.out != "":
			open = append(open, "equipment "+e.name+" ("+e.out+")")
		default:
			modelled += e.most
			for _, p := range e.measured {
				below = append(below, reading{of{p.at, p.scope}, b.index.name(p.at)})
			}
		}
	}
	if len(inputs) == 0 || len(below) == 0 {
		return
	}
	lost := noConversion
	if r.dc {
		lost = oneSupply
	}
	if len(open) > 0 {
		lost.most = -1
	}
	b.add(tierRack, "rack "+r.name, b.need(inputs), below, lost, modelled, open)
}
