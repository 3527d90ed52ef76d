package amdgpu

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"

	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// force is what is in force on a card beside its power: read now and then, told when it changes.
type force struct {
	metrics string      // revision of its table; empty if it is not used
	limit   *sysfs.Attr // power1_cap, microwatts; nil if the card has none
	watts   int64       // the limit last told, in watts
	mode    *os.File    // current_compute_partition, e.g. "SPX"; nil if the card has none
	told    [16]byte    // the mode last told, padded with zeros
}

func (f *force) connect(p place) {
	if p.hwmon != "" {
		if a, err := sysfs.Open(filepath.Join(p.hwmon, "power1_cap")); err == nil {
			f.limit = a
		}
	}
	if file, err := os.Open(filepath.Join(p.dir, "current_compute_partition")); err == nil {
		f.mode = file
	}
}

func (f *force) close() {
	if f.limit != nil {
		f.limit.Close() // nothing was written, so nothing can be lost by it
		f.limit = nil
	}
	if f.mode != nil {
		f.mode.Close()
		f.mode = nil
	}
}

// limitChanged returns the power limit in force, in whole watts, if it is another than the last time.
func (c *card) limitChanged() (watts string, changed bool) {
	if c.force.limit == nil || len(c.values) == 0 {
		return "", false
	}
	limit, err := c.force.limit.Int()
	w := int64((power.Power(limit) + power.Watt/2) / power.Watt)
	if err != nil || w <= 0 || w == c.force.watts {
		return "", false
	}
	c.force.watts = w
	return strconv.FormatInt(w, 10), true
}

// modeChanged returns the compute partition mode, if it is another than the last time.
func (c *card) modeChanged() (mode string, changed bool) {
	if c.force.mode == nil || len(c.values) == 0 {
		return "", false
	}
	var now [16]byte
	n, err := c.force.mode.ReadAt(now[:], 0)
	clear(now[len(bytes.TrimRight(now[:n], " \n\x00")):])
	if n == 0 || n == len(now) && err == nil || now == c.force.told {
		return "", false // nothing, longer than any mode, or as before
	}
	c.force.told = now
	return string(bytes.TrimRight(now[:], "\x00")), true
}

type fact struct{ key, value string }

// facts lists what does not change about a card, for the notes.
func (c *card) facts() (list []fact) {
	if len(c.values) == 0 {
		return nil
	}
	if id, err := sysfs.Line(filepath.Join(c.dir, "unique_id")); err == nil && id != "" {
		list = append(list, fact{"unique_id", id})
	}
	if c.force.metrics != "" {
		list = append(list, fact{"gpu_metrics_version", c.force.metrics})
	}
	return list
}
