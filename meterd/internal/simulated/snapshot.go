package simulated

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"agentwatt/shared/power"
)

// snapshot is what runner simulate answers: the state of its devices at one moment.
type snapshot struct {
	Simulated bool          `json:"simulated"`
	Now       int64         `json:"unix_nanos"`
	Period    time.Duration `json:"period_nanos"` // between changes of the values below
	Devices   []device      `json:"devices"`
}

type device struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Energy  power.Energy `json:"energy_microjoules"` // since the start of the simulation
	Power   power.Power  `json:"power_microwatts"`   // mean over the period before Changed
	Changed int64        `json:"changed_unix_nanos"` // when the values changed
	Limit   power.Power  `json:"limit_microwatts"`   // 0: not known
}

// parse reads a snapshot and refuses what would make wrong or unreadable meters.
func parse(body []byte) (snapshot, error) {
	var s snapshot
	d := json.NewDecoder(bytes.NewReader(body))
	if err := d.Decode(&s); err != nil {
		return snapshot{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return snapshot{}, errors.New("more than one JSON value")
	}
	switch {
	case !s.Simulated:
		return snapshot{}, errors.New("it does not say that it is simulated")
	case s.Now <= 0:
		return snapshot{}, fmt.Errorf("unix_nanos %d is not a time", s.Now)
	case s.Period < 0 || s.Period > time.Hour:
		return snapshot{}, fmt.Errorf("period_nanos %d is not between 0 and an hour", s.Period)
	case len(s.Devices) == 0 || len(s.Devices) > mostDevices:
		return snapshot{}, fmt.Errorf("%d devices, 1 to %d are possible", len(s.Devices), mostDevices)
	}
	seen := map[string]bool{}
	for i, d := range s.Devices {
		switch {
		case !word(d.ID) || seen[d.ID]:
			return snapshot{}, fmt.Errorf("device %d: id %q is used twice or is not one short word", i, d.ID)
		case d.Name == "" || len(d.Name) > 100 || strings.ContainsFunc(d.Name, unprintable):
			return snapshot{}, fmt.Errorf("device %q: name %q is not a line of text", d.ID, d.Name)
		case d.Energy < 0 || d.Power < 0 || d.Limit < 0:
			return snapshot{}, fmt.Errorf("device %q: energy, power or limit is negative", d.ID)
		case d.Changed <= 0 || d.Changed > s.Now:
			return snapshot{}, fmt.Errorf("device %q: changed_unix_nanos %d is not in the past of %d", d.ID, d.Changed, s.Now)
		}
		seen[d.ID] = true
	}
	return s, nil
}

func word(s string) bool {
	return s != "" && len(s) <= 100 && !strings.ContainsFunc(s, func(r rune) bool { return unprintable(r) || r == ' ' })
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// meters describes the devices: a counter and a mean each.
func (s snapshot) meters() []power.Meter {
	var list []power.Meter
	for _, d := range s.Devices {
		m := power.Meter{
			Device: d.ID, Name: d.Name, Scope: power.Accelerator, Simulated: true,
			Scale: power.Scale{Num: 1, Den: 1}, Limit: d.Limit, // microjoules and microwatts
			Period: s.Period, AccuracyFrom: power.Specification, // without error: the engine computes what it shows
		}
		if s.Period > 0 {
			m.PeriodFrom = power.Specification
		}
		energy, mean := m, m
		energy.ID, energy.Model, energy.Quantity = "simulated/"+d.ID+"/energy", "simulated/energy", power.Counter
		mean.ID, mean.Model, mean.Quantity = "simulated/"+d.ID+"/power", "simulated/power", power.Instant
		if s.Period > 0 {
			mean.Quantity, mean.Averaging, mean.AveragingFrom = power.Mean, s.Period, power.Specification
		}
		list = append(list, energy, mean)
	}
	return list
}

// same reports whether two snapshots have the same meters.
func (s snapshot) same(o snapshot) bool {
	if s.Period != o.Period || len(s.Devices) != len(o.Devices) {
		return false
	}
	for i, d := range s.Devices {
		if e := o.Devices[i]; d.ID != e.ID || d.Name != e.Name || d.Limit != e.Limit {
			return false
		}
	}
	return true
}
