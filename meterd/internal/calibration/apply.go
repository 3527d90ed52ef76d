package calibration

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// NoteKey is the key of the note that says which record a meter follows, or why it follows none.
const NoteKey = "calibration"

// Conditions are those in which a record would be used.
type Conditions struct {
	Now      time.Time
	Versions map[string]string // in force: as in Record.Versions
}

// ErrNone is returned by Set.Apply for a meter that has no record at all.
var ErrNone = errors.New("no calibration")

// Apply puts the newest record that holds into a meter. If none holds it returns the meter as it came and an error:
// ErrNone, or why the newest one does not hold.
func (s Set) Apply(m power.Meter, c Conditions) (power.Meter, power.Note, error) {
	var first error
	for _, r := range s.records[m.ID] {
		out, note, err := r.Apply(m, c)
		if err == nil {
			return out, note, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("meter %s: %w", m.ID, ErrNone)
	}
	return m, power.Note{}, first
}

// Record returns the record that Apply would use.
func (s Set) Record(m power.Meter, c Conditions) (Record, bool) {
	for _, r := range s.records[m.ID] {
		if r.holds(m, c) == nil {
			return r, true
		}
	}
	return Record{}, false
}

// Apply puts what was measured into a meter: period, averaging and delay, and the gain with the accuracy that is left once it
// is corrected. The note says so. With an error the meter is as it came.
func (r Record) Apply(m power.Meter, c Conditions) (power.Meter, power.Note, error) {
	if err := r.holds(m, c); err != nil {
		return m, power.Note{}, fmt.Errorf("calibration of %s of %s: %w", r.Meter, r.Date.Format(time.DateOnly), err)
	}
	if r.Period.Known() {
		m.Period, m.PeriodFrom = r.Period.Value, power.Measured
	}
	if r.Window.Known() && r.Window.Value > 0 && (m.Quantity == power.Instant || m.Quantity == power.Mean) {
		m.Averaging, m.AveragingFrom = r.Window.Value, power.Measured
	}
	if r.Delay.Known() {
		m.Delay, m.DelayFrom = r.delayOf(m), power.Measured
	}
	if factor, u, ok := r.Factor(); ok {
		m.GainPPM = int64(math.Round(factor * 1e6))
		m.Accuracy, m.AccuracyFrom = u/factor, power.Measured
		m.Calibration = r.name()
	}
	return m, power.Note{Time: clock.At(c.Now), Device: m.Device, Key: NoteKey, Value: r.explain()}, nil
}

// delayOf turns the delay from the middle of the window into the one that a meter declares (power.Meter.Delay): of a mean
// it comes besides half of the window; a held value is taken for the period after it, which is half a period later than
// its middle. A delay before 0 is the clocks' disagreement.
func (r Record) delayOf(m power.Meter) time.Duration {
	d := r.Delay.Value
	switch m.Quantity {
	case power.Mean:
		d -= m.Averaging / 2
	case power.Held:
		d += m.Period / 2
	}
	return max(d, 0)
}

// holds says why the record is not for this meter now; nil: it is.
func (r Record) holds(m power.Meter, c Conditions) error {
	switch {
	case m.ID != r.Meter || m.Device != r.Device:
		return fmt.Errorf("it is of device %s, not of meter %s of device %s", r.Device, m.ID, m.Device)
	case m.Quantity.String() != r.Quantity:
		return fmt.Errorf("its values were %s and are %s now", r.Quantity, m.Quantity)
	case c.Now.Before(r.Date):
		return fmt.Errorf("its date, %s, is in the future", r.Date.Format(time.RFC3339))
	case !c.Now.Before(r.Expires):
		return fmt.Errorf("it expired on %s", r.Expires.Format(time.DateOnly))
	}
	for _, what := range slices.Sorted(maps.Keys(r.Versions)) {
		switch now, ok := c.Versions[what]; {
		case !ok:
			return fmt.Errorf("the %s was %q then and is not known now", what, r.Versions[what])
		case now != r.Versions[what]:
			return fmt.Errorf("the %s was %q then and is %q now", what, r.Versions[what], now)
		}
	}
	return nil
}

// name says which record it is, for power.Meter.Calibration: a name of a file may be long, and of any bytes.
func (r Record) name() string {
	name := strings.ToValidUTF8(r.Reference.Name, "?")
	if runes := []rune(name); len(runes) > mostName {
		name = string(runes[:mostName]) + "..."
	}
	return fmt.Sprintf("%s against %s, until %s", r.Date.Format(time.DateOnly), name, r.Expires.Format(time.DateOnly))
}

// mostName is how much of a reference's name is repeated in every batch.
const mostName = 60

// explain says in one line what the record is and what it means for the figures.
func (r Record) explain() string {
	text := "of " + r.Date.Format(time.DateOnly)
	if r.Reference.Name != "" {
		text += " against " + strings.ToValidUTF8(r.Reference.Name, "?")
	}
	if r.Reference.SHA256 != "" {
		text += " (sha256 " + r.Reference.SHA256[:min(12, len(r.Reference.SHA256))] + ")"
	}
	factor, u, ok := r.Factor()
	if !ok {
		return text + ": timing only; the accuracy stays what it was"
	}
	text += fmt.Sprintf(": reads %+.2f %% ± %.2f %% (k = 2) from %.0f W to %.0f W; corrected", 100*(factor-1), 100*u, r.low(), r.Busy)
	if r.Idle >= 1 {
		idle, u := r.Ratio(r.Idle)
		text += fmt.Sprintf("; at %.0f W %+.2f %% ± %.2f %%", r.Idle, 100*(idle-1), 100*u)
	}
	return text
}
