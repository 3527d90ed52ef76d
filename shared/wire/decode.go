package wire

import (
	"fmt"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Decode reads one encoded batch. Samples come grouped by meter, each group in reading order, with stamps of whole
// microseconds. The result shares no memory with data.
//
// Fields that batch.proto does not have are skipped. A newer version, a truncated or contradictory batch, and one beyond
// the limits of this package are errors that say where.
func Decode(data []byte) (*power.Batch, error) {
	var count counter
	err := read(data, &count)
	if err == nil {
		err = count.check()
	}
	d := decoder{batch: new(power.Batch)}
	if err == nil {
		d.devices, d.kinds, d.series = make([]string, 0, count.devices), make([]kind, 0, count.kinds), make([]series, 0, count.series)
		err = read(data, &d)
	}
	if err == nil {
		err = d.finish()
	}
	if err != nil {
		return nil, fmt.Errorf("decode batch of %d bytes: %w", len(data), err)
	}
	return d.batch, nil
}

// decoder collects a batch. Series are only looked up and unpacked once all of the message was seen, because a
// protobuf writer may put the fields in any order.
type decoder struct {
	batch   *power.Batch
	origin  int64
	devices []string
	kinds   []kind
	series  []series
}

// series is a Series as it lies in the message; the columns are varints.
type series struct {
	device, kind                          uint64
	id                                    string
	timeStep, rawStep                     int64
	sameTimes                             bool
	time, within, raw, deviceTime, status []byte
}

// finish resolves the series into meters and samples.
func (d *decoder) finish() error {
	total := 0
	for i := range d.series {
		total += countVarints(d.series[i].raw)
	}
	if total > MaxSamples {
		return fmt.Errorf("%d samples, limit %d", total, MaxSamples)
	}
	if len(d.series) > 0 {
		d.batch.Meters = make([]power.Meter, len(d.series))
	}
	if total > 0 {
		d.batch.Samples = make([]power.Sample, total)
	}
	var before, rest []power.Sample
	rest = d.batch.Samples
	for i := range d.series {
		s := &d.series[i]
		if err := d.meter(&d.batch.Meters[i], s); err != nil {
			return fmt.Errorf("series %d: %w", i, err)
		}
		n := countVarints(s.raw)
		if err := s.unpack(rest[:n], before, i, d.origin); err != nil {
			return fmt.Errorf("series %d: %w", i, err)
		}
		before, rest = rest[:n], rest[n:]
	}
	return nil
}

// meter puts together the meter of s.
func (d *decoder) meter(m *power.Meter, s *series) error {
	if s.device >= uint64(len(d.devices)) {
		return fmt.Errorf("device %d of %d", s.device, len(d.devices))
	}
	if s.kind >= uint64(len(d.kinds)) {
		return fmt.Errorf("kind %d of %d", s.kind, len(d.kinds))
	}
	k, device := &d.kinds[s.kind], d.devices[s.device]
	*m = k.meter
	m.Device, m.ID = device, s.id
	if s.id == "" {
		if n := len(k.before) + len(device) + len(k.after); n > maxMadeID {
			return fmt.Errorf("id made from kind and device: %d bytes, limit %d", n, maxMadeID)
		}
		m.ID = k.before + device + k.after
	}
	return nil
}

// unpack fills dst with the samples of s, which belong to the meter at position meter. before are those of the series
// before.
func (s *series) unpack(dst, before []power.Sample, meter int, origin int64) error {
	raw := steps{col: s.raw, last: -s.rawStep, step: s.rawStep}
	for i := range dst {
		dst[i] = power.Sample{Meter: meter, Raw: raw.next()}
	}
	if err := raw.end(); err != nil {
		return fmt.Errorf("column raw: %w", err)
	}
	if err := s.unpackTimes(dst, before, origin); err != nil {
		return err
	}
	if err := s.unpackDevice(dst); err != nil {
		return fmt.Errorf("column device_time: %w", err)
	}
	if err := s.unpackStatus(dst); err != nil {
		return fmt.Errorf("column status: %w", err)
	}
	return nil
}

// unpackTimes fills in Time and Within.
func (s *series) unpackTimes(dst, before []power.Sample, origin int64) error {
	if s.sameTimes {
		if len(before) != len(dst) || len(s.time)+len(s.within) > 0 {
			return fmt.Errorf("same_times: %d samples after %d", len(dst), len(before))
		}
		for i := range dst {
			dst[i].Time, dst[i].Within = before[i].Time, before[i].Within
		}
		return nil
	}
	at := steps{col: s.time, last: origin - s.timeStep, step: s.timeStep}
	for i := range dst {
		us := at.next()
		if !inMicros(us) {
			return fmt.Errorf("column time: %d µs: out of range", us)
		}
		dst[i].Time = clock.Stamp(us * 1000)
	}
	if err := at.end(); err != nil {
		return fmt.Errorf("column time: %w", err)
	}
	within := steps{col: s.within}
	for i := range dst {
		us := within.next()
		if us < 0 || us > maxMicros {
			return fmt.Errorf("column within: %d µs: out of range", us)
		}
		dst[i].Within = time.Duration(us * 1000)
	}
	if err := within.end(); err != nil {
		return fmt.Errorf("column within: %w", err)
	}
	return nil
}

// unpackDevice fills in Device.
func (s *series) unpackDevice(dst []power.Sample) error {
	if len(s.deviceTime) == 0 {
		return nil
	}
	device := steps{col: s.deviceTime}
	for i := range dst {
		us := device.next()
		if !inMicros(us) {
			return fmt.Errorf("%d µs: out of range", us)
		}
		dst[i].Device = clock.Stamp(us * 1000)
	}
	return device.end()
}

// unpackStatus fills in Status, and takes back Raw where there is no value.
func (s *series) unpackStatus(dst []power.Sample) error {
	if len(s.status) == 0 {
		return nil
	}
	status := steps{col: s.status}
	for i := range dst {
		v := status.next()
		if v < 0 || v > int64(power.Denied) {
			return fmt.Errorf("%d: not known", v)
		}
		if dst[i].Status = power.Status(v); dst[i].Status != power.OK {
			dst[i].Raw = 0
		}
	}
	return status.end()
}
