package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// HostClock is the clock that windows are on: the runner's.
type HostClock struct {
	Host  string      // host name
	Boot  string      // kernel boot id; empty: not known
	Epoch clock.Stamp // its stamp of that boot's monotonic zero; zero: not known. See clock.State

	Others []clock.Exchange // what was measured of the clocks of other hosts, in any order
}

// Recording is the power of a run, made ready for any number of windows. It is not changed once made.
type Recording struct {
	meters  []recorded
	streams map[stream][]head
	clocks  map[string]comparison // by machine
	bad     []error
}

// recorded is one meter on one machine with all its samples, on the runner's clock.
type recorded struct {
	machine string
	name    string // of the device, for people: its id, with the machine in front where several use that id ("package-0")
	meter   power.Meter
	series  *power.Series
	streams []stream // that it came by
}

// meterKey says which samples belong to one meter: what a changed declaration would turn into another one.
type meterKey struct {
	machine, id, device string
	scope               power.Scope
	quantity            power.Quantity
	scale               power.Scale
	wrap                int64
}

// NewRecording makes batches, in any order and perhaps repeated, into a recording. Samples of one meter are put together across
// batches and restarts, and their stamps are brought onto the runner's clock.
func NewRecording(batches []power.Batch, runner HostClock) *Recording {
	r := &Recording{streams: map[stream][]head{}, clocks: map[string]comparison{}}
	batches = inOrder(batches)
	machines := machinesOf(batches)
	shifts := newShifts(batches, runner)
	found := map[meterKey]*gathered{}
	for _, b := range batches {
		machine, shift := machines[b.Host], shifts.of(b)
		r.clocks[machine] = r.clocks[machine].with(b, shift)
		r.addHead(b, shift.by)
		for _, s := range b.Samples {
			if s.Meter < 0 || s.Meter >= len(b.Meters) {
				r.bad = append(r.bad, fmt.Errorf("batch %d of %s on %s: a sample names meter %d of %d", b.Seq, b.Source, b.Host, s.Meter, len(b.Meters)))
				break
			}
			m := b.Meters[s.Meter]
			k := meterKey{machine, m.ID, m.Device, m.Scope, m.Quantity, m.Scale, m.Wrap}
			if found[k] == nil {
				found[k] = &gathered{}
			}
			s.Time = s.Time.Add(shift.by)
			if m.Buffered && s.Device != 0 { // then it is on the host's clock too
				s.Device = s.Device.Add(shift.by)
			}
			found[k].add(m, s, stream{b.Host, b.Source})
		}
		for _, m := range b.Meters { // a meter without a sample is still a device that is there
			k := meterKey{machine, m.ID, m.Device, m.Scope, m.Quantity, m.Scale, m.Wrap}
			if found[k] == nil {
				found[k] = &gathered{meter: m}
			}
		}
	}
	for k, g := range found {
		r.meters = append(r.meters, recorded{k.machine, k.device, g.meter, power.NewSeries(g.meter, g.samples), g.streams})
	}
	r.nameDevices()
	slices.SortFunc(r.meters, func(a, b recorded) int {
		return cmp.Or(cmp.Compare(a.machine, b.machine), cmp.Compare(a.meter.Device, b.meter.Device), cmp.Compare(a.meter.ID, b.meter.ID),
			cmp.Compare(a.meter.Quantity, b.meter.Quantity), cmp.Compare(a.meter.Scale.Num, b.meter.Scale.Num), cmp.Compare(a.meter.Wrap, b.meter.Wrap))
	})
	return r
}

// gathered is a meter with its samples so far. The latest declaration counts: a source may measure its properties first.
type gathered struct {
	meter   power.Meter
	samples []power.Sample
	streams []stream
}

func (g *gathered) add(m power.Meter, s power.Sample, from stream) {
	g.meter = m
	g.samples = append(g.samples, s)
	if n := len(g.streams); n == 0 || g.streams[n-1] != from && !slices.Contains(g.streams, from) {
		g.streams = append(g.streams, from)
	}
}

// run is one run of one source: within it sequence numbers have no gap and the clock is anchored once.
type run struct{ host, run, source string }

func runOf(b power.Batch) run { return run{b.Host, b.Run, b.Source} }

// inOrder sorts batches by run and sequence. The bus may deliver a batch twice: a series ignores repeated samples.
func inOrder(batches []power.Batch) []power.Batch {
	batches = slices.Clone(batches)
	slices.SortStableFunc(batches, func(a, b power.Batch) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Run, b.Run), cmp.Compare(a.Seq, b.Seq))
	})
	return batches
}

// machinesOf names the machine of each host name. Two names with one boot id are one machine, e.g. a container and its
// host: the devices that both see are the same. One name with two boot ids is a machine that was restarted.
func machinesOf(batches []power.Batch) map[string]string {
	byBoot := map[string]string{}
	for _, b := range batches {
		if first, ok := byBoot[b.Boot]; b.Boot != "" && (!ok || b.Host < first) {
			byBoot[b.Boot] = b.Host
		}
	}
	machines := map[string]string{}
	for _, b := range batches {
		name := b.Host
		if b.Boot != "" {
			name = byBoot[b.Boot]
		}
		if first, ok := machines[b.Host]; !ok || name < first {
			machines[b.Host] = name
		}
	}
	return machines
}

// shift brings a batch's stamps onto the runner's clock.
type shift struct {
	by     time.Duration
	within time.Duration // bound of its error
	known  bool
}

// shifts compares each run's clock with the runner's.
type shifts struct {
	runner HostClock
	epochs map[run]clock.Stamp          // the first of each run
	others map[string]*clock.Comparison // by boot
}

// newShifts takes the first epoch of a run for all of it: the anchor does not move, and later ones differ only by the time it
// took to read them.
func newShifts(batches []power.Batch, runner HostClock) shifts {
	s := shifts{runner: runner, epochs: map[run]clock.Stamp{}, others: map[string]*clock.Comparison{}}
	for _, b := range batches {
		if k := runOf(b); b.Clock.Epoch != 0 && s.epochs[k] == 0 {
			s.epochs[k] = b.Clock.Epoch
		}
	}
	byBoot := map[string][]clock.Exchange{}
	for _, x := range runner.Others {
		byBoot[x.Boot] = append(byBoot[x.Boot], x)
	}
	for boot, list := range byBoot {
		s.others[boot] = clock.Compare(list)
	}
	return s
}

// of returns the shift of a batch. Two processes of one boot stamp the same monotonic zero, so the difference of their epochs is
// the offset, exactly. Of another host's boot the offset between the monotonic clocks was measured over the network, or it is
// not known.
func (s shifts) of(b power.Batch) shift {
	epoch := s.epochs[runOf(b)]
	if b.Boot == "" || epoch == 0 || s.runner.Epoch == 0 {
		return shift{}
	}
	by := s.runner.Epoch.Sub(epoch)
	if b.Boot == s.runner.Boot {
		return shift{by: by, known: true}
	}
	c := s.others[b.Boot]
	if c == nil || b.Clock.Read == 0 {
		return shift{}
	}
	ahead, within := c.Ahead(b.Clock.Read.Sub(epoch))
	return shift{by: by - ahead, within: within, known: true}
}

// comparison is how well a machine's clock is known against the runner's.
type comparison struct {
	unknown      bool          // some batches were not compared
	bound        time.Duration // of the error, where it was measured and where it is not known
	synchronised bool          // of those not compared, all were disciplined by a time daemon
}

// kernelLimit is the largest error that a Linux kernel admits to (NTP_PHASE_LIMIT, 16 s); taken where nothing is known.
const kernelLimit = 16 * time.Second

func (c comparison) with(b power.Batch, s shift) comparison {
	if s.known {
		c.bound = max(c.bound, s.within)
		return c
	}
	if !c.unknown {
		c.unknown, c.synchronised = true, true
	}
	bound := kernelLimit
	if b.Clock.Read != 0 {
		bound = b.Clock.MaxError
	}
	c.bound = max(c.bound, bound)
	c.synchronised = c.synchronised && b.Clock.Read != 0 && b.Clock.Synchronised
	return c
}

// uncertainty returns the standard uncertainty of the offset: the error may be anything within the bound.
func (c comparison) uncertainty() time.Duration {
	return time.Duration(float64(c.bound) / math.Sqrt(3))
}

// nameDevices puts the machine in front of device ids that several machines use.
func (r *Recording) nameDevices() {
	machines := map[string]map[string]bool{}
	for _, m := range r.meters {
		if machines[m.meter.Device] == nil {
			machines[m.meter.Device] = map[string]bool{}
		}
		machines[m.meter.Device][m.machine] = true
	}
	for i, m := range r.meters {
		if len(machines[m.meter.Device]) > 1 {
			r.meters[i].name = m.machine + "/" + m.meter.Device
		}
	}
}

// is reports whether a planned device id means the meter's device: both forms of its name do.
func (m recorded) is(planned string) bool {
	return m.meter.Device == planned || m.machine+"/"+m.meter.Device == planned
}

// Devices lists the devices seen at a scope, by the names that Join gives them.
func (r *Recording) Devices(scope power.Scope) (names []string) {
	for _, m := range r.meters {
		if m.meter.Scope == scope {
			names = append(names, m.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
