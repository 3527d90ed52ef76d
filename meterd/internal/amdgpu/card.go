package amdgpu

import (
	"errors"
	"math"
	"path/filepath"

	"agentwatt/meterd/internal/amdchip"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// card is one GPU and the values that it offers.
type card struct {
	place
	chip   amdchip.Chip
	name   string // for people
	table  table
	values []value
	first  int // index of its first meter
	limit  power.Power
	absent []string // why what it lacks is absent
	watch  amdchip.Watch
	event  string // what the last read found out about the energy counter; empty: nothing
	lost   bool
	force  force
}

// value is one meter of a card: a field of the table, or an attribute of its own.
type value struct {
	field amdchip.Field
	attr  *sysfs.Attr // nil: in the table
	micro bool        // the attribute is in microwatts, as hwmon has it, else in watts
}

// connect opens the card's files at p, where it is found now.
func (c *card) connect(p place) {
	c.close()
	c.place, c.lost = p, false
	c.table.path = filepath.Join(p.dir, "gpu_metrics")
	c.force.connect(p)
	for i, v := range c.values {
		if v.attr != nil {
			c.values[i].attr, _ = sysfs.Open(c.attrPath(v)) // an error comes again with the next read
		}
	}
}

func (c *card) close() {
	c.table.close()
	c.force.close()
	for _, v := range c.values {
		if v.attr != nil {
			v.attr.Close() // nothing was written, so nothing can be lost by it
		}
	}
}

// attrPath is where a value that is not in the table is read.
func (c *card) attrPath(v value) string {
	switch v.field {
	case amdchip.Baseboard:
		return filepath.Join(c.dir, "board", "baseboard_power") // in watts
	case amdchip.Average:
		return filepath.Join(c.hwmon, "power1_average")
	}
	return filepath.Join(c.hwmon, "power1_input")
}

// meter describes one value.
func (c *card) meter(v value, driver string) power.Meter {
	m := c.chip.Meter("amdgpu", c.pci, v.field, driver, c.limit)
	if v.micro {
		m.Scale = power.Scale{Num: 1, Den: 1}
	}
	if c.name != "" && v.field != amdchip.Baseboard {
		m.Name = c.name
	}
	return m
}

// read appends one sample per value: those of the table with the time of its one system call. A card that is lost is not
// touched until it is connected again: by then its directory may belong to another one.
func (c *card) read(now func() clock.Stamp, dst []power.Sample) []power.Sample {
	c.event = ""
	if len(c.values) == 0 {
		return dst
	}
	begin := len(dst)
	before := now()
	var m metrics
	failed := power.OK
	switch {
	case c.lost:
		failed = power.Lost
	case c.inTable():
		var err error
		m, err = c.table.read()
		failed = status(err)
	}
	at, within := sampler.Stamp(before, now())
	for i, v := range c.values {
		s := power.Sample{Meter: c.first + i, Time: at, Within: within, Status: failed}
		switch {
		case c.lost || v.attr == nil && failed != power.OK:
		case v.attr == nil:
			s.Raw, s.Status = m.value(v.field)
		default:
			before := now()
			s.Raw, s.Status = v.read()
			s.Time, s.Within = sampler.Stamp(before, now())
		}
		dst = append(dst, s)
	}
	for _, s := range dst[begin:] {
		c.lost = c.lost || s.Status == power.Lost
	}
	if c.lost {
		c.close()
	}
	c.look(dst[begin:])
	return dst
}

// read reads a value that is not in the table.
func (v value) read() (int64, power.Status) {
	raw, err := v.attr.Int()
	switch {
	case err != nil:
		return 0, sysfs.Status(err)
	case raw < 0:
		return 0, power.Failed
	}
	return raw, power.OK
}

// inTable reports whether the card's values are in its table: then all but the baseboard's are.
func (c *card) inTable() bool { return c.values[0].attr == nil }

// look watches the energy counter against the power of the same table.
func (c *card) look(read []power.Sample) {
	if len(read) < 2 || c.values[0].field != amdchip.Energy || read[0].Status != power.OK || read[1].Status != power.OK ||
		c.values[1].attr != nil {
		return
	}
	c.event = c.watch.Look(read[0].Time, read[0].Raw, read[1].Raw)
}

// value returns the raw count of a field of the table, or why there is none.
func (m metrics) value(f amdchip.Field) (int64, power.Status) {
	watts := m.socket
	switch f {
	case amdchip.Energy:
		switch {
		case m.energy == none64:
			return 0, power.Unsupported
		case m.energy > math.MaxInt64:
			return 0, power.Failed
		}
		return int64(m.energy), power.OK
	case amdchip.Average:
		watts = m.average
	}
	if watts == none16 {
		return 0, power.Unsupported
	}
	return int64(watts), power.OK
}

// status says what an error of table.read means for a sample; no error is power.OK.
func status(err error) power.Status {
	if errors.Is(err, errContent) {
		return power.Failed
	}
	return sysfs.Status(err)
}
