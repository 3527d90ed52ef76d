package sourcetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/power"
)

func good() power.Meter {
	return power.Meter{
		ID: "x/1", Device: "d", Name: "n", Model: "x", Scope: power.Node, Quantity: power.Instant,
		Scale: power.Scale{Num: 1, Den: 1}, Accuracy: -1,
	}
}

// The suite must catch what it claims to catch: each row breaks one rule.
func TestMeterRulesBite(t *testing.T) {
	if bad := checkMeters([]power.Meter{good()}); bad != nil {
		t.Fatalf("a good meter: %q", bad)
	}
	for want, spoil := range map[string]func(*power.Meter){
		"empty":                   func(m *power.Meter) { m.ID = "" },
		"blanks":                  func(m *power.Meter) { m.ID = "a b" },
		"must be set":             func(m *power.Meter) { m.Device = "" },
		"scope":                   func(m *power.Meter) { m.Scope = "" },
		"quantity":                func(m *power.Meter) { m.Quantity = 0 },
		"scale":                   func(m *power.Meter) { m.Scale.Den = 0 },
		"wrap":                    func(m *power.Meter) { m.Wrap = 1 },
		"neither a mean":          func(m *power.Meter) { m.Quantity, m.Averaging, m.AveragingFrom = power.Held, 1, power.Assumed },
		"negative":                func(m *power.Meter) { m.Period = -1 },
		"for the period":          func(m *power.Meter) { m.Period = 1 },
		"for the delay":           func(m *power.Meter) { m.Delay = 1 },
		"for the accuracy":        func(m *power.Meter) { m.Accuracy = 0.01 },
		"claims to be without":    func(m *power.Meter) { m.Accuracy, m.AccuracyFrom = 0, power.Specification },
		"origin 9 of the period ": func(m *power.Meter) { m.PeriodFrom = 9 },
	} {
		m := good()
		spoil(&m)
		if got := strings.Join(checkMeters([]power.Meter{m}), "\n"); !strings.Contains(got, want) {
			t.Errorf("the problems %q do not speak of %q", got, want)
		}
	}
	if got := fmt.Sprint(checkMeters([]power.Meter{good(), good()})); !strings.Contains(got, "twice") {
		t.Errorf("two meters with one ID: %q", got)
	}
	if checkMeters(nil) == nil {
		t.Error("a source without meters passes")
	}
}

func TestReadingRulesBite(t *testing.T) {
	fine := func() reading {
		return reading{
			before: 1_000_000, after: 2_000_000, meters: []power.Meter{good()},
			samples: []power.Sample{{Time: 1_200_000, Within: 100_000, Raw: 5}, {Time: 1_500_000, Within: 100_000, Raw: 5}},
		}
	}
	if bad := checkReading(fine()); bad != nil {
		t.Fatalf("a good reading: %q", bad)
	}
	for want, spoil := range map[string]func(*power.Sample){
		"meter 1 of 1":     func(s *power.Sample) { s.Meter = 1 },
		"status 9":         func(s *power.Sample) { s.Status, s.Raw = 9, 0 },
		"yet a value":      func(s *power.Sample) { s.Status = power.Failed },
		"microseconds":     func(s *power.Sample) { s.Time++ },
		"or negative":      func(s *power.Sample) { s.Within = -1000 },
		"outside the read": func(s *power.Sample) { s.Within = time.Millisecond },
		"not later":        func(s *power.Sample) { s.Time = 1_200_000 },
	} {
		r := fine()
		spoil(&r.samples[1])
		if got := strings.Join(checkReading(r), "\n"); !strings.Contains(got, want) {
			t.Errorf("the problems %q do not speak of %q", got, want)
		}
	}
}

func TestRequireOrSkip(t *testing.T) {
	absent := fmt.Errorf("no such driver: %w", sampler.ErrUnavailable)
	for _, c := range []struct {
		name, require string
		err           error
		want          string
	}{
		{"present", "nvml", nil, ""},
		{"absent", "", absent, "skip"},
		{"another required", "nvml,hwmon", absent, "skip"},
		{"required", "nvml,rapl", absent, "fatal"},
		{"broken", "", fmt.Errorf("bus error"), "fatal"},
	} {
		t.Setenv("METER_REQUIRE", c.require)
		s := &spy{TB: t}
		RequireOrSkip(s, "rapl", c.err)
		if s.did != c.want {
			t.Errorf("%s: did %q, want %q", c.name, s.did, c.want)
		}
	}
}

// spy notes how a test was ended, without ending it.
type spy struct {
	testing.TB
	did string
}

func (s *spy) Skipf(string, ...any)  { s.did = "skip" }
func (s *spy) Fatalf(string, ...any) { s.did = "fatal" }
