package topology

import (
	"fmt"

	"agentwatt/shared/power"
)

// layout is a file with every range written out and every name looked up among what is metered.
type layout struct {
	index     *index
	racks     []*rack
	nodes     []*node
	equipment []*equipment
	places    []*place
	outlets   []*outlet
	feeders   map[string]*feeder // by the name of an outlet or input
}

// place is one position of the topology at which a device is metered, or ought to be.
type place struct {
	scope    power.Scope
	owner    string // the entry: "node gpu01"
	host     string // whose own device it is; empty: anybody's
	ref      string // as the file names it
	at       device
	found    bool
	several  []device // that ref may mean, where it is not clear
	other    *place   // the place of which this is another name; nil: it is a place of its own
	uncount  string   // why it is not counted at its scope; empty: it is
	unnamed  bool     // the file gives only a number of devices
	declared bool     // its scope is fixed by the file; equipment is metered at whatever scope it is
}

type rack struct {
	name   string
	dc     bool
	inputs []*input
}

type input struct {
	*place
	rack  *rack
	feed  string
	fedBy []string
}

type outlet struct {
	name  string
	input *input
	at    device
	found bool
}

type node struct {
	name         string
	rack         string
	inputs       []*place
	supplies     int
	fedBy        []string
	accelerators []*place // in no module
	modules      []*module
}

type module struct {
	*place
	accelerators []*place // as far as it is known which are its own
	count        int      // accelerators of which only the number is known
}

type equipment struct {
	name     string
	rack     string
	measured []*place
	most     power.Power // by its maker's document
	out      string      // why it is not included
	fedBy    []string
}

// lay writes the file out.
func (f File) lay(d Discovered) *layout {
	l := &layout{index: newIndex(d), feeders: map[string]*feeder{}}
	for _, r := range f.Racks {
		l.addRack(r)
	}
	for _, n := range f.Nodes {
		names := each(n.Name)
		for i, name := range names {
			l.addNode(n, name, i, len(names))
		}
	}
	for _, e := range f.Equipment {
		names := each(e.Name)
		for i, name := range names {
			l.addEquipment(e, name, i, len(names))
		}
	}
	l.lookUp()
	l.fillCounts()
	l.connect()
	return l
}

// put adds the place of a device.
func (l *layout) put(s power.Scope, owner, host, ref string) *place {
	p := &place{scope: s, owner: owner, host: host, ref: ref, declared: true}
	l.places = append(l.places, p)
	return p
}

// also adds the other names of a place.
func (l *layout) also(p *place, names []string) {
	for _, n := range names {
		o := l.put(p.scope, p.owner, p.host, n)
		o.other, o.uncount = p, "another name of "+p.ref
	}
}

func (l *layout) addRack(r Rack) {
	to := &rack{name: r.Name, dc: r.Delivers == DC}
	l.racks = append(l.racks, to)
	owner := "rack " + r.Name
	for _, in := range r.Inputs {
		devices := each(in.Device)
		for i, name := range devices {
			x := &input{place: l.put(power.Rack, owner, "", name), rack: to, feed: in.Feed, fedBy: step(in.FedBy, name, i, len(devices))}
			to.inputs = append(to.inputs, x)
			l.also(x.place, step(in.Also, name, i, len(devices)))
			if len(x.fedBy) > 0 {
				x.uncount = "behind " + x.fedBy[0]
			}
			for _, o := range own(in.Outlets, r.Name) {
				l.outlets = append(l.outlets, &outlet{name: o, input: x})
			}
		}
	}
}

func (l *layout) addNode(n Node, name string, i, of int) {
	to := &node{name: name, rack: n.Rack, supplies: n.Supplies, fedBy: step(n.FedBy, name, i, of)}
	l.nodes = append(l.nodes, to)
	owner := "node " + name
	for _, ref := range own(n.Input, name) {
		to.inputs = append(to.inputs, l.put(power.Node, owner, name, ref))
	}
	if len(to.inputs) > 0 {
		l.also(to.inputs[0], own(n.Also, name))
	}
	to.accelerators = l.members(n.Accelerators, owner, name)
	for _, m := range n.Modules {
		devices := own(Names{m.Device}, name)
		for k, ref := range devices {
			x := &module{place: l.put(power.Module, owner, name, ref)}
			l.also(x.place, step(m.Also, name, k, len(devices)))
			if x.accelerators = l.members(Members{Names: m.Accelerators.Names}, owner, name); len(x.accelerators) == 0 {
				x.count = m.Accelerators.Count
			}
			to.modules = append(to.modules, x)
			to.accelerators = append(to.accelerators, l.members(Members{Count: x.count}, owner, name)...)
		}
	}
}

// members adds the places of accelerators. Those of which only the number is known are looked up later.
func (l *layout) members(m Members, owner, host string) (list []*place) {
	for _, ref := range own(m.Names, host) {
		list = append(list, l.put(power.Accelerator, owner, host, ref))
	}
	for i := 0; len(m.Names) == 0 && i < m.Count; i++ {
		p := l.put(power.Accelerator, owner, host, "")
		p.unnamed = true
		list = append(list, p)
	}
	return list
}

func (l *layout) addEquipment(e Equipment, name string, i, of int) {
	to := &equipment{name: name, rack: e.Rack, most: power.Power(e.MaxWatts * float64(power.Watt)), out: e.NotIncluded, fedBy: step(e.FedBy, name, i, of)}
	l.equipment = append(l.equipment, to)
	for _, ref := range step(e.Measured, name, i, of) {
		p := l.put(power.Node, "equipment "+name, "", ref)
		p.declared = false
		to.measured = append(to.measured, p)
	}
}

// lookUp finds the devices that places and outlets mean.
func (l *layout) lookUp() {
	x := finder{l.index, map[string]bool{}}
	for _, n := range l.nodes {
		x.nodes[n.name] = true
	}
	for _, p := range l.places {
		scopes := []power.Scope{p.scope}
		if !p.declared {
			scopes = []power.Scope{power.Rack, power.Node}
		}
		if !p.unnamed {
			p.at, p.found, p.several = x.find(p.ref, p.host, scopes...)
		}
	}
	for _, e := range l.equipment {
		for _, p := range e.measured {
			switch {
			case !p.found && e.rack == "": // what has an input of its own is metered like a rack, until it is seen
				p.scope = power.Rack
			case p.found && l.index.at(p.at, power.Rack):
				p.scope = power.Rack
				if e.rack != "" {
					p.uncount = "behind the inputs of rack " + e.rack
				}
			case p.found && !l.index.at(p.at, power.Node):
				p.scope, p.uncount = power.Component, "metered as a part of something: it counts in the balance only"
			}
		}
	}
	for _, o := range l.outlets {
		o.at, o.found, _ = x.find(o.name, "")
	}
}

// fillCounts gives the accelerators of which a file states only the number the names of those that the host meters.
func (l *layout) fillCounts() {
	placed := l.placed(power.Accelerator)
	for _, n := range l.nodes {
		var free []device
		for _, k := range l.index.list {
			if k.host == n.name && l.index.at(k, power.Accelerator) && placed[k] == nil {
				free = append(free, k)
			}
		}
		unnamed := 0
		for _, p := range n.accelerators {
			if !p.unnamed {
				continue
			}
			if unnamed < len(free) {
				p.at, p.ref, p.found = free[unnamed], free[unnamed].id, true
			} else {
				p.ref = fmt.Sprintf("accelerator #%d", unnamed+1)
				p.at = device{n.name, p.ref}
			}
			unnamed++
		}
	}
}

// placed lists the places of every device at a scope; scope "" is any.
func (l *layout) placed(s power.Scope) map[device][]*place {
	found := map[device][]*place{}
	for _, p := range l.places {
		if (s == "" || p.scope == s) && p.ref != "" {
			found[p.at] = append(found[p.at], p)
		}
	}
	return found
}
