package wire

import (
	"errors"
	"fmt"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The methods field of this file take one field of the message that their receiver stands for, and ignore those that
// they do not know.

// counter looks at a batch before it is read: whether this package can read it, and how much room it takes.
type counter struct {
	version                uint64
	devices, kinds, series int
	notes, losses          int
}

func (c *counter) field(f field) (err error) {
	switch f.number {
	case batchVersion:
		c.version, err = f.uint()
	case batchDevices:
		c.devices++
	case batchKinds:
		c.kinds++
	case batchSeries:
		c.series++
	case batchNotes:
		c.notes++
	case batchLosses:
		c.losses++
	}
	return err
}

func (c *counter) check() error {
	switch {
	case c.version == 0:
		return errors.New("no version: not a batch")
	case c.version > Version:
		return fmt.Errorf("version %d is newer than %d, the newest known here", c.version, Version)
	case max(c.devices, c.kinds, c.series) > MaxMeters:
		return fmt.Errorf("%d meters, %d devices, %d kinds: limit %d each", c.series, c.devices, c.kinds, MaxMeters)
	case c.losses > MaxLosses:
		return fmt.Errorf("%d losses, limit %d", c.losses, MaxLosses)
	case c.notes > MaxNotes:
		return fmt.Errorf("%d notes, limit %d", c.notes, MaxNotes)
	}
	return nil
}

func (d *Decoder) field(f field) (err error) {
	b := d.batch
	switch f.number {
	case batchHost:
		b.Host, err = f.text("host")
	case batchBoot:
		b.Boot, err = f.text("boot")
	case batchRun:
		b.Run, err = f.text("run")
	case batchSource:
		b.Source, err = f.text("source")
	case batchSeq:
		b.Seq, err = f.uint()
	case batchMissed:
		b.Missed, err = f.uint()
	case batchClock:
		err = f.message("clock", (*clockState)(&b.Clock))
	case batchOrigin:
		d.origin, err = f.int()
	case batchDevices:
		var device string
		device, err = f.text("device")
		d.devices = append(d.devices, device)
	case batchKinds:
		d.kinds = append(d.kinds, kind{})
		err = f.message("kind", &d.kinds[len(d.kinds)-1])
	case batchSeries:
		d.series = append(d.series, series{})
		err = f.message("series", &d.series[len(d.series)-1])
	case batchNotes:
		b.Notes = append(b.Notes, power.Note{})
		err = f.message("note", (*note)(&b.Notes[len(b.Notes)-1]))
	case batchLosses:
		b.Losses = append(b.Losses, power.Loss{})
		err = f.message("loss", (*loss)(&b.Losses[len(b.Losses)-1]))
	}
	return err
}

// note reads the message Note.
type note power.Note

func (n *note) field(f field) (err error) {
	switch f.number {
	case noteTime:
		var us int64
		if us, err = f.int(); err == nil && !inMicros(us) {
			err = fmt.Errorf("note: time %d us: out of range", us)
		}
		n.Time = clock.Stamp(us * 1000)
	case noteDevice:
		n.Device, err = f.text("device")
	case noteKey:
		n.Key, err = f.text("key")
	case noteValue:
		n.Value, err = f.text("value")
	}
	return err
}

// loss reads the message Loss.
type loss power.Loss

func (l *loss) field(f field) (err error) {
	switch f.number {
	case lossRun:
		l.Run, err = f.text("run")
	case lossSource:
		l.Source, err = f.text("source")
	case lossFirst:
		l.First, err = f.uint()
	case lossLast:
		l.Last, err = f.uint()
	case lossReason:
		l.Reason, err = f.text("reason")
	}
	return err
}

// clockState reads the message Clock.
type clockState clock.State

func (s *clockState) field(f field) (err error) {
	switch f.number {
	case clockRead:
		err = set(f, &s.Read)
	case clockOffset:
		err = set(f, &s.Offset)
	case clockEstError:
		err = set(f, &s.EstError)
	case clockMaxError:
		err = set(f, &s.MaxError)
	case clockSynchronised:
		s.Synchronised, err = f.bool()
	case clockEpoch:
		err = set(f, &s.Epoch)
	}
	return err
}

func (k *kind) field(f field) (err error) {
	m := &k.meter
	switch f.number {
	case kindIDBefore:
		k.before, err = f.text("id_before")
	case kindIDAfter:
		k.after, err = f.text("id_after")
	case kindName:
		m.Name, err = f.text("name")
	case kindScope:
		var s string
		s, err = f.text("scope")
		m.Scope = power.Scope(s)
	case kindQuantity:
		err = f.enum("quantity", (*uint8)(&m.Quantity), uint8(power.Held))
	case kindScaleNum:
		err = set(f, &m.Scale.Num)
	case kindScaleDen:
		err = set(f, &m.Scale.Den)
	case kindWrap:
		err = set(f, &m.Wrap)
	case kindPeriod:
		err = set(f, &m.Period)
	case kindAveraging:
		err = set(f, &m.Averaging)
	case kindDelay:
		err = set(f, &m.Delay)
	case kindLimit:
		err = set(f, &m.Limit)
	case kindAccuracy:
		m.Accuracy, err = f.float()
	case kindModel:
		m.Model, err = f.text("model")
	case kindSimulated:
		m.Simulated, err = f.bool()
	case kindPeriodFrom:
		err = f.enum("period_from", (*uint8)(&m.PeriodFrom), uint8(power.Measured))
	case kindAveragingFrom:
		err = f.enum("averaging_from", (*uint8)(&m.AveragingFrom), uint8(power.Measured))
	case kindDelayFrom:
		err = f.enum("delay_from", (*uint8)(&m.DelayFrom), uint8(power.Measured))
	case kindAccuracyFrom:
		err = f.enum("accuracy_from", (*uint8)(&m.AccuracyFrom), uint8(power.Measured))
	case kindGainPPM:
		err = set(f, &m.GainPPM)
	case kindCalibration:
		m.Calibration, err = f.text("calibration")
	case kindBuffered:
		m.Buffered, err = f.bool()
	case kindStep:
		err = set(f, &m.Step)
	}
	return err
}

func (s *series) field(f field) (err error) {
	switch f.number {
	case seriesDevice:
		s.device, err = f.uint()
	case seriesKind:
		s.kind, err = f.uint()
	case seriesID:
		s.id, err = f.text("id")
	case seriesTimeStep:
		s.timeStep, err = f.int()
	case seriesRawStep:
		s.rawStep, err = f.int()
	case seriesSameTimes:
		s.sameTimes, err = f.bool()
	case seriesTime:
		s.time, err = f.column(s.time)
	case seriesWithin:
		s.within, err = f.column(s.within)
	case seriesRaw:
		s.raw, err = f.column(s.raw)
	case seriesDeviceTime:
		s.deviceTime, err = f.column(s.deviceTime)
	case seriesStatus:
		s.status, err = f.column(s.status)
	}
	return err
}
