package amdgpu

import (
	"cmp"
	"fmt"
	"path/filepath"

	"agentwatt/meterd/internal/amdchip"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// discover lists what a new card offers: the fields of its table, or its hwmon channels where the table has none.
func (c *card) discover() {
	device, _ := sysfs.Line(filepath.Join(c.dir, "device"))
	c.chip = amdchip.Of(device)
	c.name, _ = sysfs.Line(filepath.Join(c.dir, "product_name")) // from the board's memory, where it has one
	c.limit = power.Power(max(0, cmp.Or(c.hwmonValue("power1_cap_max"), c.hwmonValue("power1_cap"))))
	m, err := c.table.read()
	if err != nil {
		c.absent = append(c.absent, err.Error())
	} else if c.discoverTable(m) {
		return // the other die has it all
	}
	if len(c.values) == 0 {
		c.discoverHwmon()
	}
	c.offer(value{field: amdchip.Baseboard})
}

// discoverTable lists the fields of the table, energy first. It reports whether the card is a second die.
func (c *card) discoverTable(m metrics) (second bool) {
	if watts, s := m.value(amdchip.Average); s == power.OK && c.chip.SecondDie(m.energy, watts) {
		c.absent = append(c.absent, "second die of its module: the first die reports the power and energy of both")
		return true
	}
	switch _, s := m.value(amdchip.Energy); {
	case s != power.OK:
		c.absent = append(c.absent, fmt.Sprintf("energy (gpu_metrics v%d.%d): %v", m.format, m.content, s))
	case !c.chip.Counts(m.format, m.content):
		c.absent = append(c.absent, fmt.Sprintf("energy: the unit of the counter in gpu_metrics v%d.%d is not known for a %s",
			m.format, m.content, c.chip.Arch))
	default:
		c.values = append(c.values, value{field: amdchip.Energy})
	}
	for _, f := range []amdchip.Field{amdchip.Socket, amdchip.Average} {
		if _, s := m.value(f); s == power.OK {
			c.values = append(c.values, value{field: f})
		}
	}
	c.force.metrics = fmt.Sprintf("%d.%d", m.format, m.content)
	return false
}

// discoverHwmon lists the hwmon channels that the card has. The source hwmon lists the same; the join takes a device once.
func (c *card) discoverHwmon() {
	if c.hwmon == "" {
		c.absent = append(c.absent, "power: the card has no hwmon directory")
		return
	}
	before := len(c.values)
	c.offer(value{field: amdchip.Average, micro: true})
	c.offer(value{field: amdchip.Socket, micro: true})
	if len(c.values) == before {
		c.absent = append(c.absent, "power: its hwmon has neither power1_average nor power1_input")
	}
}

// offer lists a value that has a file of its own, if the file can be read and has a number. A baseboard that draws nothing is
// one that does not tell.
func (c *card) offer(v value) {
	attr, err := sysfs.Open(c.attrPath(v))
	if err == nil {
		var raw int64
		if raw, err = attr.Int(); err == nil && (raw > 0 || raw == 0 && v.field != amdchip.Baseboard) {
			v.attr = attr
			c.values = append(c.values, v)
			return
		}
	}
	attr.Close() // nothing was written
	if sysfs.Status(err) == power.Denied {
		c.absent = append(c.absent, fmt.Sprintf("%s: %v", v.field, err))
	}
}

// hwmonValue reads an attribute that not every card has; 0 if it is not there or not a number.
func (c *card) hwmonValue(name string) int64 {
	if c.hwmon == "" {
		return 0
	}
	v, err := sysfs.Int(filepath.Join(c.hwmon, name))
	if err != nil {
		return 0
	}
	return v
}
