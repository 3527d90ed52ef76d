//go:build linux && cgo

package amdsmi

import (
	"math"

	"agentwatt/meterd/internal/amdchip"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// device is one GPU, whatever it is partitioned into, and the values that it offers.
type device struct {
	handle handle // of its first partition; nil while the library does not know it
	pci    string
	chip   amdchip.Chip
	fields []amdchip.Field
	first  int // index of its first meter
	watch  amdchip.Watch
	event  string // what the last read found out about the energy counter; empty: nothing
	lost   bool
	limit  int64  // power limit last told, W
	mode   string // partition mode last told
}

// read appends one sample per value of d. The time that the library gives with the counter is the driver's own time of the
// call, not the sensor's, so Device stays unknown.
func (d *device) read(l *library, at layout, now func() clock.Stamp, dst []power.Sample) []power.Sample {
	d.event = ""
	begin := len(dst)
	before := now()
	var r reading
	if d.handle != nil {
		r = l.read(d.handle)
	}
	t, within := sampler.Stamp(before, now())
	d.lost = d.handle == nil || d.gone(r)
	for i, f := range d.fields {
		s := power.Sample{Meter: d.first + i, Time: t, Within: within, Status: power.Lost}
		if !d.lost {
			s.Raw, s.Status = r.value(f, at)
		}
		dst = append(dst, s)
	}
	if read := dst[begin:]; len(read) >= 2 && d.fields[0] == amdchip.Energy && read[0].Status == power.OK && read[1].Status == power.OK &&
		d.fields[1] != amdchip.Baseboard {
		d.event = d.watch.Look(read[0].Time, read[0].Raw, read[1].Raw)
	}
	return dst
}

// gone reports whether a reading is that of a GPU that is not there any more. The library has no code for it: what it
// says comes from the errno of a file that is away, ENOENT as not supported and ENODEV as unknown, for both calls at once.
func (d *device) gone(r reading) bool {
	if status(r.energy) == power.Lost || status(r.power) == power.Lost {
		return true
	}
	away := func(c code) bool { return c == notSupported || c == unknownError || c == fileNotFound }
	both := len(d.fields) >= 2 && d.fields[0] == amdchip.Energy
	return both && away(r.energy) && away(r.power)
}

// value returns the raw count of a field, or why there is none.
func (r reading) value(f amdchip.Field, at layout) (int64, power.Status) {
	if f == amdchip.Energy {
		switch {
		case r.energy != success:
			return 0, status(r.energy)
		case r.counts == math.MaxUint64:
			return 0, power.Unsupported
		case r.counts > math.MaxInt64:
			return 0, power.Failed
		}
		return int64(r.counts), power.OK
	}
	if r.power != success {
		return 0, status(r.power)
	}
	offset := at.current
	switch f {
	case amdchip.Average:
		offset = at.average
	case amdchip.Baseboard:
		if offset = at.board; offset == 0 {
			return 0, power.Unsupported
		}
	}
	w, ok := watts(r.info, offset)
	if !ok || f == amdchip.Baseboard && w == 0 { // versions before it may leave 0 there; no board draws nothing
		return 0, power.Unsupported
	}
	return w, power.OK
}
