package amdchip

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

func TestOf(t *testing.T) {
	tests := []struct {
		device, arch string
		scope        power.Scope
		pair, v13    bool // v13: the counter has a unit under metrics v1.3
	}{
		{"0x740c", "MI250X", power.Accelerator, true, true},
		{"0x740f", "MI210", power.Accelerator, false, true},
		{"0x74a0", "MI300A", power.Module, false, true},
		{"0x74a1", "MI300X", power.Accelerator, false, true},
		{"0x75a3", "MI355X", power.Accelerator, false, true},
		{"0x7551", "pci-7551", power.Accelerator, false, false},
		{"", "unknown", power.Accelerator, false, false},
		{"0x1174a1", "unknown", power.Accelerator, false, false},
	}
	for _, test := range tests {
		c := Of(test.device)
		if c.Arch != test.arch || c.Scope != test.scope || c.Pair != test.pair || c.Counts(1, 3) != test.v13 || !c.Counts(1, 4) {
			t.Errorf("%q: got %+v, want %+v", test.device, c, test)
		}
		if c.Name == "" {
			t.Errorf("%q has no name", test.device)
		}
	}
}

func TestMeter(t *testing.T) {
	const pci = "0000:c1:00.0"
	c := Of("0x74a1")
	type row struct {
		ID, Device string
		Scope      power.Scope
		Quantity   power.Quantity
		Scale      power.Scale
		Limit      power.Power
	}
	var got []row
	for _, f := range []Field{Energy, Socket, Average, Baseboard} {
		m := c.Meter("amdsmi", pci, f, "6.12.12", 750*power.Watt)
		got = append(got, row{m.ID, m.Device, m.Scope, m.Quantity, m.Scale, m.Limit})
	}
	watt := power.Scale{Num: 1_000_000, Den: 1}
	want := []row{
		{"amdsmi/" + pci + "/energy", pci, power.Accelerator, power.Counter, power.Scale{Num: 15625, Den: 1024}, 750 * power.Watt},
		{"amdsmi/" + pci + "/socket", pci, power.Accelerator, power.Instant, watt, 750 * power.Watt},
		{"amdsmi/" + pci + "/average", pci, power.Accelerator, power.Mean, watt, 750 * power.Watt},
		{"amdsmi/baseboard/power", "amd-baseboard", power.Component, power.Instant, watt, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
}

// 65536 counts are one joule, to the microjoule.
func TestCountIsExact(t *testing.T) {
	s := Of("0x74a1").Meter("x", "y", Energy, "", 0).Scale
	if got := 65536 * s.Num; got%s.Den != 0 || got/s.Den != 1_000_000 {
		t.Errorf("65536 counts are %d/%d microjoules, want 1000000", got, s.Den)
	}
}

func TestSecondDie(t *testing.T) {
	pair, single := Of("0x7408"), Of("0x740f")
	for _, test := range []struct {
		c      Chip
		counts uint64
		watts  int64
		want   bool
	}{
		{pair, 0, 0, true},
		{pair, 0, 90, false}, // the counter has just started
		{pair, 5, 0, false},
		{single, 0, 0, false},
	} {
		if got := test.c.SecondDie(test.counts, test.watts); got != test.want {
			t.Errorf("%s with %d counts and %d W: got %v", test.c.Arch, test.counts, test.watts, got)
		}
	}
}

func TestWatch(t *testing.T) {
	const s = clock.Stamp(time.Second)
	steps := []struct {
		at            clock.Stamp
		counts, watts int64
		want          string
	}{
		{1 * s, 100, 300, ""},
		{2 * s, 100, 300, ""},
		{3 * s, 100, 300, "frozen"},
		{9 * s, 100, 300, ""}, // once
		{10 * s, 101, 300, "counting"},
		{11 * s, 101, 0, ""}, // nothing is drawn, so nothing need be counted
		{12 * s, 101, 300, ""},
		{13 * s, 101, 300, "frozen"},
		{14 * s, 7, 300, "counting"}, // a reset
	}
	var w Watch
	for i, step := range steps {
		if got := w.Look(step.at, step.counts, step.watts); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

func TestDriver(t *testing.T) {
	root := t.TempDir()
	if got := Driver(root); got != "" {
		t.Errorf("no module: %q", got)
	}
	dir := filepath.Join(root, "module", "amdgpu")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "version"), []byte("6.12.12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Driver(root); got != "6.12.12" {
		t.Errorf("got %q", got)
	}
}
