//go:build linux && cgo

package nvml

import (
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// counter is what is remembered of one energy counter.
type counter struct {
	raw    int64
	since  clock.Stamp // when it was first read with this count; 0: not known
	valued bool
	frozen bool // it was told that it stands still
}

// frozenAfter is how long a counter may stand still while its device draws power: thirty times the assumed refresh.
const frozenAfter = 3 * time.Second

// counter returns the memory of a counter; nil for another meter.
func (s *Source) counter(m power.Meter) *counter {
	if m.Quantity != power.Counter {
		return nil
	}
	c := s.counters[m.ID]
	if c == nil {
		c = &counter{}
		s.counters[m.ID] = c
	}
	return c
}

// watch notes what the samples of one read of d tell: that it is lost or back, that a counter started again, and that one
// stands still although there is power.
func (s *Source) watch(d *device, first int, read []power.Sample) {
	if len(read) == 0 {
		return
	}
	if d.lost != d.reported {
		d.reported = d.lost
		event := "back"
		if d.lost {
			event = "lost"
		}
		s.note(read[0].Time, d.uuid, "event", event)
	}
	meters := s.Meters()
	for i := range read {
		x := &read[i]
		if c := d.counters[x.Meter-first]; c != nil {
			s.follow(c, x, meters[x.Meter].Device, draws(read, meters, meters[x.Meter].Device))
		}
	}
}

// follow follows one counter of a device.
func (s *Source) follow(c *counter, x *power.Sample, device string, drawing bool) {
	if x.Status != power.OK {
		c.since = 0
		return
	}
	if c.valued && x.Raw < c.raw {
		s.note(x.Time, device, "event", "reset")
	}
	if !c.valued || x.Raw != c.raw || c.since == 0 {
		c.raw, c.since, c.valued = x.Raw, x.Time, true
	}
	if frozen := drawing && x.Time.Sub(c.since) >= frozenAfter; frozen != c.frozen && (frozen || c.since == x.Time) {
		c.frozen = frozen
		value := "moving"
		if frozen {
			value = "frozen"
		}
		s.note(x.Time, device, "energy_counter", value)
	}
}

// draws reports whether any reading says that the device draws power.
func draws(read []power.Sample, meters []power.Meter, device string) bool {
	for i := range read {
		m := &meters[read[i].Meter]
		if m.Quantity != power.Counter && m.Device == device && read[i].Status == power.OK && read[i].Raw > 0 {
			return true
		}
	}
	return false
}
