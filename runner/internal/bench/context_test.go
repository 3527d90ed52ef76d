package bench

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func TestContext(t *testing.T) {
	note := func(device, key, value string) power.Note {
		return power.Note{Device: device, Key: key, Value: value}
	}
	var clocks, reasons []power.Note
	for i := range 9 {
		clocks = append(clocks, note("GPU-1", "sm_clock_megahertz", fmt.Sprint(1980-15*i)))
		reasons = append(reasons, note("GPU-1", "throttle_reasons", []string{"none", "power_cap"}[i%2]))
	}
	batches := []power.Batch{
		{Host: "h", Run: "r", Source: "nvml", Seq: 2, Notes: []power.Note{note("GPU-1", "power_limit_watts", "600"), note("", "driver", "580.1")}},
		{Host: "h", Run: "r", Source: "nvml", Seq: 1, Notes: []power.Note{
			note("", "read_p99_seconds", "0.2"), note("", "read_p99_seconds", "0.1"), note("", "read_p99_seconds", "0.3"),
			note("GPU-0", "power_limit_watts", "700"), note("GPU-1", "power_limit_watts", "700"), note("GPU-2", "power_limit_watts", "700"),
			note("GPU-0", "power_limit_watts", "700"),
		}},
		{Host: "h", Run: "r", Source: "nvml", Seq: 3, Notes: append(clocks, reasons...)},
	}
	for i := range batches {
		batches[i].Meters = []power.Meter{{ID: "m"}}
	}
	batches = append(batches, power.Batch{Host: "h", Run: "r", Source: "meterd", Seq: 1, Notes: []power.Note{note("", "start", "1.0")}})
	want := []Context{
		{"driver", "580.1", 0, []string{"nvml on h"}},
		{"power_limit_watts", "700", 0, []string{"GPU-0", "GPU-2"}},
		{"power_limit_watts", "700, then 600", 1, []string{"GPU-1"}},
		{"read_p99_seconds", "0.3", 0, []string{"nvml on h"}},
		{"sm_clock_megahertz", "1860 to 1980", 8, []string{"GPU-1"}},
		{"throttle_reasons", "now none, now power_cap", 8, []string{"GPU-1"}},
	}
	if diff := cmp.Diff(want, contextOf(batches)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
