package sourcetest

import (
	"fmt"
	"strings"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// reading is one call of Source.Read: what came, and when the call began and ended.
type reading struct {
	before, after clock.Stamp
	meters        []power.Meter
	samples       []power.Sample
}

// values returns the raw counts of the samples that have one, by meter ID; the last one of each.
func (r reading) values() map[string]int64 {
	v := map[string]int64{}
	for _, s := range r.samples {
		if s.Status == power.OK {
			v[r.meters[s.Meter].ID] = s.Raw
		}
	}
	return v
}

// checkMeters returns what is wrong with the declaration of a source's meters.
func checkMeters(meters []power.Meter) []string {
	var bad []string
	if len(meters) == 0 {
		bad = append(bad, "the source has no meter: Open should have said that it is not available")
	}
	seen := map[string]bool{}
	for _, m := range meters {
		say := func(format string, args ...any) {
			bad = append(bad, fmt.Sprintf("meter %q: ", m.ID)+fmt.Sprintf(format, args...))
		}
		if m.ID == "" || strings.ContainsAny(m.ID, " \t\n") {
			say("the ID is empty or has blanks")
		}
		if seen[m.ID] {
			say("the ID is used twice")
		}
		seen[m.ID] = true
		if m.Device == "" || m.Name == "" || m.Model == "" {
			say("device %q, name %q and model %q must be set", m.Device, m.Name, m.Model)
		}
		checkKind(m, say)
		checkProvenance(m, say)
	}
	return bad
}

func checkKind(m power.Meter, say func(string, ...any)) {
	switch m.Scope {
	case power.Accelerator, power.Module, power.Node, power.Rack, power.CPU, power.Memory, power.Component:
	default:
		say("scope %q does not exist", m.Scope)
	}
	if m.Quantity < power.Counter || m.Quantity > power.Held {
		say("quantity %d does not exist", m.Quantity)
	}
	if m.Scale.Num <= 0 || m.Scale.Den <= 0 {
		say("scale %d/%d is not valid", m.Scale.Num, m.Scale.Den)
	}
	if m.Step < 0 {
		say("step %d is negative", m.Step)
	}
	if m.Wrap < 0 || m.Wrap > 0 && m.Quantity != power.Counter {
		say("wrap %d: not a counter, or negative", m.Wrap)
	}
	if m.Averaging < 0 || m.Averaging > 0 && m.Quantity != power.Mean && m.Quantity != power.Instant {
		say("averaging %v: neither a mean nor instant, or negative", m.Averaging)
	}
	if m.Period < 0 || m.Delay < 0 || m.Limit < 0 {
		say("period %v, delay %v or limit %v is negative", m.Period, m.Delay, m.Limit)
	}
}

// checkProvenance wants a source for every property that is claimed, and none for what is not known.
func checkProvenance(m power.Meter, say func(string, ...any)) {
	for _, p := range []struct {
		name    string
		claimed bool
		from    power.Origin
	}{
		{"period", m.Period != 0, m.PeriodFrom},
		{"averaging", m.Averaging != 0, m.AveragingFrom},
		{"delay", m.Delay != 0, m.DelayFrom},
		{"accuracy", m.Accuracy >= 0, m.AccuracyFrom},
	} {
		if p.from > power.Measured {
			say("origin %d of the %s does not exist", p.from, p.name)
		}
		if p.claimed && p.from == power.Unknown {
			say("claims a value for the %s but not where it comes from", p.name)
		}
	}
	if m.Accuracy == 0 && !m.Simulated {
		say("claims to be without error; an unknown accuracy is negative")
	}
}

// later reports whether b follows a: values that a device kept may come with one call, each with a time of its own.
func later(a, b power.Sample) bool {
	return b.Time > a.Time || b.Time == a.Time && b.Device > a.Device
}

// slack is what rounding to whole microseconds may add to a sample's claim.
const slack = 2 * time.Microsecond

// checkReading returns what is wrong with the result of one read.
func checkReading(r reading) []string {
	var bad []string
	last := map[int]power.Sample{}
	for i, s := range r.samples {
		say := func(format string, args ...any) {
			bad = append(bad, fmt.Sprintf("sample %d: ", i)+fmt.Sprintf(format, args...))
		}
		if s.Meter < 0 || s.Meter >= len(r.meters) {
			say("meter %d of %d", s.Meter, len(r.meters))
			continue
		}
		if s.Status > power.Denied {
			say("status %d does not exist", s.Status)
		}
		if s.Status != power.OK && s.Raw != 0 {
			say("status %d, yet a value %d", s.Status, s.Raw)
		}
		if s.Within < 0 || s.Within%time.Microsecond != 0 || s.Time%1000 != 0 || s.Device%1000 != 0 {
			say("time %d ± %d, device %d: not whole microseconds, or negative", s.Time, s.Within, s.Device)
		}
		if begin, end := s.Time.Add(-s.Within), s.Time.Add(s.Within); begin.Add(slack) < r.before || end.Add(-slack) > r.after {
			say("claims [%d, %d], outside the read [%d, %d]", begin, end, r.before, r.after)
		}
		if before, ok := last[s.Meter]; ok && !later(before, s) {
			say("the second sample of a meter is not later than the first")
		}
		last[s.Meter] = s
	}
	return bad
}
