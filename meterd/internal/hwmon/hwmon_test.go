package hwmon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// tree is a hwmon tree in a directory, with a clock of its own that Advance moves.
type tree struct {
	root  string
	ahead time.Duration
}

func (tr *tree) now() clock.Stamp { return clock.At(time.Now()).Add(tr.ahead) }

func (tr *tree) class() string { return filepath.Join(tr.root, "class", "hwmon") }

// plug makes a chip on a device, as a driver does when it is bound. An empty device leaves out the link.
func (tr *tree) plug(t *testing.T, dir, name, device string, files map[string]string) {
	t.Helper()
	chip := filepath.Join(tr.class(), dir)
	must(t, os.MkdirAll(chip, 0o755))
	tr.put(t, dir, "name", name)
	if device != "" {
		at := filepath.Join(tr.root, "devices", device)
		must(t, os.MkdirAll(at, 0o755))
		must(t, os.Symlink(at, filepath.Join(chip, "device")))
	}
	for file, text := range files {
		tr.put(t, dir, file, text)
	}
}

func (tr *tree) put(t *testing.T, dir, file, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(tr.class(), dir, file), []byte(text+"\n"), 0o600))
}

// unplug takes a chip away. Open files of a real one then give ENODEV; in a directory, empty files stand for that.
func (tr *tree) unplug(t *testing.T, dir string) {
	t.Helper()
	chip := filepath.Join(tr.class(), dir)
	files, err := filepath.Glob(filepath.Join(chip, "*_*"))
	must(t, err)
	for _, f := range files {
		must(t, os.Truncate(f, 0))
	}
	must(t, os.RemoveAll(chip))
}

func (tr *tree) open(t *testing.T) *Source {
	t.Helper()
	s, err := Open(tr.root, tr.now)
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var radeon = map[string]string{"power1_average": "301000000", "power1_cap_max": "750000000", "power1_label": "PPT", "temp1_input": "45000"}

// node is a Grace host with an AMD GPU and a board sensor: nobody builds one, but every rule is in it.
func node(t *testing.T) *tree {
	tr := &tree{root: t.TempDir()}
	tr.plug(t, "hwmon0", "nvme", "nvme0", map[string]string{"temp1_input": "40000"})
	for i, what := range []string{"Module", "Grace", "CPU", "SysIO"} {
		dir := fmt.Sprintf("hwmon%d", i+1)
		tr.plug(t, dir, "power_meter", fmt.Sprintf("ACPI000D:0%d", i), map[string]string{
			"power1_average": fmt.Sprint((i + 1) * 100_000_000), "power1_average_interval": "50",
		})
		tr.put(t, dir, "device/power1_oem_info", what+" Power Socket 0")
	}
	tr.plug(t, "hwmon5", "amdgpu", "0000:03:00.0", radeon)
	tr.plug(t, "hwmon10", "ina226", "2-0040", map[string]string{"power1_input": "12000000", "energy1_input": "777000000", "update_interval": "2"})
	return tr
}

func TestConformance(t *testing.T) {
	var tr *tree
	sourcetest.Run(t, sourcetest.Case{
		Open:    func(t *testing.T) sampler.Source { tr = node(t); return tr.open(t) },
		Now:     func() clock.Stamp { return tr.now() },
		Advance: func(_ *testing.T, d time.Duration) { tr.ahead += d },
		Step:    200 * time.Millisecond,
		Lose:    func(t *testing.T) { tr.unplug(t, "hwmon5") },
		Restore: func(t *testing.T) { tr.plug(t, "hwmon11", "amdgpu", "0000:03:00.0", radeon) },
		Reset:   func(t *testing.T) { tr.put(t, "hwmon10", "energy1_input", "5") },
	})
}

func TestHardware(t *testing.T) {
	s, err := Open("/sys", (&tree{}).now)
	sourcetest.RequireOrSkip(t, "hwmon", err)
	must(t, s.Close())
	sourcetest.Run(t, sourcetest.Case{Open: func(t *testing.T) sampler.Source {
		s, err := Open("/sys", (&tree{}).now)
		must(t, err)
		return s
	}})
}

func TestMeters(t *testing.T) {
	type row struct {
		ID, Device string
		Scope      power.Scope
		Quantity   power.Quantity
		Averaging  time.Duration
		Limit      power.Power
	}
	var got []row
	s := node(t).open(t)
	defer s.Close()
	for _, m := range s.Meters() {
		got = append(got, row{m.ID, m.Device, m.Scope, m.Quantity, m.Averaging, m.Limit})
	}
	const window = 50 * time.Millisecond
	want := []row{
		{"hwmon/power_meter/ACPI000D:00/power1_average", "module-0", power.Module, power.Mean, window, 0},
		{"hwmon/power_meter/ACPI000D:01/power1_average", "socket-0", power.CPU, power.Mean, window, 0},
		{"hwmon/power_meter/ACPI000D:02/power1_average", "socket-0/cpu", power.Component, power.Mean, window, 0},
		{"hwmon/power_meter/ACPI000D:03/power1_average", "socket-0/sysio", power.Component, power.Mean, window, 0},
		{"hwmon/amdgpu/0000:03:00.0/power1_average", "0000:03:00.0", power.Accelerator, power.Mean, time.Second, 750 * power.Watt},
		{"hwmon/ina226/2-0040/energy1_input", "2-0040", power.Component, power.Counter, 0, 0},
		{"hwmon/ina226/2-0040/power1_input", "2-0040", power.Component, power.Instant, 2 * time.Millisecond, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What hwmon does not know to be a whole must not make a headline.
func TestUnknownChipsAreComponents(t *testing.T) {
	for _, c := range []struct{ name, label, oem string }{
		{"power_meter", "", ""}, {"power_meter", "", "Module Power"}, {"power_meter", "", "Grace Power Socket x"},
		{"pmbus", "pin", ""}, {"newchip", "Module Power Socket 0", ""}, {"ina3221", "", ""},
	} {
		tr := &tree{root: t.TempDir()}
		tr.plug(t, "hwmon0", c.name, "dev0", map[string]string{"power1_input": "1", "power1_label": c.label})
		if c.oem != "" {
			tr.put(t, "hwmon0", "device/power1_oem_info", c.oem)
		}
		s := tr.open(t)
		if m := s.Meters()[0]; m.Scope.Headline() {
			t.Errorf("%+v has scope %q", c, m.Scope)
		}
		s.Close()
	}
}

func TestChipsThatLookAlikeAreToldApart(t *testing.T) {
	tr := &tree{root: t.TempDir()}
	for _, dir := range []string{"hwmon2", "hwmon10"} {
		tr.plug(t, dir, "sensor chip", "", map[string]string{"power1_input": "1"})
	}
	s := tr.open(t)
	defer s.Close()
	got := []string{s.Meters()[0].ID, s.Meters()[1].ID}
	want := []string{"hwmon/sensor-chip/sensor-chip/power1_input", "hwmon/sensor-chip/sensor-chip/power1_input#2"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.Meters()[0].Device == s.Meters()[1].Device {
		t.Error("two chips are one device")
	}
}

// Of two chips that look alike one goes: the other must not be taken for it, or its rail would be there twice.
func TestTheTwinOfALostChip(t *testing.T) {
	tr := &tree{root: t.TempDir()}
	for i, dir := range []string{"hwmon2", "hwmon10"} {
		tr.plug(t, dir, "twin", "", map[string]string{"power1_input": fmt.Sprint(i + 1)})
	}
	s := tr.open(t)
	defer s.Close()
	tr.unplug(t, "hwmon2")
	for range 3 {
		got, err := s.Read(t.Context(), nil)
		must(t, err)
		if len(got) != 2 || got[0].Status != power.Lost || got[1].Raw != 2 {
			t.Fatalf("%+v", got)
		}
		tr.ahead += 2 * searchAgain
	}
}

// After a driver is bound again its directory may belong to another chip, whose watts are not ours.
func TestAReusedDirectoryIsNotTheSameMeter(t *testing.T) {
	tr := node(t)
	s := tr.open(t)
	defer s.Close()
	before := s.Meters()
	tr.unplug(t, "hwmon5")
	tr.plug(t, "hwmon5", "amdgpu", "0000:c3:00.0", map[string]string{"power1_average": "99000000"})
	old, found := 4, false
	for range 10 {
		tr.ahead += 300 * time.Millisecond
		got, err := s.Read(t.Context(), nil)
		must(t, err)
		for _, x := range got {
			m := s.Meters()[x.Meter]
			if x.Meter == old && x.Status != power.Lost {
				t.Fatalf("%s has status %d and value %d, but its device is gone", m.ID, x.Status, x.Raw)
			}
			found = found || m.Device == "0000:c3:00.0" && x.Raw == 99_000_000
		}
	}
	if !found {
		t.Error("the new device was not found")
	}
	if len(before) != 7 || len(s.Meters()) != 8 {
		t.Errorf("%d meters before, %d after; the list that was returned must not change", len(before), len(s.Meters()))
	}
}

func TestOpenSaysWhyThereIsNothing(t *testing.T) {
	empty, cold := &tree{root: t.TempDir()}, &tree{root: t.TempDir()}
	cold.plug(t, "hwmon0", "nvme", "nvme0", map[string]string{"temp1_input": "40000"})
	for name, tr := range map[string]*tree{"no hwmon": empty, "temperatures only": cold} {
		if _, err := Open(tr.root, tr.now); !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), tr.root) {
			t.Errorf("%s: %v, want not available, with the place", name, err)
		}
	}
}

func TestBadValuesHaveNoNumber(t *testing.T) {
	tr := node(t)
	s := tr.open(t)
	defer s.Close()
	tr.put(t, "hwmon5", "power1_average", "N/A")
	got, err := s.Read(t.Context(), nil)
	must(t, err)
	if x := got[4]; x.Status != power.Failed || x.Raw != 0 {
		t.Errorf("status %d, value %d; want failed without a value", x.Status, x.Raw)
	}
}
