package bench

import (
	"cmp"
	"fmt"
	"slices"

	"agentwatt/shared/power"
)

// Join gives the power of a window at each scope of the plan (all that are found, if it names none): for each device the
// best meter by METHOD 6, checked against the others of that device, each joule once, summed per scope only. A scope whose
// expected devices are not all there and valid is not valid and has no number. The errors are about batches that make no
// sense; doubts about a number are in its warnings.
//
// For several windows of one run make a Recording once.
func Join(w Window, batches []power.Batch, plan PowerPlan, runner HostClock) ([]ScopePower, []error) {
	r := NewRecording(batches, runner)
	return r.Join(w, plan), r.Errors()
}

// Errors lists the batches that make no sense.
func (r *Recording) Errors() []error { return slices.Clone(r.bad) }

// Join is the function Join for a recording.
func (r *Recording) Join(w Window, plan PowerPlan) []ScopePower {
	scopes := plan.Scopes
	if len(scopes) == 0 {
		scopes = r.scopes()
	}
	var list []ScopePower
	for _, s := range scopes {
		list = append(list, r.joinScope(w, s, plan))
	}
	return list
}

// scopes lists the scopes that are metered, from the smallest to the largest, components last.
func (r *Recording) scopes() (list []power.Scope) {
	order := []power.Scope{power.Accelerator, power.Module, power.Node, power.Rack, power.CPU, power.Memory, power.Component}
	for _, s := range order {
		if slices.ContainsFunc(r.meters, func(m recorded) bool { return m.meter.Scope == s }) {
			list = append(list, s)
		}
	}
	return list
}

func (r *Recording) joinScope(w Window, scope power.Scope, plan PowerPlan) ScopePower {
	p := ScopePower{Scope: scope, Devices: []string{}, Meters: []string{}, Uses: []power.Use{}}
	devices := r.byDevice(scope)
	expected, spare := r.expected(scope, plan.Expected)
	doubts := newDoubts()
	for _, name := range spare {
		doubts.add(name, power.Warning{Code: NotCounted, Detail: "metered but not expected, so not counted"})
	}
	var counted []power.Use
	for _, name := range expected {
		uses, ok := r.useDevice(w, devices[name], name, doubts)
		p.Uses = append(p.Uses, uses...)
		if !ok {
			p.Missing = append(p.Missing, name)
			continue
		}
		counted = append(counted, uses[0])
		p.Devices = append(p.Devices, name)
		p.Meters = append(p.Meters, uses[0].Meter.ID)
	}
	for _, u := range p.Uses {
		p.Simulated = p.Simulated || u.Meter.Simulated
	}
	if len(expected) == 0 {
		doubts.add("", power.Warning{Code: power.NoSamples, Detail: fmt.Sprintf("no meter of scope %s was seen", scope)})
	}
	r.doubtStreams(w, scope, doubts)
	p.Warnings = doubts.list()
	if p.Valid = len(counted) > 0 && len(p.Missing) == 0; p.Valid {
		p.Mean, p.Energy, p.Uncertainty, p.Coverage = power.Sum(counted)
	}
	return p
}

// byDevice groups the meters of a scope by device.
func (r *Recording) byDevice(scope power.Scope) map[string][]recorded {
	devices := map[string][]recorded{}
	for _, m := range r.meters {
		if m.meter.Scope == scope {
			devices[m.name] = append(devices[m.name], m)
		}
	}
	return devices
}

// expected lists the devices that must be there at a scope, and those found that are not counted because the plan names
// others of this scope. A planned device that was never seen at any scope is expected at every headline scope: nobody can
// say where it would have been. A scope of which the plan names no device expects all that were seen.
func (r *Recording) expected(scope power.Scope, planned []string) (list, spare []string) {
	found := r.Devices(scope)
	for _, d := range planned {
		seen := false
		for _, m := range r.meters {
			if m.is(d) {
				seen = true
				if m.meter.Scope == scope {
					list = append(list, m.name)
				}
			}
		}
		if !seen && scope.Headline() {
			list = append(list, d)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	if !slices.ContainsFunc(list, func(d string) bool { return slices.Contains(found, d) }) {
		list = slices.Concat(found, list)
		return list, nil
	}
	spare = slices.DeleteFunc(found, func(d string) bool { return slices.Contains(list, d) })
	return list, spare
}

// useDevice asks all meters of a device about the window. The first use is the one to count; ok is false if there is none
// that is valid and not contradicted.
func (r *Recording) useDevice(w Window, meters []recorded, name string, doubts *doubts) (uses []power.Use, ok bool) {
	for _, m := range meters {
		u := m.series.Between(w.Begin, w.End)
		if c := r.clocks[m.machine]; c.bound > 0 && u.Valid {
			u.Uncertainty.Clock = m.series.ClockTerm(w.Begin, w.End, c.uncertainty())
		}
		uses = append(uses, u)
	}
	slices.SortStableFunc(uses, preferred)
	if i := finer(uses); i > 0 {
		doubts.add(name, power.Warning{Code: CoarseCounter, Detail: fmt.Sprintf("%s counts too coarsely for the window (± %.2g %%), %s was used",
			uses[0].Meter.ID, 200*uses[0].Uncertainty.Noise(), uses[i].Meter.ID)})
		best := uses[i]
		uses = slices.Insert(slices.Delete(uses, i, i+1), 0, best)
	}
	if len(uses) == 0 {
		doubts.add(name, power.Warning{Code: MissingDevice, Detail: "expected, and never seen"})
		return nil, false
	}
	for _, x := range uses[0].Warnings {
		doubts.add(name, x)
	}
	if !uses[0].Valid {
		doubts.add(name, power.Warning{Code: MissingDevice, Detail: "no meter covers the window"})
		return uses, false
	}
	ok = true
	for _, u := range uses[1:] {
		if !u.Valid && u.Meter.Quantity < uses[0].Meter.Quantity {
			w := power.Warning{Code: SecondChoice, Detail: fmt.Sprintf("%s is not valid over the window, %s was used", u.Meter.ID, uses[0].Meter.ID)}
			if tooCoarse(u.Meter, uses[0].Energy) {
				w.Code, w.Detail = CoarseCounter, fmt.Sprintf("%s counts too coarsely for the window, %s was used", u.Meter.ID, uses[0].Meter.ID)
			}
			doubts.add(name, w)
		}
		counter, other := uses[0], u
		if counter.Meter.Quantity != power.Counter {
			counter, other = other, counter
		}
		if counter.Meter.Quantity != power.Counter {
			continue
		}
		_, warning, invalid := power.CheckCounter(counter, other)
		if warning != nil {
			doubts.add(name, *warning)
		}
		ok = ok && !invalid
	}
	return uses, ok
}

// coarse is the part of a window's energy above which one step of a counter is too coarse for it: the shortest honest window of a
// counter is the one in which a step is 0.5 %.
const coarse = 0.005

// tooCoarse reports whether one step of a counter is more than its part of an energy.
func tooCoarse(m power.Meter, e power.Energy) bool {
	return m.Quantity == power.Counter && m.Scale.Den > 0 && float64(m.Resolution())*float64(m.Scale.Num)/float64(m.Scale.Den) > coarse*float64(e)
}

// finer returns the position of the use to take in place of uses[0], which is preferred for its quantity: 0 unless that is a counter
// too coarse for the window and sampled power knows more than twice as much. A rack counter of 0.1 kWh says nothing about ten
// minutes.
func finer(uses []power.Use) int {
	if len(uses) == 0 || !uses[0].Valid || !tooCoarse(uses[0].Meter, uses[0].Energy) {
		return 0
	}
	best := 0
	for i, u := range uses {
		if u.Valid && u.Meter.Quantity != power.Counter && 2*u.Uncertainty.Noise() < uses[0].Uncertainty.Noise() &&
			(best == 0 || u.Uncertainty.Noise() < uses[best].Uncertainty.Noise()) {
			best = i
		}
	}
	return best
}

// preferred orders the uses of one device: valid before not, then by METHOD's preference of quantities, then by uncertainty.
func preferred(a, b power.Use) int {
	if a.Valid != b.Valid {
		if a.Valid {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Meter.Quantity, b.Meter.Quantity), cmp.Compare(a.Uncertainty.Expanded(), b.Uncertainty.Expanded()))
}

// doubtStreams adds what is wrong with the streams and clocks behind a scope.
func (r *Recording) doubtStreams(w Window, scope power.Scope, doubts *doubts) {
	seen := map[stream]bool{}
	machines := map[string]bool{}
	for _, m := range r.meters {
		if m.meter.Scope != scope {
			continue
		}
		for _, k := range m.streams {
			if !seen[k] {
				seen[k] = true
				for _, x := range r.losses(k, w) {
					doubts.add("", x)
				}
			}
		}
		if c := r.clocks[m.machine]; c.unknown && !machines[m.machine] {
			machines[m.machine] = true
			how := "synchronised"
			if !c.synchronised {
				how = "not synchronised"
			}
			doubts.add("", power.Warning{Code: ClockFree, Detail: fmt.Sprintf(
				"clock of host %s not compared with the runner's; its kernel calls it %s, wrong by at most %v", m.machine, how, c.bound)})
		}
	}
}

// doubts collects warnings and says each once, with the devices it is about.
type doubts struct {
	order   []power.Warning
	devices map[power.Warning][]string
}

func newDoubts() *doubts { return &doubts{devices: map[power.Warning][]string{}} }

func (d *doubts) add(device string, w power.Warning) {
	if _, ok := d.devices[w]; !ok {
		d.order = append(d.order, w)
	}
	d.devices[w] = append(d.devices[w], device)
}

func (d *doubts) list() (list []power.Warning) {
	for _, w := range d.order {
		switch devices := d.devices[w]; {
		case devices[0] == "":
		case len(devices) == 1:
			w.Detail = devices[0] + ": " + w.Detail
		default:
			w.Detail = fmt.Sprintf("%d devices: %s", len(devices), w.Detail)
		}
		list = append(list, w)
	}
	return list
}
