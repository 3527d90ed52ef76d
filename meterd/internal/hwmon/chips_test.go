package hwmon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sensor"
	"agentwatt/shared/power"
)

// Each chip as its driver shows it: what is a whole, what is a part, and that no two parts are one device.
func TestChips(t *testing.T) {
	type row struct {
		ID, Device, Name string
		Scope            power.Scope
		Quantity         power.Quantity
	}
	for name, c := range map[string]struct {
		chip, device string
		files        map[string]string
		want         []row
	}{
		"power supply": {"pmbus", "1-0058", map[string]string{
			"power1_input": "620000000", "power1_label": "pin", "power2_input": "580000000", "power2_label": "pout1", "power2_max": "2000000000", "in1_input": "230000",
		}, []row{
			{"hwmon/pmbus/1-0058/power1_input", "1-0058/pin", "pmbus pin", power.Component, power.Instant},
			{"hwmon/pmbus/1-0058/power2_input", "1-0058/pout1", "pmbus pout1", power.Component, power.Instant},
		}},
		"Jetson rails": {"ina3221", "1-0040", map[string]string{
			"in1_input": "19000", "curr1_input": "1500", "in1_label": "VDD_GPU_SOC", "in2_input": "19000", "curr2_input": "400", "in2_label": "VDD CPU",
			"in3_input": "19000", "in4_input": "12", "curr4_input": "1900", "in7_label": "sum of shunt voltages",
		}, []row{
			{"hwmon/ina3221/1-0040/in1_input*curr", "1-0040/VDD_GPU_SOC", "ina3221 VDD_GPU_SOC", power.Component, power.Instant},
			{"hwmon/ina3221/1-0040/in2_input*curr", "1-0040/VDD-CPU", "ina3221 VDD CPU", power.Component, power.Instant},
		}},
		"Radeon with both readings": {"amdgpu", "0000:03:00.0", map[string]string{"power1_average": "1", "power1_input": "1", "power1_label": "PPT"}, []row{
			{"hwmon/amdgpu/0000:03:00.0/power1_average", "0000:03:00.0", "amdgpu PPT", power.Accelerator, power.Mean},
			{"hwmon/amdgpu/0000:03:00.0/power1_input", "0000:03:00.0", "amdgpu PPT", power.Accelerator, power.Instant},
		}},
		"Intel Arc": {"i915", "0000:04:00.0", map[string]string{"energy1_input": "5"}, []row{
			{"hwmon/i915/0000:04:00.0/energy1_input", "0000:04:00.0", "i915 energy1", power.Accelerator, power.Counter},
		}},
		"a tile of it": {"i915_gt0", "0000:04:00.0", map[string]string{"energy1_input": "5"}, []row{
			{"hwmon/i915_gt0/0000:04:00.0/energy1_input", "0000:04:00.0", "i915_gt0 energy1", power.Component, power.Counter},
		}},
		"Intel Battlemage": {"xe", "0000:05:00.0", map[string]string{"energy1_input": "9", "energy1_label": "card", "energy2_input": "5", "energy2_label": "pkg"}, []row{
			{"hwmon/xe/0000:05:00.0/energy1_input", "0000:05:00.0", "xe card", power.Accelerator, power.Counter},
			{"hwmon/xe/0000:05:00.0/energy2_input", "0000:05:00.0/pkg", "xe pkg", power.Component, power.Counter},
		}},
	} {
		tr := &tree{root: t.TempDir()}
		tr.plug(t, "hwmon0", c.chip, c.device, c.files)
		s := tr.open(t)
		var got []row
		for _, m := range s.Meters() {
			got = append(got, row{m.ID, m.Device, m.Name, m.Scope, m.Quantity})
		}
		s.Close()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// A chip that gives volts and amperes gives watts, exactly, and no value where one of the two is missing.
func TestProducts(t *testing.T) {
	tr := &tree{root: t.TempDir()}
	tr.plug(t, "hwmon0", "ina3221", "1-0040", map[string]string{"in1_input": "19008", "curr1_input": "1504", "in2_input": "1", "curr2_input": "-7"})
	s := tr.open(t)
	defer s.Close()
	read := func() []power.Sample {
		got, err := s.Read(t.Context(), nil)
		must(t, err)
		return got
	}
	if got := read(); got[0].Raw != 19008*1504 || got[1].Raw != -7 {
		t.Errorf("%d and %d µW, want %d and -7", got[0].Raw, got[1].Raw, 19008*1504)
	}
	for text, want := range map[string]power.Status{"x": power.Failed, "9000000000000": power.Failed} {
		tr.put(t, "hwmon0", "curr1_input", text)
		if got := read(); got[0].Status != want || got[0].Raw != 0 || got[1].Status != power.OK {
			t.Errorf("%s mA: %+v", text, got)
		}
	}
}

// What an ACPI power meter says about itself is taken over: interval, accuracy, limits, serial number, and that it is a battery's.
func TestACPI(t *testing.T) {
	tr := &tree{root: t.TempDir()}
	tr.plug(t, "hwmon0", "power_meter", "ACPI000D:00", map[string]string{
		"power1_average": "250000000", "power1_average_interval": "1500", "power1_accuracy": "98.5%", "power1_cap": "700000000", "power1_cap_max": "900000000", "power1_is_battery": "1",
	})
	tr.put(t, "hwmon0", "device/power1_serial_number", "S123")
	s := tr.open(t)
	defer s.Close()
	m := s.Meters()[0]
	if m.Scope != power.Component || m.Averaging != 1500*time.Millisecond || m.AveragingFrom != power.Specification ||
		m.Accuracy < 0.019949 || m.Accuracy > 0.019951 || m.AccuracyFrom != power.Specification || m.Limit != 900*power.Watt {
		t.Errorf("%+v", m)
	}
	type row struct{ Device, Key, Value string }
	var got []row
	for _, n := range s.Notes(nil) {
		got = append(got, row{n.Device, n.Key, n.Value})
	}
	want := []row{{"ACPI000D:00", keyCap, "700"}, {"ACPI000D:00", keyPower, "battery"}, {"ACPI000D:00", keySerial, "S123"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := s.Notes(nil); len(again) != 0 {
		t.Errorf("a note is said twice: %+v", again)
	}
}

func TestAccuracy(t *testing.T) {
	for text, want := range map[string]float64{
		"98%": 0.02, "98": 0.02, "98.0%\n": 0.02, "98.5%": 0.01995, "99.999%": 0.00001, "95.12%": 0.04988,
		"100%": -1, "2%": -1, "0": -1, "": -1, "high": -1, "98.1234%": -1, "1000%": -1, "-3%": -1,
	} {
		got, ok := accuracy(text)
		if ok != (want > 0) || ok && (got < want-1e-9 || got > want+1e-9) {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
}

// Until 2025 the driver of ACPI power meters kept all its files, the name too, with the device: a Grace of that time.
func TestFilesWithTheDevice(t *testing.T) {
	tr := &tree{root: t.TempDir()}
	tr.plug(t, "hwmon3", "power_meter", "ACPI000D:01", nil)
	must(t, os.Remove(filepath.Join(tr.class(), "hwmon3", "name")))
	for file, text := range map[string]string{"name": "power_meter", "power1_average": "98000000", "power1_average_interval": "50", "power1_oem_info": "Grace Power Socket 1"} {
		tr.put(t, "hwmon3", "device/"+file, text)
	}
	s := tr.open(t)
	defer s.Close()
	m := s.Meters()[0]
	if m.ID != "hwmon/power_meter/ACPI000D:01/power1_average" || m.Device != "socket-1" || m.Scope != power.CPU || m.Averaging != 50*time.Millisecond {
		t.Errorf("%+v", m)
	}
	got, err := s.Read(t.Context(), nil)
	must(t, err)
	if len(got) != 1 || got[0].Raw != 98_000_000 || got[0].Status != power.OK {
		t.Errorf("%+v", got)
	}
}

// The registry knows the channels of a chip by its driver's name; without an entry a mean has our default window, marked so.
func TestChannelsAreInTheRegistry(t *testing.T) {
	tr := &tree{root: t.TempDir()}
	tr.plug(t, "hwmon0", "amdgpu", "0000:03:00.0", radeon)
	s := tr.open(t)
	defer s.Close()
	m, model := s.Meters()[0], sensor.Find("hwmon", "amdgpu", "average", "")
	if m.Averaging != time.Second || m.AveragingFrom != power.Assumed || model.Window.Value != 0 && model.Window.Value != m.Averaging {
		t.Errorf("%+v, registry %+v", m, model)
	}
}

// Devices that go and come are said, and one that is plugged in later is found.
func TestHotPlug(t *testing.T) {
	tr := node(t)
	s := tr.open(t)
	defer s.Close()
	s.Notes(nil)
	type row struct{ Device, Key, Value string }
	read := func(after time.Duration) (rows []row) {
		tr.ahead += after
		_, err := s.Read(t.Context(), nil)
		must(t, err)
		for _, n := range s.Notes(nil) {
			rows = append(rows, row{n.Device, n.Key, n.Value})
		}
		return rows
	}
	tr.unplug(t, "hwmon5")
	const card = "0000:03:00.0"
	check := func(what string, got, want []row) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
	check("unplugged", read(0), []row{{card, keyDevice, "lost"}})
	check("still away", read(2*time.Second), nil)
	tr.plug(t, "hwmon12", "amdgpu", card, radeon)
	check("plugged in", read(2*time.Second), []row{{card, keyDevice, "back"}})
	before := len(s.Meters())
	tr.plug(t, "hwmon13", "pmbus", "1-0059", map[string]string{"power1_input": "7"})
	check("too early to look", read(time.Second), nil)
	check("a new one", read(lookAgain), []row{{"1-0059", keyDevice, "new"}})
	if n := len(s.Meters()); n != before+1 {
		t.Errorf("%d meters, want %d", n, before+1)
	}
}

func FuzzAccuracy(f *testing.F) {
	for _, s := range []string{"98%", "98.5%", "100", "-1", "9.999999%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if a, ok := accuracy(text); ok && (a <= 0 || a > 0.5) {
			t.Errorf("%q: %v", text, a)
		}
	})
}
