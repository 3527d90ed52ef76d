package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"agentwatt/shared/fault"
	"agentwatt/shared/power"
	"agentwatt/shared/topology"
)

// layout is the topology of the system under test, as its file says.
type layout struct {
	file topology.File
	data []byte
}

// readLayout reads the topology that the configuration names; nil if it names none.
func (c config) readLayout() (*layout, error) {
	if c.Power.Topology == "" {
		return nil, nil
	}
	data, err := os.ReadFile(c.Power.Topology)
	if err != nil {
		return nil, fault.Misuse(fmt.Errorf("read the topology: %w", err))
	}
	file, err := topology.Parse(data, c.Power.Topology)
	if err != nil {
		return nil, fault.Hint(fault.Misuse(err), "meterd topology draft writes a first one")
	}
	return &layout{file, data}, nil
}

// expected returns the devices that must be there by the topology, given what is metered now. It is an error if a figure of these
// meters would be wrong: that is known before the first request, and not after hours.
func (l *layout) expected(batches []power.Batch, scopes []power.Scope) (devices, notes []string, err error) {
	found := topology.Discover(batches)
	var wrong []string
	for _, f := range topology.Check(l.file, found) {
		line := strings.TrimSpace(f.Place + " " + strings.Join(f.Devices, ", ") + ": " + f.Text)
		switch f.Severity {
		case topology.Error:
			wrong = append(wrong, line)
		case topology.Warning:
			notes = append(notes, "topology: "+line)
		}
	}
	if len(wrong) > 0 {
		err := fault.NotCounted(fmt.Errorf("hold the topology against what is metered: %s", strings.Join(wrong, "; ")))
		return nil, nil, fault.Hint(err, "meterd topology check says more; mend the file or the metering")
	}
	if len(scopes) == 0 {
		return topology.ExpectedAll(l.file, found), notes, nil
	}
	for _, s := range scopes {
		devices = append(devices, topology.Expected(l.file, found, s)...)
	}
	slices.Sort(devices)
	return slices.Compact(devices), notes, nil
}

// saveLayout keeps the topology with the run.
func (r *session) saveLayout() error {
	if r.layout == nil {
		return nil
	}
	return r.dir.WriteFile(filepath.Join("config", "topology.yaml"), r.layout.data)
}
