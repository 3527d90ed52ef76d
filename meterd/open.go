package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentwatt/meterd/internal/hwmon"
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
	access string // see opened
	open   func(context.Context) (sampler.Source, error)
}

// kinds is the only place that knows which kinds of source there are.
func kinds(c config, now func() clock.Stamp) []kind {
	return []kind{
		{
			"nvml", c.Sources.NVML.Common,
			"give this user read and write access to /dev/nvidiactl and /dev/nvidia0, /dev/nvidia1, ...",
			func(ctx context.Context) (sampler.Source, error) {
				return nvml.Open(ctx, nvml.Options{Library: c.Sources.NVML.Library, Now: now})
			},
		},
		{
			"rapl", c.Sources.RAPL, "let a group read the energy_uj files and join it, or run as root",
			func(context.Context) (sampler.Source, error) { return rapl.Open(c.SysRoot, now) },
		},
		{
			"hwmon", c.Sources.Hwmon, "let a group read the power and energy files and join it, or run as root",
			func(context.Context) (sampler.Source, error) { return hwmon.Open(c.SysRoot, now) },
		},
		{
			"simulated", c.Sources.Simulated.source(), "",
			func(ctx context.Context) (sampler.Source, error) { return c.Sources.Simulated.open(ctx, now) },
		},
	}
}

// openSources opens every source that is present and not switched off. A source that must be there and is not is an
// error; any other that is not there is an absence. The caller closes what is opened.
func openSources(ctx context.Context, c config, now func() clock.Stamp) (found []opened, missing []absence, err error) {
	for _, k := range kinds(c, now) {
		if k.conf.Enabled == off {
			continue
		}
		source, err := k.open(ctx)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		switch {
		case err == nil:
			found = append(found, opened{k.name, source, time.Duration(k.conf.Interval), k.access})
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
