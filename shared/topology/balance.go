package topology

import (
	"slices"

	"agentwatt/shared/power"
)

// HostUse is what one meter says about the interval, and the host on whose stream the meter is.
type HostUse struct {
	Host string
	Use  power.Use
}

// Side is one side of a balance.
type Side struct {
	Devices     []string    `json:"devices"`
	Mean        power.Power `json:"mean_microwatts"`
	Uncertainty power.Power `json:"uncertainty_microwatts"` // expanded, k = 2
	Simulated   bool        `json:"simulated,omitempty"`    // no hardware stands behind one of the meters
}

// Tier holds what goes in above against what the parts below draw, over one interval.
type Tier struct {
	Name        string      `json:"name"`  // e.g. "nodes of the rack"
	Place       string      `json:"place"` // the entry of the file: "rack r1"
	Parent      Side        `json:"parent"`
	Children    Side        `json:"children"`
	Difference  power.Power `json:"difference_microwatts"`             // parent - children
	Uncertainty power.Power `json:"difference_uncertainty_microwatts"` // expanded, k = 2
	Least       power.Power `json:"expected_least_microwatts"`         // of the difference: what conversion loses at least
	Most        power.Power `json:"expected_most_microwatts"`          // and at most, with modelled equipment; -1: nobody can say
	Open        []string    `json:"not_metered,omitempty"`             // parts of the parent that are not among the children
	Verdict     Verdict     `json:"verdict"`
	Text        string      `json:"text"` // for people
}

// Verdict says what a balance shows.
type Verdict string

// The verdicts of a balance.
const (
	Agrees     Verdict = "agrees"             // the difference is what conversion loses, within the uncertainty
	Rest       Verdict = "rest"               // what is left over is drawn by parts that are known to have no meter
	Impossible Verdict = "child-above-parent" // the parts draw more than goes in: something counts twice, or a scale is wrong
	LittleLoss Verdict = "too-little-loss"    // less is lost than any conversion loses: the two are on the same side of it
	Unmetered  Verdict = "not-metered"        // more goes in than parts and losses explain: something has no meter
	NotJudged  Verdict = "not-judged"         // one side is not known over the interval
)

// Share of the parent that is lost on the way to the children.
type loss struct{ least, most float64 }

// What conversion loses. A power supply has an efficiency of 0.85 to 0.99: from old ones at low load to better than any that is
// certified (80 PLUS Titanium asks for 96 % at half load). Between outlet and supply there is a cord, and a PDU that shows 3 %
// more than a BMC hints at a BMC that meters behind its supplies.
var (
	noConversion = loss{0, 0.03}
	oneSupply    = loss{0.01, 0.15}
	inside       = loss{0, -1} // parts beside others that have no meter: nobody can say what those draw
	behindSupply = loss{0.01, -1}
)

// Balance holds every tier of the file against what is below it: accelerators and their module, these and the node, outlets and
// what they feed, nodes and equipment and the inputs of the rack. uses are of one interval; of the uses of one device at one
// scope the best counts, as in a joined figure. found is what was metered; what only the uses show is added.
func Balance(f File, found Discovered, uses []HostUse) []Tier {
	for _, u := range uses {
		found.Meters = append(slices.Clip(found.Meters), HostMeter{u.Host, u.Use.Meter})
	}
	b := &balancer{layout: f.lay(found), uses: best(uses)}
	for _, n := range b.nodes {
		b.modulesOf(n)
	}
	for _, n := range b.nodes {
		b.partsOf(n)
	}
	for _, n := range b.nodes {
		b.cordsOf(n)
	}
	for _, r := range b.racks {
		for _, i := range r.inputs {
			b.outletsOfInput(i)
		}
	}
	for _, r := range b.racks {
		b.inputsAbove(r)
		b.nodesOf(r)
	}
	slices.SortStableFunc(b.tiers, func(x, y Tier) int {
		if c := slices.Index(tierOrder, x.Name) - slices.Index(tierOrder, y.Name); c != 0 {
			return c
		}
		return natural(x.Place, y.Place)
	})
	return b.tiers
}

// The tiers, from the smallest.
const (
	tierModule  = "accelerators of the module"
	tierModules = "accelerators of the modules"
	tierNode    = "parts of the node"
	tierCords   = "node behind its outlets"
	tierOutlets = "outlets of the input"
	tierInputs  = "inputs behind inputs"
	tierRack    = "nodes of the rack"
)

var tierOrder = []string{tierModule, tierModules, tierNode, tierCords, tierOutlets, tierInputs, tierRack}

// of is a device at a scope.
type of struct {
	device
	scope power.Scope
}

// best picks the use that counts of each device at each scope.
func best(uses []HostUse) map[of]power.Use {
	chosen := map[of]power.Use{}
	for _, u := range uses {
		k := of{device{u.Host, u.Use.Meter.Device}, u.Use.Meter.Scope}
		if old, ok := chosen[k]; !ok || preferred(u.Use, old) {
			chosen[k] = u.Use
		}
	}
	return chosen
}

// preferred reports whether a is better than b: valid, then by METHOD's order of quantities, then by uncertainty. Identity breaks
// ties, so that the order of the uses does not matter.
func preferred(a, b power.Use) bool {
	if a.Valid != b.Valid {
		return a.Valid
	}
	if a.Meter.Quantity != b.Meter.Quantity {
		return a.Meter.Quantity < b.Meter.Quantity
	}
	if x, y := a.Uncertainty.Expanded(), b.Uncertainty.Expanded(); x != y {
		return x < y
	}
	return a.Meter.ID < b.Meter.ID
}
