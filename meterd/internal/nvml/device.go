//go:build linux && cgo

package nvml

import (
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// device is one GPU and the values that it offers.
type device struct {
	lib    lib.Interface
	handle lib.Device
	uuid   string
	name   string
	chip   chip
	limit  power.Power // highest power limit that can be set; 0: not known
	meters []power.Meter
	values []lib.FieldValue // one per meter that comes from the batched call; reused by every read
	calls  []kind           // the meters after those: values of functions of their own, on old drivers
	lost   bool             // the last read said so
	tried  clock.Stamp      // when a lost device was last looked for
}

// retryLost is how long a lost GPU is left alone before it is looked for again.
const retryLost = 5 * time.Second

// read appends one sample per meter of d, whose first meter has index first. Between before and after lies one library
// call, or on old drivers one per value.
func (d *device) read(first int, now func() clock.Stamp, dst []power.Sample) []power.Sample {
	begin := len(dst)
	before := now()
	if len(d.values) > 0 {
		dst = d.readFields(first, dst)
		at, within := sampler.Stamp(before, now())
		stamp(dst[begin:], at, within)
	}
	for i, k := range d.calls {
		before = now()
		raw, ret := d.call(k)
		at, within := sampler.Stamp(before, now())
		dst = append(dst, sample(first+len(d.values)+i, raw, ret))
		stamp(dst[len(dst)-1:], at, within)
	}
	d.lost = len(dst) > begin && dst[begin].Status == power.Lost
	return dst
}

// readFields makes the batched call.
func (d *device) readFields(first int, dst []power.Sample) []power.Sample {
	for i := range d.values {
		blank(&d.values[i])
	}
	all := d.handle.GetFieldValues(d.values)
	for i := range d.values {
		var raw int64
		ret := all
		if all == lib.SUCCESS {
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

// revive replaces the handle of a lost GPU, which is stale after a reset, if retryLost has passed.
func (d *device) revive(now clock.Stamp) {
	if now.Sub(d.tried) < retryLost || !d.has("nvmlDeviceGetHandleByUUID") {
		return
	}
	d.tried = now
	if handle, ret := d.lib.DeviceGetHandleByUUID(d.uuid); ret == lib.SUCCESS {
		d.handle = handle
	}
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

// stamp gives all samples of one read its time.
func stamp(read []power.Sample, at clock.Stamp, within time.Duration) {
	for i := range read {
		read[i].Time, read[i].Within = at, within
	}
}
