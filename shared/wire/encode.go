package wire

import (
	"fmt"
	"math"

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
// A caller that encodes many batches of one source keeps an Encoder, which then allocates nothing and describes meters that
// stay the same only once.
func Encode(dst []byte, b *power.Batch) ([]byte, error) {
	var e Encoder
	return e.Encode(dst, b)
}

// Encoder encodes batches with memory that it keeps. The zero Encoder is ready. It is not safe for concurrent use.
type Encoder struct {
	samples columns
	heads   heads
	col     []byte // the column being written
	body    []byte // the message being written
}

// Encode is like the function Encode.
func (e *Encoder) Encode(dst []byte, b *power.Batch) ([]byte, error) {
	err := checkBatch(b)
	if err == nil {
		err = e.heads.describe(b.Meters)
	}
	if err == nil {
		err = e.samples.gather(b)
	}
	if err != nil {
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
	dst = e.appendSeries(dst, b.Meters)
	for i := range b.Notes {
		e.body = appendNote(e.body[:0], &b.Notes[i])
		dst = appendMessage(dst, batchNotes, e.body)
	}
	for i := range b.Losses {
		e.body = appendLoss(e.body[:0], &b.Losses[i])
		dst = appendMessage(dst, batchLosses, e.body)
	}
	return dst, nil
}

// appendSeries appends one Series per meter, each after the device and kind that it is the first to name.
func (e *Encoder) appendSeries(dst []byte, meters []power.Meter) []byte {
	for i := range meters {
		before, series := e.heads.of(i)
		e.body = append(e.body[:0], series...)
		e.appendSamples(i, meters[i].Quantity == power.Counter)
		dst = appendMessage(append(dst, before...), batchSeries, e.body)
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
	dst = appendUint(dst, kindAccuracyFrom, uint64(m.AccuracyFrom))
	dst = appendInt(dst, kindGainPPM, m.GainPPM)
	dst = appendText(dst, kindCalibration, m.Calibration)
	dst = appendBool(dst, kindBuffered, m.Buffered)
	return appendInt(dst, kindStep, m.Step)
}

func appendNote(dst []byte, n *power.Note) []byte {
	us, _ := micros(int64(n.Time))
	dst = appendInt(dst, noteTime, us)
	dst = appendText(dst, noteDevice, n.Device)
	dst = appendText(dst, noteKey, n.Key)
	return appendText(dst, noteValue, n.Value)
}

func appendLoss(dst []byte, l *power.Loss) []byte {
	dst = appendText(dst, lossRun, l.Run)
	dst = appendText(dst, lossSource, l.Source)
	dst = appendUint(dst, lossFirst, l.First)
	dst = appendUint(dst, lossLast, l.Last)
	return appendText(dst, lossReason, l.Reason)
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
