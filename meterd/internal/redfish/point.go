package redfish

import (
	"fmt"
	"strings"

	"agentwatt/shared/power"
)

// kind is a value that a document may hold.
type kind uint8

const (
	watts    kind = iota + 1 // PowerWatts
	energy                   // EnergykWh
	joules                   // EnergyJoules
	input                    // InputPowerWatts of a power supply
	output                   // OutputPowerWatts of a power supply
	rail                     // RailPowerWatts[i] of a power supply
	consumed                 // PowerControl[i].PowerConsumedWatts of the older Power
)

// kinds says how each kind is written and counted. The counts are ours, as Redfish has decimal numbers: 1 mW, 1 mJ, and
// 1e-9 kWh = 3.6 mJ. Digits below that are rounded, and a note says so.
var kinds = [...]struct {
	property string // in the document
	id       string // last part of the meter's ID
	quantity power.Quantity
	decimals int         // of one count
	scale    power.Scale // of one count
}{
	watts:    {"PowerWatts", "power", power.Held, 3, power.Scale{Num: 1000, Den: 1}},
	energy:   {"EnergykWh", "energy", power.Counter, 9, power.Scale{Num: 3600, Den: 1}},
	joules:   {"EnergyJoules", "energy", power.Counter, 3, power.Scale{Num: 1000, Den: 1}},
	input:    {"InputPowerWatts", "input", power.Held, 3, power.Scale{Num: 1000, Den: 1}},
	output:   {"OutputPowerWatts", "output", power.Held, 3, power.Scale{Num: 1000, Den: 1}},
	rail:     {"RailPowerWatts", "rail", power.Held, 3, power.Scale{Num: 1000, Den: 1}},
	consumed: {"PowerControl", "power", power.Held, 3, power.Scale{Num: 1000, Den: 1}},
}

// point is one meter and where its value stands in a document.
type point struct {
	kind  kind
	index int  // of rail and consumed
	own   bool // the document is the Sensor itself: the value is its Reading
	meter int  // index of the meter
	state pointState
}

// value finds the reading of p, with the excerpt or sensor around it.
func (r *resource) value(p point) (n number, around excerpt) {
	switch {
	case p.own:
		around = excerpt{Reading: r.Reading, ApparentVA: r.ApparentVA, PowerFactor: r.PowerFactor}
	case p.kind == watts:
		around = r.PowerWatts
	case p.kind == energy:
		around = r.EnergykWh
	case p.kind == joules:
		around = r.EnergyJoules
	case p.kind == input:
		around = r.InputPowerWatts
	case p.kind == output:
		around = r.OutputPowerWatts
	case p.kind == rail && p.index < len(r.RailPowerWatts):
		around = r.RailPowerWatts[p.index]
	case p.kind == consumed && p.index < len(r.PowerControl):
		around = excerpt{Reading: r.PowerControl[p.index].PowerConsumedWatts}
	}
	return around.Reading, around
}

// offers lists the points of the kinds that the document has, also where they are null at the moment: a host that is off
// has no reading, but has the meter.
func (r *resource) offers(kinds ...kind) (list []point) {
	for _, k := range kinds {
		n := 1
		switch k {
		case rail:
			n = min(len(r.RailPowerWatts), mostParts)
		case consumed:
			n = min(len(r.PowerControl), mostParts)
		}
		for i := range n {
			p := point{kind: k, index: i}
			if n, e := r.value(p); e.Present || n.present {
				list = append(list, p)
			}
		}
	}
	return list
}

// mostParts bounds a list within one document.
const mostParts = 64

// name is the last part of the meter's ID.
func (p point) name() string {
	if p.kind == rail || p.kind == consumed && p.index > 0 {
		return fmt.Sprintf("%s-%d", kinds[p.kind].id, p.index+1)
	}
	return kinds[p.kind].id
}

// key makes the key of a note about the meter of p, e.g. "power_sensing_interval_seconds".
func (p point) key(of string) string { return strings.ReplaceAll(p.name(), "-", "_") + "_" + of }

// pointers are the ways in which a metric report may name the value of p in the document at uri.
func (p point) pointers(uri string) []string {
	property := kinds[p.kind].property
	switch p.kind {
	case rail:
		property = fmt.Sprintf("%s/%d", property, p.index)
	case consumed:
		return []string{fmt.Sprintf("%s#/%s/%d/PowerConsumedWatts", uri, property, p.index)}
	}
	return []string{uri + "#/" + property + "/Reading", uri + "#/" + property}
}

// short makes a resource's URI into a part of a meter's ID, e.g. "RackPDUs/1".
func short(uri string) string {
	s := strings.TrimPrefix(strings.TrimPrefix(uri, "/redfish/v1/"), "PowerEquipment/")
	return blanks.Replace(strings.Trim(s, "/"))
}
