//go:build linux && cgo

package nvml

import (
	"testing"
	"time"

	"agentwatt/shared/power"
)

// What a value means depends on the chip: the same function is instantaneous on a GA100 and an average on a GH100.
func TestChips(t *testing.T) {
	tests := []struct {
		name         string
		major, minor int
		kind         kind
		quantity     power.Quantity
		averaging    time.Duration
		from         power.Origin
	}{
		{"A100 instant", 8, 0, instant, power.Instant, 25 * time.Millisecond, power.Publication},
		{"A100 draw", 8, 0, draw, power.Instant, 25 * time.Millisecond, power.Publication},
		{"RTX 3090 draw", 8, 6, draw, power.Mean, time.Second, power.Publication},
		{"H100 instant", 9, 0, instant, power.Instant, 25 * time.Millisecond, power.Publication},
		{"H100 average", 9, 0, average, power.Mean, time.Second, power.Publication},
		{"H100 draw", 9, 0, draw, power.Mean, time.Second, power.Publication},
		{"V100 draw", 7, 0, draw, power.Instant, 10 * time.Millisecond, power.Publication},
		{"P100 draw", 6, 0, draw, power.Instant, 10 * time.Millisecond, power.Publication},
		{"B200 instant is not published", 10, 0, instant, power.Instant, 0, power.Unknown},
		{"B200 average is in the header", 10, 0, average, power.Mean, time.Second, power.Specification},
		{"no capability", -1, -1, draw, power.Instant, 0, power.Unknown},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := chipOf(test.major, test.minor).meter(field{kind: test.kind}, "", "", 0)
			if m.Quantity != test.quantity || m.Averaging != test.averaging || m.AveragingFrom != test.from {
				t.Errorf("got quantity %d, averaging %v from %d; want %d, %v from %d",
					m.Quantity, m.Averaging, m.AveragingFrom, test.quantity, test.averaging, test.from)
			}
		})
	}
}

// Every meter of every chip can be used by power.Between, and nothing is claimed without an origin.
func TestChipsAreComplete(t *testing.T) {
	all := append(chips(), chipOf(10, 0), chipOf(12, 0), chipOf(5, 2), chipOf(-1, -1))
	for _, c := range all {
		for _, k := range []kind{energy, instant, draw} {
			m := c.meter(field{kind: k, unit: milli()}, "u", "n", 0)
			if m.Quantity == 0 || m.Period <= 0 || m.PeriodFrom == power.Unknown || m.Scale != milli() {
				t.Errorf("%s %s: %+v is not complete", c.name, k, m)
			}
			if m.Quantity == power.Mean && m.Averaging <= 0 {
				t.Errorf("%s %s: a mean without a window", c.name, k)
			}
			if (m.Averaging > 0) != (m.AveragingFrom != power.Unknown) || (m.Delay > 0) != (m.DelayFrom != power.Unknown) {
				t.Errorf("%s %s: %+v claims something without an origin, or the other way round", c.name, k, m)
			}
		}
	}
}
