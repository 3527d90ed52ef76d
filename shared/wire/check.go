package wire

import (
	"fmt"
	"unicode/utf8"

	"agentwatt/shared/power"
)

// checkBatch reports what of a batch cannot be encoded, but for its meters and samples.
func checkBatch(b *power.Batch) error {
	if len(b.Meters) > MaxMeters {
		return fmt.Errorf("%d meters, limit %d", len(b.Meters), MaxMeters)
	}
	if len(b.Samples) > MaxSamples {
		return fmt.Errorf("%d samples, limit %d", len(b.Samples), MaxSamples)
	}
	if len(b.Notes) > MaxNotes {
		return fmt.Errorf("%d notes, limit %d", len(b.Notes), MaxNotes)
	}
	if len(b.Losses) > MaxLosses {
		return fmt.Errorf("%d losses, limit %d", len(b.Losses), MaxLosses)
	}
	for i := range b.Losses {
		if err := checkLoss(&b.Losses[i]); err != nil {
			return fmt.Errorf("loss %d: %w", i, err)
		}
	}
	for i := range b.Notes {
		if err := checkNote(&b.Notes[i]); err != nil {
			return fmt.Errorf("note %d: %w", i, err)
		}
	}
	for _, t := range [...]struct{ what, s string }{
		{"host", b.Host}, {"boot", b.Boot}, {"run", b.Run}, {"source", b.Source},
	} {
		if err := checkText(t.what, t.s); err != nil {
			return err
		}
	}
	return nil
}

// checkNote reports what of a note cannot be encoded.
func checkNote(n *power.Note) error {
	if uint64(n.Time+maxNanos) > 2*maxNanos {
		return fmt.Errorf("time %d: out of range", n.Time)
	}
	for _, t := range [...]struct{ what, s string }{{"device", n.Device}, {"key", n.Key}, {"value", n.Value}} {
		if err := checkText(t.what, t.s); err != nil {
			return err
		}
	}
	return nil
}

// checkLoss reports what of a loss cannot be encoded.
func checkLoss(l *power.Loss) error {
	for _, t := range [...]struct{ what, s string }{{"run", l.Run}, {"source", l.Source}, {"reason", l.Reason}} {
		if err := checkText(t.what, t.s); err != nil {
			return err
		}
	}
	return nil
}

// checkMeter reports what of a meter cannot be encoded.
func checkMeter(m *power.Meter) error {
	for _, t := range [...]struct{ what, s string }{
		{"id", m.ID}, {"device", m.Device}, {"name", m.Name}, {"scope", string(m.Scope)}, {"model", m.Model}, {"calibration", m.Calibration},
	} {
		if err := checkText(t.what, t.s); err != nil {
			return err
		}
	}
	if m.ID == "" && m.Device != "" {
		// A series without an id of its own is taken to be named by its kind and device.
		return fmt.Errorf("device %q: no id", m.Device)
	}
	return checkEnums(m)
}

// checkEnums reports enumerations that this version does not know: a reader could only misjudge them.
func checkEnums(m *power.Meter) error {
	if m.Quantity > power.Held {
		return fmt.Errorf("quantity %d: not known", m.Quantity)
	}
	for _, o := range [...]power.Origin{m.PeriodFrom, m.AveragingFrom, m.DelayFrom, m.AccuracyFrom} {
		if o > power.Measured {
			return fmt.Errorf("origin %d: not known", o)
		}
	}
	return nil
}

// checkText reports text that a protobuf string cannot carry, or that is longer than anything honest.
func checkText(what, s string) error {
	switch {
	case len(s) > MaxText:
		return fmt.Errorf("%s: %d bytes, limit %d", what, len(s), MaxText)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s: not UTF-8", what)
	}
	return nil
}
