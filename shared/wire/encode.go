package wire

import (
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Encode appends the encoding of b to dst and returns the extended slice. On an error it returns dst as it came; the
// error says which meter or sample cannot be encoded. b is not changed.
//
// Samples come out grouped by meter. Stamps become whole microseconds, and Within grows by what rounding moved the
// stamp. Raw of a sample whose Status is not OK is dropped.
//
// A caller that encodes many batches keeps an Encoder, which then allocates nothing.
func Encode(dst []byte, b *power.Batch) ([]byte, error) {
	var e Encoder
	return e.Encode(dst, b)
}

// Encoder encodes batches with memory that it keeps. The zero Encoder is ready. It is not safe for concurrent use.
type Encoder struct {
	samples columns
	col     []byte // the column being written
	body    []byte // the message being written

	kinds   [recent]kind   // the kinds written last
	devices [recent]string // the devices written last
}

// recent is how many kinds and devices the Encoder looks back for one to refer to. A repetition that it misses costs
// bytes, nothing else; a host has few kinds, and its meters come device by device or kind by kind.
const recent = 16

// Encode is like the function Encode.
func (e *Encoder) Encode(dst []byte, b *power.Batch) ([]byte, error) {
	if err := checkBatch(b); err != nil {
		return dst, fmt.Errorf("encode batch %d of %s: %w", b.Seq, b.Source, err)
	}
	if err := e.samples.gather(b); err != nil {
		return dst, fmt.Errorf("encode batch %d of %s: %w", b.Seq, b.Source, err)
	}
	dst = appendUint(dst, batchVersion, Version)
	dst = appendText(dst, batchHost, b.Host)
	dst = appendText(dst, batchBoot, b.Boot)
	dst = appendText(dst, batchRun, b.Run)
	dst = appendText(dst, batchSource, b.Source)
	dst = appendUint(dst, batchSeq, b.Seq)
	dst = appendUint(dst, batchMissed, b.Missed)
	if b.Clock != (clock.State{}) {
		e.body = appendClock(e.body[:0], b.Clock)
		dst = appendMessage(dst, batchClock, e.body)
	}
	dst = appendInt(dst, batchOrigin, e.samples.origin)
	return e.appendMeters(dst, b.Meters), nil
}

// appendMeters appends one Series per meter, each after the device and kind that it is the first to name.
func (e *Encoder) appendMeters(dst []byte, meters []power.Meter) []byte {
	devices, kinds := 0, 0
	for i := range meters {
		device := find(e.devices[:], devices, func(s *string) bool { return *s == meters[i].Device })
		if device == devices {
			e.devices[devices%recent] = meters[i].Device
			dst = protowire.AppendTag(dst, batchDevices, protowire.BytesType)
			dst = protowire.AppendString(dst, meters[i].Device)
			devices++
		}
		k, id := kindOf(&meters[i])
		at := find(e.kinds[:], kinds, func(known *kind) bool { return *known == k })
		if at == kinds {
			e.kinds[kinds%recent] = k
			e.body = appendKind(e.body[:0], &k)
			dst = appendMessage(dst, batchKinds, e.body)
			kinds++
		}
		e.body = appendUint(e.body[:0], seriesDevice, uint64(device))
		e.body = appendUint(e.body, seriesKind, uint64(at))
		e.body = appendText(e.body, seriesID, id)
		e.appendSamples(i, meters[i].Quantity == power.Counter)
		dst = appendMessage(dst, batchSeries, e.body)
	}
	return dst
}

// appendSamples appends the columns of meter i to e.body.
func (e *Encoder) appendSamples(i int, counter bool) {
	c := &e.samples
	from, to := c.first[i], c.first[i+1]
	if from == to {
		return
	}
	if c.sameTimes(i) {
		e.body = appendUint(e.body, seriesSameTimes, 1)
	} else {
		step := usualStep(c.time[from:to])
		e.body = appendInt(e.body, seriesTimeStep, step)
		e.column(seriesTime, c.time[from:to], c.origin-step, step)
		e.column(seriesWithin, c.within[from:to], 0, 0)
	}
	raw, step := c.raw[from:to], int64(0)
	if c.hasStatus {
		c.carry(from, to)
	}
	if counter { // power goes up and down by no usual step
		step = usualStep(raw)
		e.body = appendInt(e.body, seriesRawStep, step)
	}
	e.col = appendSteps(e.col[:0], raw, -step, step)
	e.body = appendMessage(e.body, seriesRaw, e.col)
	if c.hasDevice {
		e.column(seriesDeviceTime, c.device[from:to], 0, 0)
	}
	if c.hasStatus {
		e.column(seriesStatus, c.status[from:to], 0, 0)
	}
}

// column appends one column to e.body, or nothing if all its entries are 0.
func (e *Encoder) column(field protowire.Number, values []int64, start, step int64) {
	if e.col = appendColumn(e.col[:0], values, start, step); len(e.col) > 0 {
		e.body = appendMessage(e.body, field, e.col)
	}
}

// find returns the position of an entry among the n written so far, of which ring holds the last; n if there is none.
func find[T any](ring []T, n int, is func(*T) bool) int {
	for i := n - 1; i >= max(0, n-len(ring)); i-- {
		if is(&ring[i%len(ring)]) {
			return i
		}
	}
	return n
}

// kindOf splits a meter into its kind and the id that kind and device do not make; empty where they do.
func kindOf(m *power.Meter) (k kind, id string) {
	k.meter = *m
	k.meter.ID, k.meter.Device = "", ""
	if m.Device == "" || len(m.ID) > maxMadeID {
		return k, m.ID
	}
	before, after, found := strings.Cut(m.ID, m.Device)
	if !found {
		return k, m.ID
	}
	k.before, k.after = before, after
	return k, ""
}

func appendClock(dst []byte, s clock.State) []byte {
	dst = appendInt(dst, clockRead, int64(s.Read))
	dst = appendInt(dst, clockOffset, int64(s.Offset))
	dst = appendInt(dst, clockEstError, int64(s.EstError))
	dst = appendInt(dst, clockMaxError, int64(s.MaxError))
	dst = appendBool(dst, clockSynchronised, s.Synchronised)
	return appendInt(dst, clockEpoch, int64(s.Epoch))
}

func appendKind(dst []byte, k *kind) []byte {
	m := &k.meter
	dst = appendText(dst, kindIDBefore, k.before)
	dst = appendText(dst, kindIDAfter, k.after)
	dst = appendText(dst, kindName, m.Name)
	dst = appendText(dst, kindScope, string(m.Scope))
	dst = appendUint(dst, kindQuantity, uint64(m.Quantity))
	dst = appendInt(dst, kindScaleNum, m.Scale.Num)
	dst = appendInt(dst, kindScaleDen, m.Scale.Den)
	dst = appendInt(dst, kindWrap, m.Wrap)
	dst = appendInt(dst, kindPeriod, int64(m.Period))
	dst = appendInt(dst, kindAveraging, int64(m.Averaging))
	dst = appendInt(dst, kindDelay, int64(m.Delay))
	dst = appendInt(dst, kindLimit, int64(m.Limit))
	if bits := math.Float64bits(m.Accuracy); bits != 0 {
		dst = protowire.AppendTag(dst, kindAccuracy, protowire.Fixed64Type)
		dst = protowire.AppendFixed64(dst, bits)
	}
	dst = appendText(dst, kindModel, m.Model)
	dst = appendBool(dst, kindSimulated, m.Simulated)
	dst = appendUint(dst, kindPeriodFrom, uint64(m.PeriodFrom))
	dst = appendUint(dst, kindAveragingFrom, uint64(m.AveragingFrom))
	dst = appendUint(dst, kindDelayFrom, uint64(m.DelayFrom))
	return appendUint(dst, kindAccuracyFrom, uint64(m.AccuracyFrom))
}

// The append functions below leave out a field whose value is the default, as proto3 does.

func appendUint(dst []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), v)
}

func appendInt(dst []byte, field protowire.Number, v int64) []byte {
	return appendUint(dst, field, zigzag(v))
}

func appendBool(dst []byte, field protowire.Number, v bool) []byte {
	if !v {
		return dst
	}
	return appendUint(dst, field, 1)
}

func appendText(dst []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return dst
	}
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), s)
}

func appendMessage(dst []byte, field protowire.Number, body []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), body)
}
