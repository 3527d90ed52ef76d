//go:build linux && cgo

package nvml

import (
	"fmt"
	"slices"
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// How long a lost GPU is left alone. A look asks all GPUs what they offer, so there are fewer of them as time goes on.
const (
	retryLost   = 5 * time.Second // at first; then twice as long each time,
	retryAtMost = 30 * time.Second
	restartAt   = 5 // looks in vain after which the library is started anew although other GPUs work, at each look
)

// recover looks for GPUs that are lost, if it is time, and for those that changed. Handles are stale after a reset, a change of
// MIG mode or a reload of the driver, so all GPUs are found anew.
func (s *Source) recover() error {
	if s.gone != nil {
		return s.gone
	}
	lost := 0
	for _, d := range s.devices {
		if d.lost {
			lost++
		}
	}
	if lost == 0 && !s.changed {
		s.tries = 0
		return nil
	}
	now := s.now()
	if pause := min(retryLost<<min(max(s.tries-1, 0), 8), retryAtMost); !s.changed && now.Sub(s.looked) < pause {
		return nil
	}
	s.looked, s.changed = now, false
	s.tries++
	if s.down || lost == len(s.devices) || s.tries >= restartAt {
		if err := s.restart(now); err != nil || s.down {
			return err
		}
	}
	s.enumerate() // if that fails, what is lost stays lost
	return nil
}

// restart initialises the library anew. If the driver is not there the library stays down, and every GPU is lost.
func (s *Source) restart(now clock.Stamp) error {
	reload := s.down
	for _, d := range s.devices {
		reload = reload || d.cause == lib.ERROR_UNINITIALIZED || d.cause == lib.ERROR_DRIVER_NOT_LOADED
		d.lost = true
	}
	if !s.down {
		s.lib.Shutdown() // fails if the driver took the library down with it, which is the same
	}
	switch ret := s.lib.start(); ret {
	case lib.SUCCESS:
		s.down = false
		if reload {
			s.note(now, "", "event", "driver_reload")
		}
	case lib.ERROR_LIB_RM_VERSION_MISMATCH: // a library that is loaded stays as it is until the process ends
		s.down = true
		err := fmt.Errorf("initialise NVML again: %v: %w", ret, sampler.ErrGone)
		s.gone = fault.Hint(err, "%s", remedy(ret))
		return s.gone
	default:
		s.down = true
	}
	return nil
}

// enumerate finds the GPUs of the host, keeps those that were there before and cannot be found now, as lost ones, and lists
// all meters.
func (s *Source) enumerate() lib.Return {
	n, ret := s.lib.DeviceGetCount()
	if ret != lib.SUCCESS {
		return ret
	}
	s.count = n
	old := s.devices
	var found []*device
	var absent []string
	for i := range n {
		d := find(s.lib, i)
		absent = append(absent, d.absent...)
		if was := byUUID(old, d.uuid); was != nil {
			d.history = was.history
			if d.lost { // it answers no question, so it keeps the meters that it had
				d = was
				d.lost = true
			}
		}
		if d.uuid != "" {
			found = append(found, d)
		}
	}
	s.devices = s.keep(old, found)
	absent = append(absent, modules(s.devices)...)
	for _, d := range s.devices {
		absent = append(absent, d.listen(s.rings, s.boot)...)
	}
	absent = append(absent, scopesNobodyHas(s.devices)...)
	s.devices = slices.DeleteFunc(s.devices, func(d *device) bool { return d.size() == 0 })
	s.list(absent)
	return lib.SUCCESS
}

// keep adds to found the GPUs that were there before and are not found, but for those in whose place a new one is.
func (s *Source) keep(old, found []*device) []*device {
	now := s.now()
	kept := slices.Clone(found)
	for _, was := range old {
		if byUUID(found, was.uuid) != nil {
			continue
		}
		if i := slices.IndexFunc(found, func(d *device) bool { return d.index == was.index }); i >= 0 && byUUID(old, found[i].uuid) == nil {
			s.note(now, was.uuid, "event", "replaced")
			continue
		}
		was.lost = true
		kept = append(kept, was)
	}
	for _, d := range found {
		if old != nil && byUUID(old, d.uuid) == nil {
			s.note(now, d.uuid, "event", "found")
		}
	}
	return kept
}

func byUUID(devices []*device, uuid string) *device {
	for _, d := range devices {
		if d.uuid == uuid {
			return d
		}
	}
	return nil
}

// list publishes the meters. The slice stays the same if the meters do.
func (s *Source) list(absent []string) {
	var meters []power.Meter
	for _, d := range s.devices {
		own := d.all()
		meters = append(meters, own...)
		d.counters = d.counters[:0]
		for _, m := range own {
			d.counters = append(d.counters, s.counter(m))
		}
	}
	if was := s.listed.Load(); was != nil && slices.Equal(was.meters, meters) {
		meters = was.meters
	}
	s.listed.Store(&listing{meters, absent})
}

// scopesNobodyHas says once what no GPU of the host tells.
func scopesNobodyHas(devices []*device) (absent []string) {
	module, memory := false, false
	for _, d := range devices {
		module = module || len(d.offer.module) > 0
		for _, m := range d.meters {
			memory = memory || m.Scope == power.Memory
		}
	}
	if !module {
		absent = append(absent, "module power: no GPU tells it; those on a board with a Grace processor do")
	}
	if !memory {
		absent = append(absent, "memory power: no GPU tells it")
	}
	return absent
}
