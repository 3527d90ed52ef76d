//go:build linux && cgo

package nvml

import (
	"strconv"
	"strings"
	"time"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/clock"
)

// How often context is read: it explains power and costs calls. Processes are never asked for: that is slow and nobody's business.
const (
	contextEvery = 10 * time.Second // limits, clocks, modes
	reasonsEvery = time.Second      // why clocks are held down; told when it changes, and with the rest
	factsEvery   = 6                // contexts from one telling of what does not change to the next
)

// seen is what was last told about a GPU.
type seen struct {
	next    clock.Stamp // when its context is due
	glance  clock.Stamp // when its reasons are due
	rounds  int         // contexts told
	reasons uint64
	mig     bool
	migRead bool
}

// look reads the context that is due: the reasons of all GPUs, the rest of one GPU per call, so that no read is much slower
// than the others.
func (s *Source) look() {
	now := s.now()
	told := false
	for _, d := range s.devices {
		if d.lost {
			continue
		}
		if now >= d.seen.glance {
			d.seen.glance = now.Add(reasonsEvery)
			s.lookReasons(d, now)
		}
		if now >= d.seen.next && !told {
			told = true
			d.seen.next = now.Add(contextEvery)
			s.tell(d, now)
		}
	}
}

// lookReasons tells why the clocks of d are held down, if that changed.
func (s *Source) lookReasons(d *device, now clock.Stamp) {
	reasons, ok := d.reasons()
	if ok && d.seen.rounds > 0 && reasons != d.seen.reasons {
		s.note(now, d.uuid, "throttle_reasons", words(reasons))
	}
	if ok {
		d.seen.reasons = reasons
	}
}

// tell tells the context of d: what can change every time, facts now and then. A GPU that is not what it was is found anew.
func (s *Source) tell(d *device, now clock.Stamp) {
	if uuid, ret := d.handle.GetUUID(); ret == lib.SUCCESS && uuid != d.uuid {
		s.changed = true
		return
	}
	if n, ret := s.lib.DeviceGetCount(); ret == lib.SUCCESS && n != s.count {
		s.changed = true
	}
	note := func(key, value string) { s.note(now, d.uuid, key, value) }
	s.tellMIG(d, now)
	d.limits(note)
	if limit, ret := d.moduleLimit(); ret == lib.SUCCESS {
		s.note(now, d.module, "power_limit_watts", watts(uint32(limit)))
	}
	d.clocks(note)
	if reasons, ok := d.reasons(); ok {
		d.seen.reasons = reasons
		note("throttle_reasons", words(reasons))
	}
	if d.seen.rounds%factsEvery == 0 {
		d.facts(note)
		if s.lib.driver != "" && d == s.devices[0] {
			s.note(now, "", "driver_version", s.lib.driver)
		}
	}
	d.seen.rounds++
}

// tellMIG tells whether d is divided. The values stay those of the whole GPU. A change makes handles stale.
func (s *Source) tellMIG(d *device, now clock.Stamp) {
	if !d.lib.has("nvmlDeviceGetMigMode") {
		return
	}
	mode, _, ret := d.handle.GetMigMode()
	if ret != lib.SUCCESS {
		return
	}
	on := mode == lib.DEVICE_MIG_ENABLE
	s.note(now, d.uuid, "mig", strconv.FormatBool(on))
	if d.seen.migRead && on != d.seen.mig {
		s.changed = true
	}
	d.seen.mig, d.seen.migRead = on, true
}

// limits tells the power limits: the one in force, and what was asked for, is the default and is possible.
func (d *device) limits(note func(key, value string)) {
	if d.lib.has("nvmlDeviceGetEnforcedPowerLimit") {
		if limit, ret := d.handle.GetEnforcedPowerLimit(); ret == lib.SUCCESS {
			note("power_limit_watts", watts(limit))
		}
	}
	if d.lib.has("nvmlDeviceGetPowerManagementLimit") {
		if limit, ret := d.handle.GetPowerManagementLimit(); ret == lib.SUCCESS {
			note("power_limit_requested_watts", watts(limit))
		}
	}
	if d.lib.has("nvmlDeviceGetPowerManagementDefaultLimit") {
		if limit, ret := d.handle.GetPowerManagementDefaultLimit(); ret == lib.SUCCESS {
			note("power_limit_default_watts", watts(limit))
		}
	}
	if d.lib.has("nvmlDeviceGetPowerManagementLimitConstraints") {
		if least, most, ret := d.handle.GetPowerManagementLimitConstraints(); ret == lib.SUCCESS {
			note("power_limit_min_watts", watts(least))
			note("power_limit_max_watts", watts(most))
		}
	}
}

// moduleLimit reads the limit in force of the module that is read through d.
func (d *device) moduleLimit() (int64, lib.Return) {
	if d.module == "" {
		return 0, lib.ERROR_NOT_SUPPORTED
	}
	return d.ask(lib.FI_DEV_POWER_CURRENT_LIMIT, scopeModule)
}

// clocks tells the clocks of the moment.
func (d *device) clocks(note func(key, value string)) {
	if !d.lib.has("nvmlDeviceGetClockInfo") {
		return
	}
	if mhz, ret := d.handle.GetClockInfo(lib.CLOCK_SM); ret == lib.SUCCESS {
		note("clock_sm_megahertz", strconv.Itoa(int(mhz)))
	}
	if mhz, ret := d.handle.GetClockInfo(lib.CLOCK_MEM); ret == lib.SUCCESS {
		note("clock_memory_megahertz", strconv.Itoa(int(mhz)))
	}
}

// watts prints milliwatts.
func watts(milli uint32) string { return strconv.FormatFloat(float64(milli)/1000, 'f', -1, 64) }

// reasons reads why the clocks are lower than they could be: bits of nvmlClocksEventReasons.
func (d *device) reasons() (bits uint64, ok bool) {
	var ret lib.Return
	switch {
	case d.lib.has("nvmlDeviceGetCurrentClocksEventReasons"):
		bits, ret = d.handle.GetCurrentClocksEventReasons()
	case d.lib.has("nvmlDeviceGetCurrentClocksThrottleReasons"): // its name before driver 535
		bits, ret = d.handle.GetCurrentClocksThrottleReasons()
	default:
		return 0, false
	}
	return bits, ret == lib.SUCCESS
}

// reasonWords names the bits of nvmlClocksEventReasons.
func reasonWords() []string {
	return []string{"gpu_idle", "applications_clocks", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal_slowdown",
		"hw_thermal_slowdown", "hw_power_brake", "display_clocks", "board_limit", "reliability"}
}

// words prints reasons, such as "sw_power_cap+hw_slowdown"; a bit that has no name by its number; none as "none".
func words(reasons uint64) string {
	if reasons == 0 {
		return "none"
	}
	var list []string
	names := reasonWords()
	for bit := range 64 {
		switch {
		case reasons&(1<<bit) == 0:
		case bit < len(names):
			list = append(list, names[bit])
		default:
			list = append(list, "bit"+strconv.Itoa(bit))
		}
	}
	return strings.Join(list, "+")
}
