package snmp

import (
	"cmp"

	"agentwatt/shared/power"
)

// device is what the PDU is called in Device: by its serial number, which tells every PDU from all others and is the same
// whoever reads it; by the name that people gave, where it has none.
func (l *layout) device(name string) string { return cmp.Or(l.identity.serial, name) }

// meters declares one meter per value of power and energy, in the order of points.
func (l *layout) meters(name string) []power.Meter {
	var list []power.Meter
	for i := range l.rows {
		r := &l.rows[i]
		for _, p := range []*point{r.power, r.energy} {
			if p != nil {
				list = append(list, l.meter(r, p, name))
			}
		}
	}
	return list
}

func (l *layout) meter(r *row, p *point, name string) power.Meter {
	what, quantity := "power", power.Held
	if p == r.energy {
		what, quantity = "energy", power.Counter
	}
	m := power.Meter{
		ID:       "snmp/" + name + "/" + r.name + "/" + what,
		Device:   l.device(name) + "/" + r.name,
		Name:     cmp.Or(l.identity.model, l.profile.Title) + " " + r.name,
		Scope:    power.Component,
		Quantity: quantity,
		Scale:    p.scale,
		Wrap:     p.wrap,
		Period:   l.profile.Period.Value, PeriodFrom: power.Origin(l.profile.Period.From),
		Accuracy: -1,
		Model:    "snmp/" + l.profile.Name + "/" + what,
	}
	if r.label != "" {
		m.Name += " (" + r.label + ")"
	}
	if r.whole {
		m.Scope = power.Rack
	}
	if quantity != power.Counter {
		m.Wrap = 0
	}
	if a := l.profile.Accuracy; a.Value > 0 {
		m.Accuracy, m.AccuracyFrom = a.Value, power.Origin(a.From)
	}
	return m
}
