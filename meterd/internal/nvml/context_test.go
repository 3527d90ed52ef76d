//go:build linux && cgo

package nvml

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// said returns the values of the notes since the last call, by key, of one device; the last of each.
func (s *stub) said(device string) map[string]string {
	said := map[string]string{}
	for _, n := range s.Notes(nil) {
		if n.Device == device {
			said[n.Key] = n.Value
		}
	}
	return said
}

func TestContext(t *testing.T) {
	s := openStub(t, "MODULE", "1")
	s.read()
	notes := s.Notes(nil)
	got := map[string]map[string]string{}
	for _, n := range notes {
		if got[n.Device] == nil {
			got[n.Device] = map[string]string{}
		}
		if n.Time != s.time() {
			t.Errorf("%s at %v, want %v", n.Key, n.Time, s.time())
		}
		got[n.Device][n.Key] = n.Value
	}
	want := map[string]map[string]string{
		"":         {"driver_version": "999.10.01"},
		"module-0": {"power_limit_watts": "900"},
		uuid0: {
			"power_limit_watts": "700", "power_limit_requested_watts": "700", "power_limit_default_watts": "700",
			"power_limit_min_watts": "200", "power_limit_max_watts": "700",
			"clock_sm_megahertz": "1980", "clock_memory_megahertz": "3201", "throttle_reasons": "none", "mig": "false",
			"sensor_model": "GH100", "pci_address": "00000000:01:00.0", "vbios_version": "96.00.99.00.01",
			"persistence_mode": "on", "ecc_mode": "on", "module": "module-0", "ring_samples": "119", "ring_period_seconds": "0.02",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if again := s.Notes(nil); len(again) != 0 {
		t.Errorf("told twice: %+v", again)
	}
}

// Context comes every 10 s, what never changes every minute, and reasons within a second of their change.
func TestContextIsSeldom(t *testing.T) {
	s := openStub(t)
	count := map[string]int{}
	for range 2 * 60 * 10 {
		s.read()
		for _, n := range s.Notes(nil) {
			count[n.Key]++
		}
		s.advance(100 * time.Millisecond)
	}
	for key, want := range map[string]int{"power_limit_watts": 12, "throttle_reasons": 12, "vbios_version": 2, "driver_version": 2} {
		if count[key] != want {
			t.Errorf("%s was told %d times in 2 min, want %d", key, count[key], want)
		}
	}
	s.advance(time.Second) // not in step with the rest
	s.read()
	s.Notes(nil)
	s.control("reasons 0 132\nlimit 0 550.5\n")
	s.advance(reasonsEvery)
	s.read()
	if diff := cmp.Diff(map[string]string{"throttle_reasons": "sw_power_cap+hw_power_brake"}, s.said(uuid0)); diff != "" {
		t.Errorf("after a second (-want +got):\n%s", diff)
	}
	s.advance(contextEvery)
	s.read()
	if got := s.said(uuid0)["power_limit_watts"]; got != "550.5" {
		t.Errorf("limit %q, want 550.5", got)
	}
}

// A read tells the context of one GPU at most, so that none is much slower than the others.
func TestContextIsSpread(t *testing.T) {
	s := openStub(t, "DEVICES", "5")
	for i := range 5 {
		s.read()
		told := map[string]bool{}
		for _, n := range s.Notes(nil) {
			if n.Device != "" {
				told[n.Device] = true
			}
		}
		if len(told) != 1 || !told[gpu(i)] {
			t.Errorf("read %d told of %v, want GPU %d", i, told, i)
		}
	}
}

func TestUnknownSensorSaysSo(t *testing.T) {
	s := openStub(t, "CAPABILITY", "10.0")
	s.read()
	if got := s.said(uuid0)["sensor_model"]; got != "unknown" {
		t.Errorf("sensor_model %q, want unknown", got)
	}
}

func TestWords(t *testing.T) {
	for bits, want := range map[uint64]string{
		0: "none", 1: "gpu_idle", 0x4 | 0x8: "sw_power_cap+hw_slowdown", 0x400: "reliability", 1 << 40: "bit40",
	} {
		if got := words(bits); got != want {
			t.Errorf("%#x: %q, want %q", bits, got, want)
		}
	}
}

// A counter that stands still while nothing is drawn is right.
func TestIdleCounterIsNotFrozen(t *testing.T) {
	s := openStub(t, "WAVE", "constant 0")
	s.settle()
	if got, told := s.said(uuid0)["energy_counter"]; told {
		t.Errorf("told %q of a GPU that draws nothing", got)
	}
}

// A counter that stands still while the GPU draws power is told of, once; one that moves again, too. It is not corrected.
func TestFrozenCounter(t *testing.T) {
	s := openStub(t)
	follow := func() (told []string) {
		for range 100 {
			s.read()
			for _, n := range s.Notes(nil) {
				if n.Key == "energy_counter" {
					told = append(told, n.Device+" "+n.Value)
				}
			}
			s.advance(100 * time.Millisecond)
		}
		return told
	}
	if got := follow(); got != nil {
		t.Errorf("told %q of a counter that moves", got)
	}
	s.control("frozen 0 1010\n")
	if diff := cmp.Diff([]string{uuid0 + " frozen"}, follow()); diff != "" {
		t.Errorf("a counter that stands still (-want +got):\n%s", diff)
	}
	if x := s.read()[0]; x.Status != power.OK || x.Raw != 400*1000*1010 {
		t.Errorf("got %+v, want the count as it is", x)
	}
	s.control("frozen 0 1010\nunsupported 186\nunsupported 185\n")
	if got := follow(); got != nil {
		t.Errorf("told %q again", got)
	}
	s.control("\n")
	if diff := cmp.Diff([]string{uuid0 + " moving"}, follow()); diff != "" {
		t.Errorf("a counter that moves again (-want +got):\n%s", diff)
	}
}
