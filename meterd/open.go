package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"agentwatt/meterd/internal/amdgpu"
	"agentwatt/meterd/internal/amdsmi"
	"agentwatt/meterd/internal/hwmon"
	"agentwatt/meterd/internal/ipmi"
	"agentwatt/meterd/internal/nvml"
	"agentwatt/meterd/internal/rapl"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
)

// opened is one source that is there.
type opened struct {
	name     string
	source   sampler.Source
	interval time.Duration
	access   string // what to do where a meter is there and may not be read
	remote   bool   // read over the network
	slow     bool   // answered by a management controller, which must not be asked often
	study    bool   // its sensors are hardware, to be characterised at the start
	settings any    // see kind
}

// absence is a source that is not there, or a part of one, and why.
type absence struct {
	name string
	err  error
}

// kind is one kind of source: how it is configured and opened.
type kind struct {
	name   string
	conf   sourceConf
	access string
	open   func(context.Context) (sampler.Source, error)
	remote bool // it can be away now and there later
	slow   bool // see opened

	settings any // all that it depends on: equal settings, the same source
}

// openLimit is how long finding a remote device may take. Its own sampler waits, nobody else.
const openLimit = 5 * time.Minute

// kinds is the only place that knows which kinds of source there are.
func kinds(c config, now func() clock.Stamp) []kind {
	return append(local(c, now), c.Sources.remotes(now)...)
}

// local lists what is read on this host itself.
func local(c config, now func() clock.Stamp) []kind {
	return []kind{
		{
			name: "nvml", conf: c.Sources.NVML.Common, settings: c.Sources.NVML,
			access: "give this user read and write access to /dev/nvidiactl and /dev/nvidia0, /dev/nvidia1, ...",
			open: func(ctx context.Context) (sampler.Source, error) {
				return nvml.Open(ctx, nvml.Options{Library: c.Sources.NVML.Library, Ring: c.Sources.NVML.Ring, Now: now})
			},
		},
		{
			name: "amdgpu", conf: c.Sources.AMDGPU, settings: c.Sources.AMDGPU, access: "put this user into the groups render and video",
			open: func(ctx context.Context) (sampler.Source, error) {
				return amdgpu.Open(ctx, amdgpu.Options{SysRoot: c.SysRoot, Now: now})
			},
		},
		{
			name: "amdsmi", conf: c.Sources.AMDSMI.Common, settings: c.Sources.AMDSMI, access: "put this user into the groups render and video",
			open: func(ctx context.Context) (sampler.Source, error) {
				return amdsmi.Open(ctx, amdsmi.Options{Library: c.Sources.AMDSMI.Library, Now: now})
			},
		},
		{
			name: "rapl", conf: c.Sources.RAPL, settings: c.Sources.RAPL, access: "let a group read the energy_uj files and join it, or run as root",
			open: func(context.Context) (sampler.Source, error) { return rapl.Open(c.SysRoot, now) },
		},
		{
			name: "hwmon", conf: c.Sources.Hwmon, settings: []any{c.Sources.Hwmon, c.Sources.AMDGPU.Enabled == off}, access: "let a group read the power and energy files and join it, or run as root",
			open: func(context.Context) (sampler.Source, error) {
				if c.Sources.AMDGPU.Enabled == off {
					return hwmon.Open(c.SysRoot, now)
				}
				return hwmon.Open(c.SysRoot, now, "amdgpu") // the source amdgpu knows which die and which socket a reading is of
			},
		},
		{
			name: "ipmi", conf: c.Sources.IPMI.Common, slow: true, settings: []any{c.Sources.IPMI.Common, c.Sources.IPMI.Device, c.Sources.IPMI.OnlyDCMI}, access: "let a group read and write " + c.Sources.IPMI.Device + " and join it, or run as root",
			open: func(ctx context.Context) (sampler.Source, error) {
				host, _ := c.hostname() // without it the BMC is known by its own identity
				return ipmi.Open(ctx, ipmi.Options{Name: host, Device: c.Sources.IPMI.Device, OnlyDCMI: c.Sources.IPMI.OnlyDCMI, Now: now})
			},
		},
		{
			name: "simulated", conf: c.Sources.Simulated.source(), settings: c.Sources.Simulated,
			open: func(ctx context.Context) (sampler.Source, error) { return c.Sources.Simulated.open(ctx, now) },
		},
	}
}

// openSources opens every source that is present and not switched off. A source that must be there and is not is an
// error; any other that is not there is an absence. With a log, remote devices that need not be there are opened by their
// sampler, whenever they are there; without one, now or not at all. The caller closes what is opened.
func openSources(ctx context.Context, c config, now func() clock.Stamp, log *slog.Logger) (found []opened, missing []absence, err error) {
	return openKinds(ctx, kinds(c, now), now, log)
}

// openKinds is openSources for some kinds.
func openKinds(ctx context.Context, list []kind, now func() clock.Stamp, log *slog.Logger) (found []opened, missing []absence, err error) {
	for _, k := range list {
		if k.conf.Enabled == off {
			continue
		}
		if k.remote && log != nil && k.conf.Enabled == auto {
			found = append(found, k.opened(sampler.Keep(k.name, openLimit, now, log, k.open)))
			continue
		}
		source, err := k.try(ctx)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		switch {
		case err == nil:
			found = append(found, k.opened(source))
			missing = append(missing, partly(k.name, source)...)
		case k.conf.Enabled == on || ctx.Err() != nil:
			closeSources(found)
			return nil, nil, fmt.Errorf("open %s, which must be there (sources.%s.enabled): %w", k.name, k.name, err)
		default:
			missing = append(missing, absence{k.name, err})
		}
	}
	return found, missing, nil
}

// try opens the source; a remote one gets its limit.
func (k kind) try(ctx context.Context) (sampler.Source, error) {
	if k.remote {
		limited, cancel := context.WithTimeout(ctx, openLimit)
		defer cancel()
		ctx = limited
	}
	return k.open(ctx)
}

func (k kind) opened(s sampler.Source) opened {
	return opened{name: k.name, source: s, interval: time.Duration(k.conf.Interval), access: k.access, remote: k.remote, slow: k.slow, study: k.name != "simulated", settings: k.settings}
}

// partly returns what a source that is there does not offer.
func partly(name string, s sampler.Source) (missing []absence) {
	p, ok := s.(interface{ Absent() []string })
	if !ok {
		return nil
	}
	for _, reason := range p.Absent() {
		missing = append(missing, absence{name, errors.New(reason)})
	}
	return missing
}

// closeSources closes all and returns what went wrong.
func closeSources(found []opened) error {
	var errs []error
	for _, o := range found {
		if err := o.source.Close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", o.name, err))
		}
	}
	return errors.Join(errs...)
}
