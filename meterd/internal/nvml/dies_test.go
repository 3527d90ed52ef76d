//go:build linux && cgo

package nvml

import (
	"testing"
	"time"

	"agentwatt/meterd/internal/sensor"
	"agentwatt/shared/power"
)

// What a value means depends on the chip: the same function is instantaneous on a GA100 and an average on a GH100. On some
// it depends on the driver too.
func TestDies(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name         string
		major, minor int
		kind         kind
		driver       string
		quantity     power.Quantity
		averaging    time.Duration
		from         power.Origin
		model        string
	}{
		{"A100 instant", 8, 0, instant, "", power.Instant, 25 * ms, power.Publication, "nvml/GA100/instant"},
		{"A100 draw", 8, 0, draw, "", power.Instant, 25 * ms, power.Publication, "nvml/GA100/draw"},
		{"RTX 3090 draw", 8, 6, draw, "535.54.03", power.Mean, time.Second, power.Publication, "nvml/GA10x/draw"},
		{"RTX 3090 draw, driver 530", 8, 6, draw, "530.30.02", power.Instant, 100 * ms, power.Publication, "nvml/GA10x/draw"},
		{"RTX 4090 draw", 8, 9, draw, "", power.Mean, time.Second, power.Publication, "nvml/AD10x/draw"},
		{"H100 instant", 9, 0, instant, "570.86.10", power.Instant, 25 * ms, power.Publication, "nvml/GH100/instant"},
		{"H100 average", 9, 0, average, "", power.Mean, time.Second, power.Publication, "nvml/GH100/average"},
		{"H100 draw", 9, 0, draw, "", power.Mean, time.Second, power.Publication, "nvml/GH100/draw"},
		{"H100 energy", 9, 0, energy, "", power.Counter, 0, power.Unknown, "nvml/GH100/energy"},
		{"GH200 module", 9, 0, moduleInstant, "", power.Instant, 0, power.Unknown, "nvml/GH100/module-instant/unknown"},
		{"H100 memory", 9, 0, memoryAverage, "", power.Mean, time.Second, power.Specification, "nvml/GH100/memory-average/unknown"},
		{"V100 draw", 7, 0, draw, "", power.Instant, 10 * ms, power.Publication, "nvml/GV100/draw"},
		{"P100 draw", 6, 0, draw, "", power.Instant, 10 * ms, power.Publication, "nvml/GP100/draw"},
		{"B200 instant is not published", 10, 0, instant, "", power.Instant, 0, power.Unknown, "nvml/GB100/instant/unknown"},
		{"B200 average is in the header", 10, 0, average, "", power.Mean, time.Second, power.Specification, "nvml/GB100/average/unknown"},
		{"RTX 5090 draw is in the header", 12, 0, draw, "", power.Mean, time.Second, power.Specification, "nvml/GB20x/draw/unknown"},
		{"a later chip", 14, 3, energy, "", power.Counter, 0, power.Unknown, "nvml/sm143/energy/unknown"},
		{"no capability", -1, -1, draw, "", power.Instant, 0, power.Unknown, "nvml/unknown/draw/unknown"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var m power.Meter
			dieOf(test.major, test.minor).describe(test.kind, test.driver, &m)
			if m.Quantity != test.quantity || m.Averaging != test.averaging || m.AveragingFrom != test.from || m.Model != test.model {
				t.Errorf("got %v, averaging %v (%v), %s; want %v, %v (%v), %s",
					m.Quantity, m.Averaging, m.AveragingFrom, m.Model, test.quantity, test.averaging, test.from, test.model)
			}
		})
	}
}

// Every meter of every chip can be used by power.Between, and nothing is claimed without an origin.
func TestDiesAreComplete(t *testing.T) {
	kinds := []kind{energy, instant, average, draw, ring, moduleEnergy, moduleInstant, moduleAverage, moduleRing,
		memoryEnergy, memoryInstant, memoryAverage}
	for _, d := range append(dies(), dieOf(10, 3), dieOf(5, 2), dieOf(-1, -1)) {
		for _, k := range kinds {
			var m power.Meter
			d.describe(k, "570.86.10", &m)
			if m.Quantity == 0 || m.Period <= 0 || m.PeriodFrom == power.Unknown || m.Model == "" {
				t.Errorf("%s %s: %+v is not complete", d.name, k, m)
			}
			if m.Quantity == power.Mean && m.Averaging <= 0 {
				t.Errorf("%s %s: a mean without a window", d.name, k)
			}
			if (m.Averaging > 0) != (m.AveragingFrom != power.Unknown) || (m.Delay > 0) != (m.DelayFrom != power.Unknown) {
				t.Errorf("%s %s: %+v claims something without an origin, or the other way round", d.name, k, m)
			}
		}
	}
}

// What the registry has for this source is found by it: an entry under another name would never be.
func TestRegistryIsReachable(t *testing.T) {
	names := map[string]bool{}
	for _, d := range dies() {
		names[d.name] = true
	}
	for _, m := range sensor.All() {
		if m.Vendor == "nvml" && !names[m.Arch] {
			t.Errorf("the registry knows %s/%s, which is no die here", m.Arch, m.Field)
		}
	}
}
