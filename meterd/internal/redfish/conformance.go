package redfish

import "strings"

// Rule is one property that a profile demands, and whether the device has it.
type Rule struct {
	Device   string // as in power.Meter
	Property string // e.g. "Metrics.PowerWatts" or "Sensor(EnergykWh).ReadingTime"
	Profile  string // which demands it, e.g. "OCPRackPDU 0.7.0"
	Honoured bool
	Value    string // what the device says, where it is a property of the sensor
}

// The profiles of the Open Compute Project that make readings of power something to rely on.
const (
	rackProfile  = "OCPRackPDU 0.7.0"
	shelfProfile = "OCPPowerShelfManagement 1.0.0"
	hostProfile  = "OCP-Sustainability 0.2.0"
)

// Conformance tells, for each device whose total can be metered, which of the properties it honours that the profiles of
// the Open Compute Project demand: the totals, and what their sensors say about a reading.
func (s *Source) Conformance() []Rule { return s.layout.Load().rules }

// conform checks the totals in the document at uri.
func (w *walk) conform(device, uri string) {
	profile, prefix := hostProfile, "EnvironmentMetrics."
	switch {
	case strings.Contains(uri, "/RackPDUs/"):
		profile, prefix = rackProfile, "Metrics."
	case strings.Contains(uri, "/PowerShelves/"):
		profile, prefix = shelfProfile, "Metrics."
	case strings.Contains(uri, "/PowerEquipment/"):
		return // no profile for floor PDUs and buses
	}
	r, _ := w.document(uri)
	if r == nil {
		r = &resource{}
	}
	for _, k := range []kind{watts, energy} {
		name := kinds[k].property
		n, e := r.value(point{kind: k})
		w.rules = append(w.rules, Rule{device, prefix + name, profile, e.Present, n.text})
		w.conformSensor(device, "Sensor("+name+").", string(e.DataSourceUri), profile)
	}
}

// conformSensor checks what a sensor says about its readings: without it a value has no time, no refresh and no accuracy.
// The latter is demanded by one profile only, and asked of all.
func (w *walk) conformSensor(device, prefix, uri, profile string) {
	s, _ := w.document(uri)
	if s == nil {
		s = &resource{}
	}
	for _, p := range []struct{ name, profile, value string }{
		{"Reading", profile, s.Reading.text},
		{"ReadingTime", profile, string(s.ReadingTime)},
		{"ReadingType", profile, string(s.ReadingType)},
		{"SensingInterval", profile, string(s.SensingInterval)},
		{"ReadingAccuracy", hostProfile, s.ReadingAccuracy.text},
	} {
		w.rules = append(w.rules, Rule{device, prefix + p.name, p.profile, p.value != "", p.value})
	}
}
