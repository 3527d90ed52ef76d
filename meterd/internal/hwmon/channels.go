package hwmon

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// channel is one readable attribute of a chip, and the meter that it makes.
type channel struct {
	path  string
	meter power.Meter
}

// channels lists what can be metered under class (/sys/class/hwmon), in a stable order.
func channels(class string) ([]channel, error) {
	entries, err := os.ReadDir(class)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int {
		return cmp.Or(len(a.Name())-len(b.Name()), cmp.Compare(a.Name(), b.Name())) // hwmon2 before hwmon10
	})
	var list []channel
	for _, e := range entries {
		c, err := newChip(filepath.Join(class, e.Name()))
		if err != nil {
			continue // gone since the directory was read, or not a chip
		}
		list = append(list, c.channels()...)
	}
	unique(list)
	return list, nil
}

// attribute matches the readings of Documentation/hwmon/sysfs-interface: power in microwatts, energy in microjoules.
var attribute = regexp.MustCompile(`^(power|energy)([0-9]+)_(input|average)$`)

func (c chip) channels() []channel {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil
	}
	var list []channel
	for _, e := range entries {
		m := attribute.FindStringSubmatch(e.Name())
		if m == nil || m[1] == "energy" && m[3] == "average" {
			continue
		}
		list = append(list, channel{filepath.Join(c.dir, e.Name()), c.meter(m[1]+m[2], m[3])})
	}
	return list
}

// assumedWindow stands for the averaging window of a driver that does not state it, such as amdgpu, whose firmware filters
// with an undocumented time constant.
const assumedWindow = time.Second

// meter describes one channel, such as "power1", read through its attribute "input" or "average".
func (c chip) meter(name, kind string) power.Meter {
	label, _ := sysfs.Line(filepath.Join(c.dir, name+"_label"))
	covers := c.cover(cmp.Or(c.oem, label))
	m := power.Meter{
		ID:     blanks.Replace(fmt.Sprintf("hwmon/%s/%s/%s_%s", c.name, c.device, name, kind)),
		Device: covers.device, Scope: covers.scope,
		Name:     fmt.Sprintf("%s %s", c.name, cmp.Or(c.oem, label, name)),
		Scale:    power.Scale{Num: 1, Den: 1}, // microwatts and microjoules
		Accuracy: -1,                          // the interface has no place for it
		Model:    blanks.Replace(fmt.Sprintf("hwmon/%s/%s_%s", c.name, name, kind)),
	}
	switch {
	case name[0] == 'e':
		m.Quantity = power.Counter
	case kind == "average":
		m.Quantity = power.Mean
		m.Averaging, m.AveragingFrom = assumedWindow, power.Assumed
		if ms := c.value(name + "_average_interval"); ms > 0 && ms < int64(time.Hour/time.Millisecond) {
			m.Averaging, m.AveragingFrom = time.Duration(ms)*time.Millisecond, power.Specification
		}
	default:
		m.Quantity = power.Instant
	}
	if ms := c.value("update_interval"); ms > 0 && ms < int64(time.Hour/time.Millisecond) {
		m.Period, m.PeriodFrom = time.Duration(ms)*time.Millisecond, power.Specification
	}
	m.Limit = power.Power(max(c.value(name+"_cap_max"), c.value(name+"_max"), 0))
	return m
}

// value reads an attribute that not every chip has; 0 if it is not there or not a number.
func (c chip) value(name string) int64 {
	v, err := sysfs.Int(filepath.Join(c.dir, name))
	if err != nil {
		return 0
	}
	return v
}

// unique tells apart channels whose chips say the same about themselves, in the order of their directories.
func unique(list []channel) {
	seen := map[string]int{}
	for i := range list {
		m := &list[i].meter
		seen[m.ID]++
		if n := seen[m.ID]; n > 1 {
			m.ID += "#" + strconv.Itoa(n)
			if m.Scope == power.Component {
				m.Device += "#" + strconv.Itoa(n)
			}
		}
	}
}
