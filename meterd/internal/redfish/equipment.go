package redfish

import (
	"strings"

	"github.com/stmcginnis/gofish/schemas"

	"agentwatt/shared/power"
)

// equipment finds the meters of power equipment. The inputs of rack PDUs and power shelves are the rack. A floor PDU feeds
// racks, so it is the rack only where nothing nearer is there. A bus lies between two of these and is always a part.
func (w *walk) equipment(at schemas.Link) {
	if at == "" {
		return
	}
	e, err := w.get(at.String())
	if err != nil {
		w.lacks(at.String(), "%v", err)
		return
	}
	near := false
	for _, d := range append(w.things(e.RackPDUs), w.things(e.PowerShelves)...) {
		scope := power.Rack
		if w.fed(d) {
			scope = power.Component
			w.lacks(d.ODataID, "no total: it is fed by a rack PDU of this service, which is metered")
		}
		near = w.distribution(d, scope) || near
	}
	floor := power.Rack
	if near {
		floor = power.Component
	}
	for _, d := range w.things(e.FloorPDUs) {
		w.distribution(d, floor)
	}
	for _, d := range w.things(e.ElectricalBuses) {
		w.distribution(d, power.Component)
	}
}

// distribution finds the meters of one PDU, shelf or bus, and reports whether its whole is metered.
func (w *walk) distribution(d *thing, scope power.Scope) bool {
	device := w.device(d.ODataID)
	w.identity(device, d)
	whole := w.measure(d.Metrics.String(), part{device, scope}, d, watts, joules, energy)
	w.conform(device, d.Metrics.String())
	inlet := power.Component
	if !whole {
		inlet = scope // what comes in through the mains, each its own feed, is the whole
	}
	for _, uri := range w.members(d.Mains.String()) {
		if w.circuit(uri, inlet, d) {
			whole = true
		}
	}
	for _, c := range d.Links.Chassis {
		if whole {
			w.owned[c.String()] = true
		} else {
			w.inner[c.String()] = scope
		}
	}
	if w.parts {
		for _, group := range []schemas.Link{d.Branches, d.Feeders, d.Outlets} {
			for _, uri := range w.members(group.String()) {
				w.circuit(uri, power.Component, d)
			}
		}
	}
	return whole
}

// circuit finds the meters of a circuit or outlet.
func (w *walk) circuit(uri string, scope power.Scope, of *thing) bool {
	found := w.measure(uri, part{w.device(uri), scope}, of, watts, joules, energy)
	if r := w.read[uri]; !found && r != nil {
		reason := "it has no PowerWatts and no energy"
		if r.PolyPhasePowerWatts != (phases{}) {
			reason = "it has the power of single phases only, which is not added up"
		}
		w.lacks(uri, "%s", reason)
	}
	return found
}

// fed reports whether one of the mains of d says that it comes from a rack PDU of the same service.
func (w *walk) fed(d *thing) bool {
	if strings.Contains(d.ODataID, "/RackPDUs/") {
		return false
	}
	for _, main := range w.things(d.Mains) {
		for _, from := range []schemas.Link{main.Links.PowerOutlet, main.Links.SourceCircuit} {
			if strings.HasPrefix(from.String(), "/redfish/v1/PowerEquipment/RackPDUs/") {
				return true
			}
		}
	}
	return false
}

// device names what must not be counted twice.
func (w *walk) device(uri string) string { return w.name + "/" + short(uri) }

// identity notes what a device says it is: an auditor wants to know which one was read.
func (w *walk) identity(device string, t *thing) {
	for _, p := range []struct {
		key   string
		value text
	}{
		{"manufacturer", t.Manufacturer}, {"model", t.Model},
		{"serial_number", t.SerialNumber}, {"firmware_version", t.FirmwareVersion},
	} {
		if p.value != "" {
			w.note(device, p.key, string(p.value))
		}
	}
}
