package influx

import (
	"iter"
	"math"
	"strconv"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// encoder turns messages into lines, with memory that it keeps.
type encoder struct {
	decoder wire.Decoder
	batch   power.Batch
	known   map[owned]*series
	line    []byte
	times   []int64
	taken   map[taken]bool // by notes of this batch
}

// owned is a meter of one source of one host.
type owned struct {
	host, source string
	meter        power.Meter
}

// taken is the key of a point.
type taken struct {
	series string
	time   int64
}

const (
	mostKnown = 1 << 14 // meters that are remembered
	describe  = 60      // one batch in so many, and the first of a run, describes its meters
)

// lines yields the points of a message, one line each, without the line's end. A line is valid until the next one. err says that
// the message is not a batch that can be read; its only line then says so.
func (e *encoder) lines(m bus.Message) (seq iter.Seq[[]byte], err error) {
	err = e.decoder.Decode(&e.batch, m.Payload)
	return func(yield func([]byte) bool) {
		_ = (m.Gap == nil || yield(e.gap(m))) && (err == nil || yield(e.unread(m))) && (err != nil || e.all(m, yield))
	}, err
}

func (e *encoder) all(m bus.Message, yield func([]byte) bool) bool {
	b := &e.batch
	return e.samples(m, yield) && yield(e.head(m)) && (b.Clock.Read == 0 || yield(e.clock())) &&
		e.meters(m, yield) && e.notes(m, yield) && e.losses(m, yield)
}

// samples yields a point for each sample: power or energy.
func (e *encoder) samples(m bus.Message, yield func([]byte) bool) bool {
	for all := e.batch.Samples; len(all) > 0; {
		n := 1
		for n < len(all) && all[n].Meter == all[0].Meter {
			n++
		}
		meter := e.batch.Meters[all[0].Meter]
		s := e.series(meter)
		e.times = placed(e.times[:0], all[:n], meter.Buffered, slot(&e.batch, meter.Buffered), m.Stored)
		for i, x := range all[:n] {
			e.line = append(append(append(e.line[:0], s.name...), s.tags...), ' ')
			e.line = s.appendValue(e.line, x)
			if !yield(e.finish(e.times[i])) {
				return false
			}
		}
		all = all[n:]
	}
	return true
}

func (e *encoder) series(m power.Meter) *series {
	k := owned{e.batch.Host, e.batch.Source, m}
	s := e.known[k]
	if s == nil {
		if e.known == nil || len(e.known) >= mostKnown {
			e.known = map[owned]*series{}
		}
		s = newSeries(k.host, k.source, m)
		e.known[k] = s
	}
	return s
}

// finish ends the line with its time.
func (e *encoder) finish(ns int64) []byte {
	e.line = strconv.AppendInt(append(e.line, ' '), ns, 10)
	return e.line
}

// begin starts a line of a measurement with the tags host and source.
func (e *encoder) begin(name, source string) {
	e.line = appendTag(append(e.line[:0], name...), "host", e.batch.Host)
	e.line = append(appendTag(e.line, "source", source), ' ')
}

// head is the point of the batch itself.
func (e *encoder) head(m bus.Message) []byte {
	b := &e.batch
	e.begin("batch", b.Source)
	e.count("seq=", b.Seq)
	e.count(",missed=", b.Missed)
	e.count(",samples=", uint64(len(b.Samples)))
	e.count(",sequence=", m.Sequence)
	e.text(",run=", b.Run)
	e.text(",boot=", b.Boot)
	return e.finish(int64(m.Stored))
}

func (e *encoder) clock() []byte {
	c := e.batch.Clock
	e.begin("clock", e.batch.Source)
	e.int("offset_ns=", int64(c.Offset))
	e.int(",est_error_ns=", int64(c.EstError))
	e.int(",max_error_ns=", int64(c.MaxError))
	e.line = strconv.AppendBool(append(e.line, ",synchronised="...), c.Synchronised)
	e.text(",run=", e.batch.Run)
	return e.finish(at(c.Read, c.Read) + slot(&e.batch, false))
}

// meters yields what is declared of each meter, now and then. Which batches do it depends on their number alone, so that a
// repetition writes nothing new.
func (e *encoder) meters(m bus.Message, yield func([]byte) bool) bool {
	if e.batch.Seq%describe != 1 {
		return true
	}
	for _, x := range e.batch.Meters {
		e.line = append(append(append(e.line[:0], "meter"...), e.series(x).tags...), ' ')
		e.int("scale_num=", x.Scale.Num)
		e.int(",scale_den=", x.Scale.Den)
		e.int(",period_ns=", int64(x.Period))
		e.int(",averaging_ns=", int64(x.Averaging))
		e.int(",delay_ns=", int64(x.Delay))
		e.text(",name=", x.Name)
		e.text(",model=", x.Model)
		e.known64(",step=", x.Step)
		e.known64(",wrap=", x.Wrap)
		e.known64(",gain_ppm=", x.GainPPM)
		if x.Calibration != "" {
			e.text(",calibration=", x.Calibration)
		}
		if x.Limit > 0 {
			e.float(",limit_watts=", x.Limit.Watts())
		}
		if x.Accuracy >= 0 && !math.IsInf(x.Accuracy, 0) {
			e.float(",accuracy=", x.Accuracy)
		}
		if !yield(e.finish(int64(m.Stored))) {
			return false
		}
	}
	return true
}

func (e *encoder) notes(m bus.Message, yield func([]byte) bool) bool {
	clear(e.taken)
	for _, n := range e.batch.Notes {
		e.line = appendTag(append(e.line[:0], "note"...), "device", n.Device)
		e.line = appendTag(e.line, "host", e.batch.Host)
		e.line = appendTag(e.line, "key", n.Key)
		e.line = appendTag(e.line, "source", e.batch.Source)
		ns := e.free(string(e.line), at(n.Time, m.Stored)+slot(&e.batch, false))
		e.text(" value=", n.Value)
		if v, err := strconv.ParseFloat(n.Value, 64); err == nil && !math.IsInf(v, 0) && !math.IsNaN(v) {
			e.float(",number=", v)
		}
		if !yield(e.finish(ns)) {
			return false
		}
	}
	return true
}

// free returns the first time from ns on that no point of this batch with these tags has.
func (e *encoder) free(series string, ns int64) int64 {
	if e.taken == nil {
		e.taken = map[taken]bool{}
	}
	for e.taken[taken{series, ns}] {
		ns++
	}
	e.taken[taken{series, ns}] = true
	return ns
}

func (e *encoder) losses(m bus.Message, yield func([]byte) bool) bool {
	for i, l := range e.batch.Losses {
		e.begin("loss", l.Source)
		e.count("first=", l.First)
		if l.Last >= l.First {
			e.count(",last=", l.Last)
			e.count(",batches=", l.Last-l.First+1)
		}
		e.text(",reason=", l.Reason)
		e.text(",run=", l.Run)
		if !yield(e.finish(int64(m.Stored) + int64(i))) {
			return false
		}
	}
	return true
}

// gap says what the store lost before it was read.
func (e *encoder) gap(m bus.Message) []byte {
	e.line = append(appendTag(append(e.line[:0], "gap"...), "host", m.Host), ' ')
	e.count("first=", m.Gap.After+1)
	if m.Gap.NewStore {
		e.text(",reason=", "new-store")
	} else {
		e.count(",last=", m.Gap.Before-1)
		e.count(",messages=", m.Gap.Before-1-m.Gap.After)
		e.text(",reason=", "trimmed")
	}
	return e.finish(int64(m.Stored))
}

// unread says that a message was passed over.
func (e *encoder) unread(m bus.Message) []byte {
	e.line = append(appendTag(append(e.line[:0], "gap"...), "host", m.Host), ' ')
	e.count("first=", m.Sequence)
	e.count(",last=", m.Sequence)
	e.count(",messages=", 1)
	e.text(",reason=", "not-decoded")
	return e.finish(int64(m.Stored) + 1)
}

func (e *encoder) int(name string, v int64) { e.line = appendInt(append(e.line, name...), v) }
func (e *encoder) count(name string, v uint64) {
	e.line = appendCount(append(e.line, name...), v)
}
func (e *encoder) float(name string, v float64) { e.line = appendFloat(append(e.line, name...), v) }
func (e *encoder) text(name, v string)          { e.line = appendText(append(e.line, name...), v) }

// known64 is int for what is left out when it is not known.
func (e *encoder) known64(name string, v int64) {
	if v != 0 {
		e.int(name, v)
	}
}

// said returns the point in which the sink speaks of itself. It is also the line that a working server is known to take.
func said(host string, now clock.Stamp, s Stats) []byte {
	e := encoder{batch: power.Batch{Host: host}}
	e.line = append(appendTag([]byte("forward"), "host", host), ' ')
	e.count("lag=", s.Lag)
	e.count(",points=", s.Points)
	e.count(",requests=", s.Requests)
	e.count(",retries=", s.Retries)
	e.count(",rejected=", s.Rejected)
	e.count(",lost=", s.Lost)
	return e.finish(int64(now))
}
