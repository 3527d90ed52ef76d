package topology

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/settings"
)

// maxEntries bounds each list of a file, and a count of devices.
const maxEntries = 4096

// UnmarshalYAML reads one name or a list of names.
func (l *Names) UnmarshalYAML(n ast.Node) error {
	items := []ast.Node{n}
	if s, ok := n.(*ast.SequenceNode); ok {
		items = s.Values
	}
	if len(items) > maxEntries {
		return settings.At(n, fmt.Errorf("more than %d names", maxEntries))
	}
	*l = nil
	for _, item := range items {
		name, err := text(item)
		if err != nil {
			return err
		}
		*l = append(*l, name)
	}
	return nil
}

// UnmarshalYAML reads a number of accelerators, or their names.
func (m *Members) UnmarshalYAML(n ast.Node) error {
	if _, ok := n.(*ast.IntegerNode); !ok {
		return m.Names.UnmarshalYAML(n)
	}
	count, err := strconv.Atoi(n.GetToken().Value)
	if err != nil || count < 1 || count > maxEntries {
		return settings.At(n, fmt.Errorf("%s is not a number of accelerators from 1 to %d", n.GetToken().Value, maxEntries))
	}
	m.Count = count
	return nil
}

// text returns a node's text, checked as a pattern of names.
func text(n ast.Node) (string, error) {
	s := ""
	switch n := n.(type) {
	case *ast.StringNode:
		s = n.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		s = n.GetToken().Value // a name that happens to look like a number
	default:
		return "", settings.At(n, errors.New("a name or a list of names was expected"))
	}
	_, err := expand(s)
	return s, settings.At(n, err)
}

// UnmarshalYAML reads a file's mapping.
func (f *File) UnmarshalYAML(n ast.Node) error {
	type plain File
	if err := yaml.NodeToValue(n, (*plain)(f), yaml.Strict()); err != nil {
		return err
	}
	if f.PUE != 0 && !(f.PUE >= 1 && f.PUE <= 10) { // not a number fails, too
		return settings.At(value(n, "pue"), fmt.Errorf("a PUE is at least 1, and %v is not one", f.PUE))
	}
	if len(f.Racks) > maxEntries || len(f.Nodes) > maxEntries || len(f.Equipment) > maxEntries {
		return settings.At(n, fmt.Errorf("more than %d entries", maxEntries))
	}
	if size, most := f.size(), 16*maxEntries; size > most {
		return settings.At(n, fmt.Errorf("it stands for %d names, which is more than %d", size, most))
	}
	return nil
}

// size counts the names that the file stands for.
func (f *File) size() (n int) {
	width := func(patterns ...string) int { return len(each(patterns...)) }
	for _, r := range f.Racks {
		for _, i := range r.Inputs {
			n += width(i.Device)*(1+width(i.Also...)+width(i.FedBy...)) + width(i.Outlets...)
		}
	}
	for _, x := range f.Nodes {
		of := 1 + width(x.Input...) + width(x.Also...) + width(x.FedBy...) + max(width(x.Accelerators.Names...), x.Accelerators.Count)
		for _, m := range x.Modules {
			of += width(m.Device) * (1 + width(m.Also...) + max(width(m.Accelerators.Names...), m.Accelerators.Count))
		}
		n += width(x.Name) * of
	}
	for _, e := range f.Equipment {
		n += width(e.Name) * (1 + width(e.Measured...) + width(e.FedBy...))
	}
	return n
}

// UnmarshalYAML reads a rack.
func (r *Rack) UnmarshalYAML(n ast.Node) error {
	type plain Rack
	if err := yaml.NodeToValue(n, (*plain)(r), yaml.Strict()); err != nil {
		return err
	}
	if r.Delivers != "" && r.Delivers != AC && r.Delivers != DC {
		return settings.At(value(n, "delivers"), fmt.Errorf("a rack delivers %s or %s, not %q", AC, DC, r.Delivers))
	}
	if names, err := expand(r.Name); err != nil || len(names) > 1 {
		return settings.At(value(n, "name"), errors.New("a rack needs one name"))
	}
	return nil
}

// UnmarshalYAML reads an input.
func (i *Input) UnmarshalYAML(n ast.Node) error {
	type plain Input
	if err := yaml.NodeToValue(n, (*plain)(i), yaml.Strict()); err != nil {
		return err
	}
	devices, err := expand(i.Device)
	if err != nil {
		return settings.At(value(n, "device"), fmt.Errorf("an input needs its device: %w", err))
	}
	if len(devices) > 1 && len(i.Outlets) > 0 {
		return settings.At(value(n, "outlets"), errors.New("only an input of one device has outlets: write the inputs one by one"))
	}
	return errors.Join(inStep(n, "also", i.Also, i.Device, len(devices)), inStep(n, "fed_by", i.FedBy, i.Device, len(devices)))
}

// UnmarshalYAML reads a node.
func (x *Node) UnmarshalYAML(n ast.Node) error {
	type plain Node
	if err := yaml.NodeToValue(n, (*plain)(x), yaml.Strict()); err != nil {
		return err
	}
	names, err := expand(x.Name)
	if err != nil {
		return settings.At(value(n, "name"), fmt.Errorf("a node needs its host's name: %w", err))
	}
	if x.Supplies < 0 || x.Supplies > maxEntries {
		return settings.At(value(n, "supplies"), fmt.Errorf("%d is not a number of power supplies", x.Supplies))
	}
	return inStep(n, "fed_by", x.FedBy, x.Name, len(names))
}

// UnmarshalYAML reads a module.
func (m *Module) UnmarshalYAML(n ast.Node) error {
	type plain Module
	if err := yaml.NodeToValue(n, (*plain)(m), yaml.Strict()); err != nil {
		return err
	}
	devices, err := expand(m.Device)
	if err != nil {
		return settings.At(value(n, "device"), fmt.Errorf("a module needs its device: %w", err))
	}
	if len(devices) > 1 && len(m.Accelerators.Names) > 0 {
		return settings.At(value(n, "accelerators"), errors.New("write modules whose accelerators are named one by one"))
	}
	return inStep(n, "also", m.Also, m.Device, len(devices))
}

// UnmarshalYAML reads a piece of equipment.
func (e *Equipment) UnmarshalYAML(n ast.Node) error {
	type plain Equipment
	if err := yaml.NodeToValue(n, (*plain)(e), yaml.Strict()); err != nil {
		return err
	}
	names, err := expand(e.Name)
	if err != nil {
		return settings.At(value(n, "name"), fmt.Errorf("equipment needs a name: %w", err))
	}
	if e.MaxWatts < 0 || e.MaxWatts > 1e9 || math.IsNaN(e.MaxWatts) {
		return settings.At(value(n, "max_watts"), fmt.Errorf("%v W is not a power", e.MaxWatts))
	}
	said := 0
	for _, is := range []bool{len(e.Measured) > 0, e.MaxWatts > 0, e.NotIncluded != ""} {
		if is {
			said++
		}
	}
	if said != 1 {
		return settings.At(n, fmt.Errorf("equipment %s needs one of measured, max_watts and not_included", e.Name))
	}
	return errors.Join(inStep(n, "measured", e.Measured, e.Name, len(names)), inStep(n, "fed_by", e.FedBy, e.Name, len(names)))
}

// inStep refuses a pattern that neither is one name for all n entries alike nor has a name for each of them.
func inStep(at ast.Node, key string, patterns Names, entries string, n int) error {
	for _, p := range patterns {
		if k := len(each(p)); n > 1 && k != 1 && k != n {
			return settings.At(value(at, key), fmt.Errorf("%s stands for %d names and %s for %d: they cannot be matched", p, k, entries, n))
		}
	}
	return nil
}

// value returns the node at a key of a mapping, for the place of an error; the mapping itself where the key is absent.
func value(n ast.Node, key string) ast.Node {
	if m, ok := n.(*ast.MappingNode); ok {
		for _, v := range m.Values {
			if v.Key.String() == key {
				return v.Value
			}
		}
	}
	return n
}
