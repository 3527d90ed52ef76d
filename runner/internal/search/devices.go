package search

import (
	"maps"
	"slices"
	"time"

	"agentwatt/shared/power"
)

// Devices returns the devices seen so far on meters of the wanted headline scopes (all headline scopes if none is named).
func (p *Power) Devices(scopes []power.Scope) []string {
	var out []string
	for _, b := range p.Batches() {
		for _, m := range b.Meters {
			wanted := m.Scope.Headline() && (len(scopes) == 0 || slices.Contains(scopes, m.Scope))
			if wanted && !slices.Contains(out, m.Device) {
				out = append(out, m.Device)
			}
		}
	}
	slices.Sort(out)
	return out
}

// lately is the stretch behind the live power display.
const lately = 3 * time.Second

// now returns the power of the smallest headline scope that is metered over the last seconds, for display, and whether
// anything is simulated. It is no measurement: no coverage, no uncertainty.
func (p *Power) now(simulated bool) (power.Power, power.Scope, bool) {
	end := p.Now().Add(-time.Second) // what is newer has not arrived yet
	sum := map[power.Scope]power.Power{}
	samples, meters := p.recent()
	counted := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(samples)) {
		s, m := samples[id], meters[id]
		simulated = simulated || m.Simulated
		key := string(m.Scope) + "/" + m.Device
		if !m.Scope.Headline() || counted[key] || m.Quantity == power.Counter {
			continue
		}
		if u := power.Between(m, s, end.Add(-lately), end); u.Energy > 0 {
			counted[key] = true
			sum[m.Scope] += u.Mean
		}
	}
	for _, scope := range []power.Scope{power.Accelerator, power.Module, power.Node, power.Rack} {
		if sum[scope] > 0 {
			return sum[scope], scope, simulated
		}
	}
	return 0, "", simulated
}

// recent gathers the samples of the newest batches by meter.
func (p *Power) recent() (map[string][]power.Sample, map[string]power.Meter) {
	samples, meters := map[string][]power.Sample{}, map[string]power.Meter{}
	all := p.Batches()
	from := p.Now().Add(-3 * lately)
	for _, b := range all {
		for _, s := range b.Samples {
			if s.Time >= from {
				m := b.Meters[s.Meter]
				id := b.Host + "/" + m.ID
				samples[id], meters[id] = append(samples[id], s), m
			}
		}
	}
	return samples, meters
}
