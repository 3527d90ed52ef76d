package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/simulated"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// simulatedConf configures meters without hardware. They are there only if asked for, by a URL or a number of devices.
type simulatedConf struct {
	Common    sourceConf `yaml:",inline"`
	URL       string     `yaml:"url"`
	Devices   int        `yaml:"devices"`
	LowWatts  uint32     `yaml:"low_watts"`
	HighWatts uint32     `yaml:"high_watts"`
	Cycle     span       `yaml:"cycle"`
}

func (c simulatedConf) check() error {
	asked := c.URL != "" || c.Devices > 0
	switch {
	case c.URL != "" && c.Devices != 0:
		return errors.New("sources.simulated: url and devices exclude each other")
	case c.Devices < 0:
		return fmt.Errorf("sources.simulated.devices: %d is negative", c.Devices)
	case c.LowWatts > c.HighWatts:
		return fmt.Errorf("sources.simulated: low_watts %d is above high_watts %d", c.LowWatts, c.HighWatts)
	case c.Common.Enabled == on && !asked:
		return errors.New("sources.simulated.enabled: true needs a url or devices")
	}
	return nil
}

// source returns the common part. What was asked for must be there, and what was not is not looked for.
func (c simulatedConf) source() sourceConf {
	s := c.Common
	if s.Enabled == auto {
		s.Enabled = off
		if c.URL != "" || c.Devices > 0 {
			s.Enabled = on
		}
	}
	return s
}

func (c simulatedConf) open(ctx context.Context, now func() clock.Stamp) (sampler.Source, error) {
	if c.URL != "" {
		return simulated.OpenURL(ctx, c.URL, now)
	}
	low, high := power.Power(c.LowWatts)*power.Watt, power.Power(c.HighWatts)*power.Watt
	return simulated.OpenLocal(simulated.Config{
		Devices: c.Devices, Wave: simulated.Square(low, high, time.Duration(c.Cycle)), Period: 100 * time.Millisecond,
	}, now)
}
