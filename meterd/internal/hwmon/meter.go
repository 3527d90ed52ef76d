package hwmon

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"agentwatt/meterd/internal/sensor"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// assumedWindow stands for the averaging window of a driver that does not state it, such as amdgpu, whose firmware filters
// with an undocumented time constant.
const assumedWindow = time.Second

// meter describes one channel, such as "power1" with number 1, read through its attribute "input" or "average".
func (c chip) meter(name, number, kind string) power.Meter {
	label, _ := sysfs.Line(filepath.Join(c.dir, name+"_label"))
	covers := c.cover(cmp.Or(c.oem, label), cmp.Or(label, number))
	m := power.Meter{
		ID:     blanks.Replace(fmt.Sprintf("hwmon/%s/%s/%s_%s", c.name, c.device, name, kind)),
		Device: covers.device, Scope: covers.scope,
		Name:     fmt.Sprintf("%s %s", c.name, cmp.Or(c.oem, label, name)),
		Scale:    power.Scale{Num: 1, Den: 1}, // microwatts and microjoules
		Quantity: power.Instant,
	}
	field := kind
	switch {
	case name[0] == 'e':
		m.Quantity, field = power.Counter, "energy"
	case kind == "average":
		m.Quantity = power.Mean
	}
	sensor.Find("hwmon", c.name, field, "").Describe(&m)
	m.Model = blanks.Replace(fmt.Sprintf("hwmon/%s/%s_%s", c.name, name, kind))
	c.timing(name, &m)
	if percent, err := sysfs.Line(filepath.Join(c.dir, name+"_accuracy")); err == nil {
		if a, ok := accuracy(percent); ok {
			m.Accuracy, m.AccuracyFrom = a, power.Specification
		}
	}
	m.Limit = power.Power(max(c.value(name+"_cap_max"), c.value(name+"_max"), 0))
	return m
}

// timing takes over what the driver says about time. The sensors of the INA family with one channel convert without a pause
// and average over their update interval (kernel documentation, ina2xx); the INA3221 turns from channel to channel.
func (c chip) timing(name string, m *power.Meter) {
	if m.Quantity == power.Mean {
		if d, ok := c.interval(name + "_average_interval"); ok {
			m.Averaging, m.AveragingFrom = d, power.Specification
		} else if m.Averaging == 0 {
			m.Averaging, m.AveragingFrom = assumedWindow, power.Assumed
		}
	}
	if d, ok := c.interval("update_interval"); ok {
		m.Period, m.PeriodFrom = d, power.Specification
		if strings.HasPrefix(c.name, "ina2") && m.Quantity == power.Instant {
			m.Averaging, m.AveragingFrom = d, power.Specification
		}
	}
}

// interval reads a time in ms, up to an hour.
func (c chip) interval(name string) (time.Duration, bool) {
	ms := c.value(name)
	return time.Duration(ms) * time.Millisecond, ms > 0 && ms < int64(time.Hour/time.Millisecond)
}

// accuracy reads what an ACPI power meter says about itself, "95%", "95.5%" or "95": how close readings are to the truth,
// in percent (ACPI 6.5, 10.4.1, _PMC). The driver writes the thousandths of a percent after the point without leading
// zeros, so "95.5%" is 95.005 %. Below 50 firmware may mean the error itself; then nothing is claimed, nor for 100.
func accuracy(text string) (relative float64, ok bool) {
	whole, rest, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(text), "%"), ".")
	percent, err := strconv.ParseUint(whole, 10, 7)
	if err != nil {
		return 0, false
	}
	thousandths := uint64(0)
	if rest != "" {
		if thousandths, err = strconv.ParseUint(rest, 10, 10); err != nil || thousandths > 999 {
			return 0, false
		}
	}
	p := float64(percent) + float64(thousandths)/1000
	return (100 - p) / 100, p >= 50 && p < 100
}

// value reads an attribute that not every chip has; 0 if it is not there or not a number.
func (c chip) value(name string) int64 {
	v, err := sysfs.Int(filepath.Join(c.dir, name))
	if err != nil {
		return 0
	}
	return v
}
