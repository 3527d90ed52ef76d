//go:build linux && cgo

package nvml

import (
	"slices"
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The driver records power by itself, in a ring of the last samples (nvmlDeviceGetSamples), on older boards 119 of 20 ms each. It
// stamps them in microseconds of CLOCK_BOOTTIME, which is written nowhere, so it is checked.
const (
	mostRing    = 1024             // samples that are taken from one ring at once
	leastRing   = 8                // samples from which a period can be told
	finer       = 75               // a ring is worth reading if its period is at most this many percent of the polled value's
	clockWithin = 10 * time.Second // the newest sample is that close to now, by the clock that it is stamped with
)

// recorded is what a driver's ring held when the GPU was found. The zero value: nothing.
type recorded struct {
	samples int
	period  time.Duration // between samples, the median
	newest  uint64        // stamp of the last one
}

// tape is a ring that is read.
type tape struct {
	meter  power.Meter
	reader *ringReader
	seen   uint64      // stamp of the last sample that was taken
	at     clock.Stamp // the same on the host's clock
}

// listen looks what rings the driver keeps of d and its module, and reads them if that is wanted and they are finer than polling.
// It returns why not.
func (d *device) listen(wanted bool, boot func() time.Duration) (absent []string) {
	if d.lost || !d.lib.has("nvmlDeviceGetSamples") || len(d.meters) == 0 {
		return nil
	}
	for _, m := range d.meters {
		var ofKind kind
		var sampled lib.SamplingType
		switch {
		case m.Quantity == power.Instant && m.Scope == power.Accelerator:
			ofKind, sampled = ring, lib.TOTAL_POWER_SAMPLES
		case m.Quantity == power.Instant && m.Scope == power.Module:
			ofKind, sampled = moduleRing, lib.MODULE_POWER_SAMPLES
		default:
			continue
		}
		reader := newRingReader(d.handle, sampled)
		got, why := reader.recorded(boot)
		if ofKind == ring {
			d.recorded = got
		}
		switch {
		case !wanted:
		case why != "":
			absent = append(absent, d.says("%s: %s", ofKind, why))
		case got.period*100 > m.Period*finer:
			absent = append(absent, d.says("%s: a sample every %v is not finer than polling", ofKind, got.period))
		default:
			meter := d.meter(ofKind, m.Scope, m.Device, m.Limit)
			meter.Period, meter.PeriodFrom, meter.Buffered = got.period, power.Measured, true
			d.tapes = append(d.tapes, &tape{meter: meter, reader: reader, seen: got.newest})
		}
	}
	return absent
}

// recorded looks at the whole ring. why says why it cannot be used.
func (r *ringReader) recorded(boot func() time.Duration) (got recorded, why string) {
	all, ret := r.since(0)
	if ret != lib.SUCCESS {
		return got, ret.Error()
	}
	return judge(all, boot())
}

// judge says what samples tell of their ring, at the given time since boot.
func judge(all []lib.Sample, elapsed time.Duration) (got recorded, why string) {
	if len(all) < leastRing {
		return got, "too few samples to tell their period"
	}
	gaps := make([]time.Duration, 0, len(all))
	for i, s := range all[1:] {
		if s.TimeStamp <= all[i].TimeStamp {
			return got, "the samples are not in order"
		}
		gaps = append(gaps, time.Duration(s.TimeStamp-all[i].TimeStamp)*time.Microsecond)
	}
	newest := all[len(all)-1].TimeStamp
	if newest > micros(elapsed+clockWithin) || newest < micros(elapsed-clockWithin) {
		return got, "the samples are not stamped with the time since boot"
	}
	slices.Sort(gaps)
	return recorded{len(all), gaps[len(gaps)/2], newest}, ""
}

// micros returns a time since boot as the driver stamps it.
func micros(d time.Duration) uint64 { return uint64(max(d, 0) / time.Microsecond) }

// read appends what is new in the ring: nothing, or samples that all have the time of this one call, each with the time at which
// the driver took it in Device.
func (t *tape) read(meter int, now func() clock.Stamp, boot func() time.Duration, dst []power.Sample) []power.Sample {
	begin := len(dst)
	before := now()
	fresh, ret := t.reader.since(t.seen)
	after := now()
	dst, ok := t.take(fresh, t.reader.kind(), after, boot(), meter, dst)
	switch {
	case !ok:
		ret = lib.ERROR_INVALID_STATE
	case ret == lib.ERROR_NOT_FOUND: // nothing new
		ret = lib.SUCCESS
	}
	if len(dst) == begin && ret != lib.SUCCESS {
		dst = append(dst, sample(meter, 0, ret))
	}
	at, within := sampler.Stamp(before, after)
	stamp(dst[begin:], at, within)
	return dst
}

// take appends those of the samples that were not taken before; at the stamp after, elapsed had passed since boot. ok is false if
// one had no power, or no time, of this world.
func (t *tape) take(fresh []lib.Sample, kind lib.ValueType, after clock.Stamp, elapsed time.Duration, meter int,
	dst []power.Sample) (_ []power.Sample, ok bool) {
	ok = true
	for _, x := range fresh {
		raw, valid := count(kind, x.SampleValue)
		if !valid || x.TimeStamp > micros(elapsed+clockWithin) {
			ok = false
			continue
		}
		at := after.Add(time.Duration(x.TimeStamp)*time.Microsecond - elapsed)
		at -= at % clock.Stamp(time.Microsecond)
		if x.TimeStamp <= t.seen || at <= t.at {
			continue
		}
		t.seen, t.at = x.TimeStamp, at
		dst = append(dst, power.Sample{Meter: meter, Device: at, Raw: raw})
	}
	return dst, ok
}
