package hwmon

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// channel is one readable attribute of a chip, and the meter that it makes.
type channel struct {
	path  string
	by    string // of a current, where path is a voltage; empty: path is the power or energy itself
	meter power.Meter
	notes []power.Note // what the driver says beside the values; without time and device
}

// channels lists what can be metered under class (/sys/class/hwmon), in a stable order, and the directories there are.
func channels(class string, leave []string) (list []channel, names []string, err error) {
	names, err = directories(class)
	if err != nil {
		return nil, nil, err
	}
	inOrder := slices.SortedFunc(slices.Values(names), func(a, b string) int {
		return cmp.Or(len(a)-len(b), cmp.Compare(a, b)) // hwmon2 before hwmon10
	})
	for _, name := range inOrder {
		c, err := newChip(filepath.Join(class, name))
		if err != nil || slices.Contains(leave, c.name) {
			continue // gone since the directory was read, not a chip, or another source's
		}
		list = append(list, c.channels()...)
	}
	unique(list)
	return list, names, nil
}

// attribute matches the readings of Documentation/hwmon/sysfs-interface: power in microwatts, energy in microjoules.
var attribute = regexp.MustCompile(`^(power|energy)([0-9]+)_(input|average)$`)

func (c chip) channels() []channel {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return nil
	}
	var found [][]string
	rails := map[string]bool{}
	for _, e := range entries {
		m := attribute.FindStringSubmatch(e.Name())
		if m == nil || m[1] == "energy" && m[3] == "average" {
			continue
		}
		found = append(found, m)
		rails[m[2]] = true
	}
	if len(found) == 0 && c.name == "ina3221" {
		return c.products()
	}
	c.single = len(rails) == 1
	var list []channel
	for _, m := range found {
		list = append(list, c.channel(m[1], m[2], m[3]))
	}
	return list
}

// channel describes one reading, such as power, 1, average.
func (c chip) channel(what, number, kind string) channel {
	name := what + number
	m := c.meter(name, number, kind)
	out := channel{path: filepath.Join(c.dir, name+"_"+kind), meter: m}
	if v := c.value(name + "_cap"); v > 0 {
		out.notes = append(out.notes, power.Note{Key: keyCap, Value: strconv.FormatFloat(power.Power(v).Watts(), 'g', -1, 64)})
	}
	if c.value(name+"_is_battery") == 1 {
		out.notes = append(out.notes, power.Note{Key: keyPower, Value: "battery"})
	}
	if serial, _ := sysfs.Line(filepath.Join(c.parent, name+"_serial_number")); serial != "" {
		out.notes = append(out.notes, power.Note{Key: keySerial, Value: serial})
	}
	return out
}

// products lists the rails of a chip that gives voltages and currents only, as the INA3221 of Jetson boards: inN in mV times
// currN in mA is µW. Both are read one after the other. Channels after the third are not rails but shunts and sums.
func (c chip) products() (list []channel) {
	for n := 1; n <= 3; n++ {
		in := filepath.Join(c.dir, fmt.Sprintf("in%d_input", n))
		current := filepath.Join(c.dir, fmt.Sprintf("curr%d_input", n))
		if _, err := os.Stat(in); err != nil {
			continue
		}
		if _, err := os.Stat(current); err != nil {
			continue
		}
		m := c.meter(fmt.Sprintf("in%d", n), strconv.Itoa(n), "input")
		m.ID += "*curr"
		list = append(list, channel{path: in, by: current, meter: m})
	}
	return list
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
