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
	b := new(power.Batch)
	if err := new(Decoder).Decode(b, data); err != nil {
		return nil, err
	}
	return b, nil
}

// Decoder decodes batches with memory that it keeps. The zero Decoder is ready. It is not safe for concurrent use.
type Decoder struct {
	batch   *power.Batch // being decoded
	count   counter
	origin  int64
	devices []string
	kinds   []kind
	series  []series
	texts   texts
	piece   [128]int64 // of the column being read: enough to be fast, little enough for the processor's cache
}

// Decode is like the function Decode, but fills *b, whose memory for meters and samples it uses again: who goes through
// batches one by one gives it the same b each time. On an error *b holds nothing of use.
func (d *Decoder) Decode(b *power.Batch, data []byte) error {
	d.count = counter{}
	err := read(data, nil, &d.count)
	if err == nil {
		err = d.count.check()
	}
	*b = power.Batch{Meters: b.Meters[:0], Samples: b.Samples[:0], Notes: b.Notes[:0], Losses: b.Losses[:0]}
	if err == nil {
		d.begin(b)
		err = read(data, d.texts, d)
	}
	if err == nil {
		err = d.finish()
	}
	d.batch = nil
	clear(d.series) // which refer to data
	if err != nil {
		return fmt.Errorf("decode batch of %d bytes: %w", len(data), err)
	}
	return nil
}

// begin makes room for what was counted. Series are only looked up and unpacked once all of the message was seen, because
// a protobuf writer may put the fields in any order.
func (d *Decoder) begin(b *power.Batch) {
	if d.series != nil { // not the first batch, so others may come
		d.texts = d.texts.keep()
	}
	d.batch, d.origin = b, 0
	d.devices = room(d.devices, d.count.devices)
	d.kinds = room(d.kinds, d.count.kinds)
	d.series = room(d.series, d.count.series)
}

// room returns s without its entries and with room for n.
func room[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, 0, n)
	}
	return s[:0]
}

// series is a Series as it lies in the message; the columns are varints.
type series struct {
	device, kind                          uint64
	id                                    string
	timeStep, rawStep                     int64
	sameTimes                             bool
	time, within, raw, deviceTime, status []byte
	samples                               int // entries of raw
}

// finish resolves the series into meters and samples.
func (d *Decoder) finish() error {
	total := 0
	for i := range d.series {
		d.series[i].samples = countVarints(d.series[i].raw)
		total += d.series[i].samples
	}
	if total > MaxSamples {
		return fmt.Errorf("%d samples, limit %d", total, MaxSamples)
	}
	d.batch.Meters = room(d.batch.Meters, len(d.series))[:len(d.series)]
	d.batch.Samples = room(d.batch.Samples, total)[:total]
	var before []power.Sample
	rest := d.batch.Samples
	for i := range d.series {
		s := &d.series[i]
		if err := d.meter(&d.batch.Meters[i], s); err != nil {
			return fmt.Errorf("series %d: %w", i, err)
		}
		n := s.samples
		if err := d.unpack(s, rest[:n], before, i); err != nil {
			return fmt.Errorf("series %d: %w", i, err)
		}
		before, rest = rest[:n], rest[n:]
	}
	return nil
}

// meter puts together the meter of s.
func (d *Decoder) meter(m *power.Meter, s *series) error {
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
		var id [maxMadeID]byte
		m.ID = d.texts.of(append(append(append(id[:0], k.before...), device...), k.after...))
	}
	return nil
}

// unpack fills dst with the samples of s, which belong to the meter at position meter. before are those of the series
// before.
func (d *Decoder) unpack(s *series, dst, before []power.Sample, meter int) error {
	err := d.column("raw", steps{col: s.raw, last: -s.rawStep, step: s.rawStep}, dst, func(dst []power.Sample, v []int64) bool {
		for i := range dst {
			dst[i] = power.Sample{Meter: meter, Raw: v[i]}
		}
		return true
	})
	if err == nil {
		err = d.unpackTimes(s, dst, before)
	}
	if err == nil && len(s.deviceTime) > 0 {
		err = d.column("device_time", steps{col: s.deviceTime}, dst, putDevice)
	}
	if err == nil && len(s.status) > 0 {
		err = d.column("status", steps{col: s.status}, dst, putStatus)
	}
	return err
}

// unpackTimes fills in Time and Within.
func (d *Decoder) unpackTimes(s *series, dst, before []power.Sample) error {
	if s.sameTimes {
		if len(before) != len(dst) || len(s.time)+len(s.within) > 0 {
			return fmt.Errorf("same_times: %d samples after %d", len(dst), len(before))
		}
		for i := range dst {
			dst[i].Time, dst[i].Within = before[i].Time, before[i].Within
		}
		return nil
	}
	err := d.column("time", steps{col: s.time, last: d.origin - s.timeStep, step: s.timeStep}, dst, putTime)
	if err == nil {
		err = d.column("within", steps{col: s.within}, dst, putWithin)
	}
	return err
}

// column reads a column and hands it to put piece by piece, each with the samples that it is for. put returns false at
// a value that the column cannot have.
func (d *Decoder) column(name string, from steps, dst []power.Sample, put func(dst []power.Sample, values []int64) bool) error {
	for len(dst) > 0 {
		n := min(len(dst), len(d.piece))
		from.fill(d.piece[:n])
		if !put(dst[:n], d.piece[:n]) {
			return fmt.Errorf("column %s: value out of range", name)
		}
		dst = dst[n:]
	}
	if err := from.end(); err != nil {
		return fmt.Errorf("column %s: %w", name, err)
	}
	return nil
}

func putTime(dst []power.Sample, us []int64) bool {
	ok := true
	for i := range dst {
		ok = ok && inMicros(us[i])
		dst[i].Time = clock.Stamp(us[i] * 1000)
	}
	return ok
}

func putWithin(dst []power.Sample, us []int64) bool {
	ok := true
	for i := range dst {
		ok = ok && 0 <= us[i] && us[i] < maxMicros
		dst[i].Within = time.Duration(us[i] * 1000)
	}
	return ok
}

func putDevice(dst []power.Sample, us []int64) bool {
	ok := true
	for i := range dst {
		ok = ok && inMicros(us[i])
		dst[i].Device = clock.Stamp(us[i] * 1000)
	}
	return ok
}

// putStatus also takes back Raw where there is no value.
func putStatus(dst []power.Sample, v []int64) bool {
	ok := true
	for i := range dst {
		ok = ok && 0 <= v[i] && v[i] <= int64(power.Denied)
		if dst[i].Status = power.Status(v[i]); dst[i].Status != power.OK {
			dst[i].Raw = 0
		}
	}
	return ok
}

// inMicros reports whether us microseconds fit into the nanoseconds of a clock.Stamp.
func inMicros(us int64) bool { return -maxMicros <= us && us <= maxMicros }
