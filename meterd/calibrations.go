package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"agentwatt/meterd/internal/calibration"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// calibrated gives the meters of one source their calibrations. It is used by the source's sampler only, on one goroutine.
type calibrated struct {
	set      calibration.Set
	log      *slog.Logger
	versions map[string]map[string]string // by device, or "" for the whole source: what its notes say
	said     map[string]string            // by meter: the last reason not to apply a record
}

// loadCalibrations reads the records of a directory. That there is no directory is no error.
func loadCalibrations(dir string) (calibration.Set, error) {
	set, err := calibration.Load(dir)
	if err != nil {
		return set, fault.Hint(fmt.Errorf("read the calibrations: %w", err), "mend or remove the record, or name another directory in calibrations")
	}
	return set, nil
}

func newCalibrated(set calibration.Set, log *slog.Logger) *calibrated {
	return &calibrated{set: set, log: log, versions: map[string]map[string]string{}, said: map[string]string{}}
}

// versionKeys are the notes that say what a sensor's behaviour depends on. A record holds for the versions that it names.
var versionKeys = []string{"driver_version", "vbios_version", "firmware", "bmc_firmware", "library_version"}

// hear keeps the versions among the notes of a source.
func (c *calibrated) hear(notes []power.Note) {
	for _, n := range notes {
		if !slices.Contains(versionKeys, n.Key) {
			continue
		}
		if c.versions[n.Device] == nil {
			c.versions[n.Device] = map[string]string{}
		}
		c.versions[n.Device][n.Key] = n.Value
	}
}

// of lists the versions in force for a device.
func (c *calibrated) of(device string) map[string]string {
	all := map[string]string{}
	for _, d := range []string{"", device} {
		for k, v := range c.versions[d] {
			all[k] = v
		}
	}
	return all
}

// refine returns the meter with its calibration, or as it came. Why a record does not hold is logged once.
func (c *calibrated) refine(m power.Meter) power.Meter {
	out, _, err := c.set.Apply(m, calibration.Conditions{Now: time.Now(), Versions: c.of(m.Device)})
	reason := ""
	if err != nil && !errors.Is(err, calibration.ErrNone) {
		reason = err.Error()
	}
	if reason != c.said[m.ID] {
		c.said[m.ID] = reason
		if reason != "" {
			c.log.Warn("a calibration does not hold", "meter", m.ID, "reason", reason)
		}
	}
	return out
}
