//go:build linux && cgo

package nvml

import (
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// device is one GPU and the values that are read through it.
type device struct {
	lib     *library
	handle  lib.Device
	index   int // of the driver, when the GPU was found
	uuid    string
	name    string
	die     die
	limit   power.Power // highest power limit that can be set; 0: not known
	module  string      // the module that is read through this GPU; empty: none
	node    int         // the processor of that module
	answers []answer    // what it said when it was found
	offer   offer       // what of that is of use
	absent  []string

	values []lib.FieldValue // asked for in one call; reused by every read
	meters []power.Meter    // of values
	calls  []call           // values of functions of their own, on old drivers
	tapes  []*tape          // the driver's rings of samples

	recorded recorded // what the driver's ring held when the GPU was found

	lost     bool       // the last read said so, or the library is down: it is not asked until it is found again
	cause    lib.Return // what the last read said as a whole
	counters []*counter // of all; nil for meters that are none
	history
}

// history is what is remembered of a GPU when it is found again.
type history struct {
	reported bool // that it is lost
	seen     seen
}

// call is a value that has a function of its own.
type call struct {
	kind  kind
	meter power.Meter
}

// all lists the meters of d in the order of their samples.
func (d *device) all() []power.Meter {
	list := append([]power.Meter(nil), d.meters...)
	for _, c := range d.calls {
		list = append(list, c.meter)
	}
	for _, t := range d.tapes {
		list = append(list, t.meter)
	}
	return list
}

// size is the number of meters of d.
func (d *device) size() int { return len(d.meters) + len(d.calls) + len(d.tapes) }

// read appends the samples of d, whose first meter has index first: one per meter, and those that are new of a ring. Between
// before and after lies one library call, or on old drivers one per value.
func (d *device) read(first int, now func() clock.Stamp, boot func() time.Duration, dst []power.Sample) []power.Sample {
	if d.lost {
		return d.missing(first, now, dst)
	}
	begin := len(dst)
	if len(d.values) > 0 {
		before := now()
		dst = d.readFields(first, dst)
		at, within := sampler.Stamp(before, now())
		stamp(dst[begin:], at, within)
	}
	next := first + len(d.values)
	for _, c := range d.calls {
		before := now()
		var raw int64
		raw, d.cause = d.call(c.kind)
		at, within := sampler.Stamp(before, now())
		dst = append(dst, sample(next, raw, d.cause))
		stamp(dst[len(dst)-1:], at, within)
		next++
	}
	for _, t := range d.tapes {
		dst = t.read(next, now, boot, dst)
		next++
	}
	d.lost = status(d.cause) == power.Lost
	return dst
}

// missing says of every meter that it is lost.
func (d *device) missing(first int, now func() clock.Stamp, dst []power.Sample) []power.Sample {
	at, within := sampler.Stamp(now(), now())
	for i := range d.size() {
		dst = append(dst, power.Sample{Meter: first + i, Time: at, Within: within, Status: power.Lost})
	}
	return dst
}

// readFields makes the batched call.
func (d *device) readFields(first int, dst []power.Sample) []power.Sample {
	for i := range d.values {
		blank(&d.values[i])
	}
	d.cause = d.handle.GetFieldValues(d.values)
	for i := range d.values {
		var raw int64
		ret := d.cause
		if ret == lib.SUCCESS {
			raw, ret = decode(&d.values[i])
		}
		dst = append(dst, sample(first+i, raw, ret))
	}
	return dst
}

// call reads a value that has a function of its own.
func (d *device) call(k kind) (int64, lib.Return) {
	switch k {
	case energy:
		n, ret := d.handle.GetTotalEnergyConsumption()
		return int64(n), ret
	case draw:
		n, ret := d.handle.GetPowerUsage()
		return int64(n), ret
	}
	return 0, lib.ERROR_NOT_SUPPORTED
}

// sample makes one sample without its time. The time that NVML gives with a field is that of the call, not of the
// sensor, so Device stays unknown.
func sample(meter int, raw int64, ret lib.Return) power.Sample {
	s := power.Sample{Meter: meter, Status: status(ret)}
	if s.Status == power.OK {
		s.Raw = raw
	}
	return s
}

// stamp gives all samples of one call its time.
func stamp(read []power.Sample, at clock.Stamp, within time.Duration) {
	for i := range read {
		read[i].Time, read[i].Within = at, within
	}
}
