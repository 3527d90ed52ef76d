// Package topology says what feeds what: which rack input, outlet and node stands above which module and accelerator. It finds
// what is counted twice or not at all, says which devices must be there for a figure at a scope, and holds the tiers against
// each other: what the parts draw together cannot be more than what goes in above them (METHOD 6).
//
// The package is pure: no clock, no files, no goroutines. Names in a topology are those of the meters: Meter.Device, or
// host/Meter.Device where several hosts use one.
package topology

import (
	"errors"
	"fmt"

	"agentwatt/shared/fault"
	"agentwatt/shared/settings"
)

// File is a topology as people write it; docs/topology.md is its manual. A name or a list of names may hold ranges such as
// gpu[01-08] or [a,b], and one entry then stands for many.
type File struct {
	PUE       float64     `yaml:"pue"`       // power usage effectiveness as declared: facility figures are modelled with it. 0: not declared
	Racks     []Rack      `yaml:"racks"`     //
	Nodes     []Node      `yaml:"nodes"`     //
	Equipment []Equipment `yaml:"equipment"` // what the nodes share
}

// Rack is a place where power goes in through metered inputs.
type Rack struct {
	Name     string  `yaml:"name"`
	Delivers string  `yaml:"delivers"` // "ac": PDUs pass the power on; "dc": shelves convert it, and nodes are metered behind the conversion. Empty: ac
	Inputs   []Input `yaml:"inputs"`
}

// Input is one metered input of a rack, such as a PDU's inlet or a power shelf; with a range in Device, several of them.
type Input struct {
	Device  string `yaml:"device"`  // scope rack
	Also    Names  `yaml:"also"`    // other names by which the same input is metered; never counted
	Feed    string `yaml:"feed"`    // the utility feed behind it, e.g. "A"; empty: there is only one
	Outlets Names  `yaml:"outlets"` // what it passes power on by, metered or not; for an input of one device
	FedBy   Names  `yaml:"fed_by"`  // the outlet or input above it; empty: none that this file knows, and it is counted
}

// Node is a host, or several alike.
type Node struct {
	Name         string   `yaml:"name"`         // the host's name in the stream
	Rack         string   `yaml:"rack"`         // name of its rack; empty: none that is metered
	Input        Names    `yaml:"input"`        // what meters its whole input, scope node; empty: nothing does
	Also         Names    `yaml:"also"`         // other names of the same input; never counted
	Supplies     int      `yaml:"supplies"`     // power supplies it has; 0: not stated
	FedBy        Names    `yaml:"fed_by"`       // outlets, or inputs with a busbar, that feed it; empty: all inputs of its rack
	Accelerators Members  `yaml:"accelerators"` // those that are in no module
	Modules      []Module `yaml:"modules"`      //
}

// Module is an accelerator-and-CPU module that is metered as one, such as a Grace-Blackwell board; several with a range.
type Module struct {
	Device       string  `yaml:"device"` // scope module
	Also         Names   `yaml:"also"`   // other names of the same module; never counted
	Accelerators Members `yaml:"accelerators"`
}

// Members are accelerators: by name (UUID or PCI address), or only how many there are. Names win.
type Members struct {
	Count int
	Names Names
}

// Equipment is what nodes share: switch trays, coolant pumps, management. Exactly one of Measured, MaxWatts and NotIncluded says
// how its power is accounted for.
type Equipment struct {
	Name        string  `yaml:"name"`
	Rack        string  `yaml:"rack"`         // the rack whose inputs feed it and so count it already; empty: it has an input of its own
	Measured    Names   `yaml:"measured"`     // devices that meter it
	MaxWatts    float64 `yaml:"max_watts"`    // the most that its maker's document says it draws: modelled
	NotIncluded string  `yaml:"not_included"` // why it is left out
	FedBy       Names   `yaml:"fed_by"`       // outlets that feed it
}

// The values of Rack.Delivers.
const (
	AC = "ac"
	DC = "dc"
)

var errNothing = errors.New("it names no rack, node or equipment")

// Parse reads a topology. name is the file's, for errors, which say file:line:column.
func Parse(data []byte, name string) (File, error) {
	var f File
	err := settings.Decode(data, name, &f)
	if err == nil && len(f.Racks)+len(f.Nodes)+len(f.Equipment) == 0 {
		err = fault.Hint(fmt.Errorf("%s: %w", name, errNothing),
			"meterd topology draft writes a first one from what is metered")
	}
	if err != nil {
		return File{}, fault.Misuse(fmt.Errorf("read topology: %w", err))
	}
	return f, nil
}
