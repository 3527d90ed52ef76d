// Package sensor is the registry of what is known about power sensors: for a vendor, an architecture, a field and a range
// of drivers, how often the value is refreshed, what stretch of time it describes, how late it is and how wrong it may be,
// each with where it comes from. The knowledge is data, models.yaml; docs/sensors.md is made from it.
//
// A source asks the registry and puts the answer into the meters that it declares. A sensor that is not in the registry can
// be used all the same: its properties are then unknown, and its meter's Model says so.
package sensor

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

//go:embed models.yaml
var data []byte

// Model is what is known about one field of one kind of sensor. Empty properties are not known.
type Model struct {
	Vendor   string   `yaml:"vendor"`    // "nvidia", "amd", "intel", ...
	Arch     string   `yaml:"arch"`      // generation, e.g. the die "GH100"; "*": every one without an entry of its own
	Field    string   `yaml:"field"`     // the value read, e.g. "instant": the last part of a meter's ID
	Drivers  Range    `yaml:"drivers"`   // versions for which this holds, e.g. "530..535": from 530 on and before 535; empty: all
	Quantity Quantity `yaml:"quantity"`  // what the value is, where that differs between models; empty: as the source knows
	Period   Span     `yaml:"period"`    // between fresh values
	Window   Span     `yaml:"averaging"` // the stretch that one value describes
	Delay    Span     `yaml:"delay"`     // besides half of the window for a mean
	Accuracy Share    `yaml:"accuracy"`  // relative gain error, k = 2
	Source   string   `yaml:"source"`    // the documents, for people
}

// Known reports whether the registry has this model.
func (m Model) Known() bool { return m.Source != "" }

// Span is a duration and where it comes from.
type Span struct {
	Value time.Duration `yaml:"value"`
	From  Origin        `yaml:"from"`
}

// Share is a relative quantity and where it comes from.
type Share struct {
	Value float64 `yaml:"value"`
	From  Origin  `yaml:"from"`
}

// All returns every model of the registry, in the order of the file.
func All() []Model { return slices.Clone(registry()) }

var registry = sync.OnceValue(func() []Model {
	models, err := parse(data)
	if err != nil {
		panic(err) // the file is part of the program, and a test parses it
	}
	return models
})

// parse reads models.yaml.
func parse(b []byte) ([]Model, error) {
	var file struct {
		Models []Model `yaml:"models"`
	}
	if err := settings.Decode(b, "models.yaml", &file); err != nil {
		return nil, err
	}
	for i, m := range file.Models {
		if err := m.check(); err != nil {
			return nil, fmt.Errorf("models.yaml: model %d, %s/%s/%s: %w", i+1, m.Vendor, m.Arch, m.Field, err)
		}
	}
	return file.Models, nil
}

func (m Model) check() error {
	switch {
	case m.Vendor == "" || m.Arch == "" || m.Field == "":
		return fmt.Errorf("vendor, arch and field must be set")
	case m.Source == "":
		return fmt.Errorf("no source: knowledge without provenance is none")
	}
	for _, p := range []struct {
		name    string
		claimed bool
		from    Origin
	}{
		{"period", m.Period.Value != 0, m.Period.From},
		{"averaging", m.Window.Value != 0, m.Window.From},
		{"delay", m.Delay.Value != 0, m.Delay.From},
		{"accuracy", m.Accuracy.Value != 0, m.Accuracy.From},
	} {
		if p.claimed && power.Origin(p.from) == power.Unknown {
			return fmt.Errorf("the %s has a value but no from", p.name)
		}
	}
	return nil
}

// Find returns the model of a field: the one for arch whose drivers include the version, else one for any arch ("*").
// Without either it returns a Model that is not Known, whose properties are all unknown. An empty or unreadable driver
// version matches only models for all drivers.
func Find(vendor, arch, field, driver string) Model {
	for _, a := range []string{arch, "*"} {
		for _, m := range registry() {
			if m.Vendor == vendor && m.Arch == a && m.Field == field && m.Drivers.Includes(driver) {
				return m
			}
		}
	}
	return Model{Vendor: vendor, Arch: arch, Field: field}
}

// Describe puts what is known into a meter: period, averaging, delay and accuracy with their origins, Model, and the
// quantity if the model says one. It leaves the rest alone. An accuracy that is not known is negative.
func (m Model) Describe(meter *power.Meter) {
	if m.Quantity != 0 {
		meter.Quantity = power.Quantity(m.Quantity)
	}
	meter.Period, meter.PeriodFrom = m.Period.Value, power.Origin(m.Period.From)
	meter.Averaging, meter.AveragingFrom = m.Window.Value, power.Origin(m.Window.From)
	meter.Delay, meter.DelayFrom = m.Delay.Value, power.Origin(m.Delay.From)
	meter.Accuracy, meter.AccuracyFrom = m.Accuracy.Value, power.Origin(m.Accuracy.From)
	if m.Accuracy.Value == 0 {
		meter.Accuracy, meter.AccuracyFrom = -1, power.Unknown
	}
	parts := []string{m.Vendor, m.Arch, m.Field}
	if !m.Known() {
		parts = append(parts, "unknown")
	}
	meter.Model = strings.Join(parts, "/")
}
