package redfish

import (
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"agentwatt/shared/power"
)

// enclosure is a chassis with what it says about its power.
type enclosure struct {
	*thing
	total  bool        // a document has the power or energy of the whole
	power  bool        // that is in EnvironmentMetrics; otherwise only the older Power has it
	within bool        // it is part of another one that is metered
	scope  power.Scope // what its total is
}

// enclosures finds the meters of chassis: each outermost one is a node, or a rack where it is a power shelf; what is
// inside one, and every power supply, is a part.
func (w *walk) enclosures(at schemas.Link) {
	if at == "" {
		return
	}
	var list []*enclosure
	for _, t := range w.things(at) {
		e := &enclosure{thing: t, scope: power.Component}
		if r, err := w.document(t.EnvironmentMetrics.String()); err == nil {
			e.power = r.PowerWatts.Present
			e.total = len(r.offers(watts, joules, energy)) > 0
		}
		if r, err := w.document(t.Power.String()); err == nil {
			e.total = e.total || len(r.offers(consumed)) > 0
		}
		list = append(list, e)
	}
	// Chassis that say which computer they hold are the better witnesses of what a node is.
	slices.SortStableFunc(list, func(a, b *enclosure) int { return holds(b) - holds(a) })
	w.whole(list)
	for _, e := range list {
		w.enclosure(e)
	}
}

func holds(e *enclosure) int { return min(len(e.Links.ComputerSystems), 1) }

// partTypes are kinds of chassis that are never a whole node.
var partTypes = []text{"Module", "Component", "Card", "Cartridge", "Zone", "Expansion", "IPBasedDrive", "HeatExchanger"}

// whole decides which enclosures are a node or rack, so that each computer is covered by one at most.
func (w *walk) whole(list []*enclosure) {
	byURI := map[string]*enclosure{}
	for _, e := range list {
		byURI[e.ODataID] = e
	}
	claimed, any := map[string]bool{}, false
	for _, e := range list {
		outer := byURI[e.Links.ContainedBy.String()]
		for depth := 0; outer != nil && depth < len(list); depth++ {
			e.within = e.within || outer.total
			outer = byURI[outer.Links.ContainedBy.String()]
		}
		if e.within || w.owned[e.ODataID] || slices.Contains(partTypes, e.ChassisType) || any && holds(e) == 0 {
			continue
		}
		if slices.ContainsFunc(e.Links.ComputerSystems, func(s schemas.Link) bool { return claimed[s.String()] }) {
			continue
		}
		for _, s := range e.Links.ComputerSystems {
			claimed[s.String()] = true
		}
		any = true
		e.scope = power.Node
		if s, ok := w.inner[e.ODataID]; ok {
			e.scope = s
		} else if shelf(e.thing) {
			e.scope = power.Rack
		}
	}
}

// shelf reports whether a chassis is a power shelf. Those of GB200 racks have no PowerEquipment and do not all say what
// type of chassis they are, but are called so.
func shelf(t *thing) bool {
	name := strings.ToLower(t.ODataID[strings.LastIndexByte(t.ODataID, '/')+1:])
	name = strings.NewReplacer("-", "", "_", "", " ", "").Replace(name)
	return strings.Contains(name, "powershelf") || slices.Contains([]text{"Rack", "Shelf", "PowerStrip"}, t.ChassisType)
}

// enclosure lists the meters of one chassis and of its power supplies.
func (w *walk) enclosure(e *enclosure) {
	device := w.device(e.ODataID)
	switch {
	case w.owned[e.ODataID]:
		if e.total {
			w.lacks(e.ODataID, "its total is that of power equipment that is metered")
		}
	case e.total:
		w.identity(device, e.thing)
		w.measure(e.EnvironmentMetrics.String(), part{device, e.scope}, e.thing, watts, joules, energy)
		if e.scope != power.Component {
			w.conform(device, e.EnvironmentMetrics.String())
		}
		if !e.power {
			w.legacy(e, device)
		}
	}
	supply := power.Component
	if !e.total && e.scope != power.Component {
		// Nothing has the total. It is not made up as a sum here: each supply's input is a device of its own, and whoever
		// adds over devices gets the whole.
		supply = e.scope
	}
	if w.parts || supply != power.Component {
		w.supplies(e, supply)
	}
}

// legacy lists what the older Power says: the first entry is the whole, others are domains of it.
func (w *walk) legacy(e *enclosure, device string) {
	uri := e.Power.String()
	r, err := w.document(uri)
	if err != nil {
		return
	}
	for _, p := range r.offers(consumed) {
		of := part{device, e.scope}
		if p.index > 0 {
			of = part{device + "/" + p.name(), power.Component}
		}
		w.add(uri, r, p, of, e.thing)
	}
}

// supplies lists the power supplies of a chassis: the input, with the energy, is one thing; the output another, so that
// the loss between them can be seen; rails are parts of the output.
func (w *walk) supplies(e *enclosure, scope power.Scope) {
	if e.PowerSubsystem == "" {
		return
	}
	sub, err := w.get(e.PowerSubsystem.String())
	if err != nil {
		w.lacks(e.PowerSubsystem.String(), "%v", err)
		return
	}
	for _, s := range w.things(sub.PowerSupplies) {
		uri, device := s.Metrics.String(), w.device(s.ODataID)
		if uri == "" {
			w.lacks(s.ODataID, "it has no Metrics")
			continue
		}
		if w.measure(uri, part{device, scope}, s, input, joules, energy) && scope != power.Component {
			w.identity(device, s)
		}
		if !w.parts {
			continue
		}
		w.measure(uri, part{device + "/output", power.Component}, s, output)
		if r := w.read[uri]; r != nil {
			for _, p := range r.offers(rail) {
				w.add(uri, r, p, part{device + "/" + p.name(), power.Component}, s)
			}
		}
	}
}

// processors lists what the BMC knows of processors, accelerators among them. These are copies, out of band, of what the
// driver on the host says (NVML, AMD SMI) under another name, so they are parts: counting both would double them.
func (w *walk) processors(at schemas.Link) {
	if at == "" || !w.parts {
		return
	}
	for _, system := range w.things(at) {
		for _, p := range w.things(system.Processors) {
			if p.EnvironmentMetrics != "" {
				w.measure(p.EnvironmentMetrics.String(), part{w.device(p.ODataID), power.Component}, p, watts, joules, energy)
			}
		}
	}
}
