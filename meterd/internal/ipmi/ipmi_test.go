package ipmi

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bougou/go-ipmi/pkg/types"
	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

func read(t *testing.T, s *Source) ([]power.Sample, []power.Meter) {
	t.Helper()
	got, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return got, s.Meters()
}

// statuses of one read, in order of the meters.
func statuses(t *testing.T, s *Source) []power.Status {
	t.Helper()
	samples, meters := read(t, s)
	got := make([]power.Status, len(meters))
	for _, x := range samples {
		got[x.Meter] = x.Status
		if x.Time == 0 || x.Status != power.OK && x.Raw != 0 {
			t.Errorf("a sample without a time, or with a value that is none: %+v", x)
		}
	}
	return got
}

// notes by key, the last value of each.
func notes(s *Source) map[string]string {
	got := map[string]string{}
	for _, n := range s.Notes(nil) {
		got[n.Key] = n.Value
	}
	return got
}

var _ sampler.Noter = (*Source)(nil)

func TestConformance(t *testing.T) {
	var n *node
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) sampler.Source {
			n = newNode(t, full)
			return n.open()
		},
		Hide:    func(*testing.T) { n.deny(types.NetFnGroupExtensionRequest, codeInvalid) },
		Lose:    func(*testing.T) { n.stop() },
		Restore: func(*testing.T) { n.start(); n.t.Cleanup(n.stop) },
		Allocs:  400, // of five requests, on both sides: the BMC is in the same process
		Steps:   100,
	})
}

// full is a node with DCMI, a sensor of the whole node, two supplies and a part.
func full(n *node) {
	n.records = [][]byte{
		record(1, "Pwr Consumption", factors{m: 4}),
		record(2, "PS1 Input Power", factors{m: 8, b: 24}),
		record(3, "PS2 Input Power", factors{m: 8, b: 24}),
		record(4, "CPU Power", factors{m: 1}),
	}
	n.sensors = map[byte][2]byte{1: {99, 0xc0}, 2: {20, 0xc0}, 3: {30, 0xc0}, 4: {120, 0xc0}}
}

func TestMeters(t *testing.T) {
	n := newNode(t, full)
	s := n.open(func(o *Options) { o.Name = "gpu7" })
	m := power.Meter{Device: "gpu7", Name: "Dell, product 256", Scope: power.Node, Quantity: power.Held, Accuracy: 0.05,
		AccuracyFrom: power.Assumed, Model: "ipmi/dell/sdr/unknown"}
	with := func(id, device string, scope power.Scope, num int64) power.Meter {
		m := m
		m.ID, m.Device, m.Scope, m.Scale = "ipmi/gpu7/"+id, device, scope, power.Scale{Num: num, Den: 1}
		return m
	}
	dcmi := with("dcmi", "gpu7", power.Node, 1_000_000)
	dcmi.Model = "ipmi/dell/dcmi/unknown"
	want := []power.Meter{
		dcmi,
		with("pwr-consumption", "gpu7", power.Node, 4_000_000),
		with("ps1-input-power", "gpu7/ps1-input-power", power.Component, 8_000_000),
		with("ps2-input-power", "gpu7/ps2-input-power", power.Component, 8_000_000),
		with("cpu-power", "gpu7/cpu-power", power.Component, 1_000_000),
	}
	if diff := cmp.Diff(want, s.Meters()); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
	samples, _ := read(t, s)
	var raw []int64
	for _, x := range samples {
		raw = append(raw, x.Raw)
	}
	if diff := cmp.Diff([]int64{int64(sine(7)), 99, 20 + 3, 30 + 3, 120}, raw); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	wantNotes := map[string]string{
		"bmc_manufacturer": "Dell", "bmc_product_id": "256", "bmc_firmware": "6.10", "bmc_cipher_suite": "17",
		"bmc_guid":     "1f1e1d1c-1b1a-1918-1716-151413121110",
		"dcmi_version": "1.5", "dcmi_power_management": "true", "dcmi_state": "active",
		"dcmi_average_period_seconds": "7", "dcmi_average_periods_seconds": "5,30,120", "quantisation_watts": "1",
	}
	if diff := cmp.Diff(wantNotes, notes(s)); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	if read(t, s); len(notes(s)) != 0 {
		t.Error("notes come again")
	}
	if only := n.open(func(o *Options) { o.Name, o.OnlyDCMI = "gpu7", true }); !cmp.Equal(want[:1], only.Meters()) {
		t.Errorf("with OnlyDCMI: %+v", only.Meters())
	}
}

// Whatever sensors there are, the devices of the node scope add up to the node once.
func TestEachJouleOnce(t *testing.T) {
	all := []sensor{{name: "Sys Power"}, {name: "PSU1 Input Power"}, {name: "PSU2 Input Power"}, {name: "PSU1 Output Power"}, {name: "CPU1 Power"},
		{name: "Power", entity: entitySupply, direction: directionInput}, {name: "Total Power", entity: entitySupply}, {name: "PSU1 Input Power", number: 7}}
	for _, c := range []struct {
		name    string
		dcmi    bool
		sensors []sensor
		node    []string // devices of the node scope
		say     bool
	}{
		{"DCMI alone", true, nil, []string{"n"}, false},
		{"everything", true, all, []string{"n"}, false},
		{"no DCMI", false, all, []string{"n"}, false},
		{"only supplies", false, all[1:3], []string{"n/psu1-input-power", "n/psu2-input-power"}, true},
		{"supplies and parts", false, all[1:6], []string{"n/power", "n/psu1-input-power", "n/psu2-input-power"}, true},
		{"only outputs and parts", false, all[3:5], nil, false},
		{"an output called the system", false, []sensor{{name: "Sys Power", direction: directionOutput}}, nil, false},
	} {
		meters, ports, say := plan("n", identity{}, c.dcmi, c.sensors)
		var node []string
		ids := map[string]bool{}
		for _, m := range meters {
			if m.Scope == power.Node {
				node = append(node, m.Device)
			}
			ids[m.ID] = true
		}
		slices.Sort(node)
		if diff := cmp.Diff(c.node, slices.Compact(node)); diff != "" || say != c.say {
			t.Errorf("%s: says so %v, want %v; devices (-want +got):\n%s", c.name, say, c.say, diff)
		}
		if len(ids) != len(meters) || len(ports) != len(meters) {
			t.Errorf("%s: %d meters, %d ports, %d IDs", c.name, len(meters), len(ports), len(ids))
		}
	}
}

// The state bit of OpenBMC says "deactivated" with valid readings.
func TestStateBitLies(t *testing.T) {
	n := newNode(t, func(n *node) { n.inactive, n.wave = true, constant(319) })
	s := n.open()
	if got, _ := read(t, s); got[0].Raw != 319 || got[0].Status != power.OK || notes(s)["dcmi_state"] != "deactivated" {
		t.Errorf("got %+v, want 319 W and a note", got[0])
	}
	n.set(func() { n.inactive = false })
	if read(t, s); notes(s)["dcmi_state"] != "active" {
		t.Error("no note of the change")
	}
}

func TestAnswers(t *testing.T) {
	group := types.NetFnGroupExtensionRequest
	frames := func(text string) func(*node) {
		return func(n *node) {
			n.replies[group] = func(byte, []byte) ([]byte, types.CompletionCode) {
				f := bytesOf(n.t, text)
				return f[1:], types.CompletionCode(f[0])
			}
		}
	}
	for _, c := range []struct {
		name   string
		change func(*node)
		want   power.Status
	}{
		{"a value", func(*node) {}, power.OK},
		{"no longer there", frames("c1"), power.Unsupported},
		{"no privilege", frames("d4"), power.Denied},
		{"unspecified", frames("ff"), power.Failed},
		{"another group", frames("00 00 d7 00 a2 00 14 01 b0 00 6f 4e a4 58 10 cd 70 43 40"), power.Failed},
		{"short", frames("00 dc d7 00"), power.Failed},
		{"busy twice", func(n *node) { n.busy = 2 }, power.OK},
		{"busy for long", func(n *node) { n.busy = 100 }, power.Failed},
		{"0 W of a host that is on", func(n *node) { n.wave = constant(0) }, power.Failed},
		{"0 W of a host that is off", func(n *node) { n.wave, n.on = constant(0), false }, power.OK},
	} {
		n := newNode(t)
		s := n.open()
		n.set(func() { c.change(n) })
		got, _ := read(t, s)
		if got[0].Status != c.want || got[0].Status != power.OK && got[0].Raw != 0 {
			t.Errorf("%s: got %+v, want status %v", c.name, got[0], c.want)
		}
		if n.set(func() {}); n.asked > 2+busyAttempts {
			t.Errorf("%s: asked %d times", c.name, n.asked)
		}
	}
}

// Sensors that are switched off or whose part is away have no value, and the others do.
func TestSensorsWithoutReading(t *testing.T) {
	n := newNode(t, full)
	s := n.open()
	n.set(func() {
		n.sensors[1] = [2]byte{0, 0xc0}   // 0 W, host on
		n.sensors[2] = [2]byte{20, 0x80}  // scanning disabled
		n.sensors[3] = [2]byte{30, 0xe0}  // reading unavailable
		n.sensors[4] = [2]byte{120, 0x40} // events disabled, which does not matter
	})
	want := []power.Status{power.OK, power.Failed, power.Unsupported, power.Unsupported, power.OK}
	if diff := cmp.Diff(want, statuses(t, s)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	n.set(func() { delete(n.sensors, 4) })
	if got := statuses(t, s)[4]; got != power.Unsupported {
		t.Errorf("a sensor that is gone: %v", got)
	}
}

func TestOptions(t *testing.T) {
	for want, o := range map[string]Options{
		"cipher suite 1 is neither":   {Address: "a", Cipher: 1},
		"password of 21 bytes":        {Address: "a", Password: strings.Repeat("x", 21)},
		"user name of 17 bytes":       {Address: "a", User: strings.Repeat("x", 17)},
		"in band there is none":       {User: "x"},
		`privilege "root" is not`:     {Address: "a", Privilege: "root"},
		`name "my node" has blanks`:   {Name: "my node"},
		"timeout -1ns is negative":    {Timeout: -1},
		"user or password without":    {Password: "xxxxx"},
		`privilege "callback" is not`: {Privilege: "callback"},
	} {
		if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "xxxx") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	for address, want := range map[string]string{"bmc": "bmc:623", "bmc:9": "bmc:9", "::1": "[::1]:623", "[::1]:9": "[::1]:9", "[::1]": "[::1]:623"} {
		if got := withPort(address); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
	_, err := Open(t.Context(), Options{Device: t.TempDir() + "/ipmi0"})
	if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(fault.Advice(err), "modprobe") {
		t.Errorf("no device: %v, hint %q", err, fault.Advice(err))
	}
	if _, err := Open(t.Context(), Options{Device: secretFile(t, "")}); !errors.Is(err, sampler.ErrUnavailable) {
		t.Errorf("an ordinary file: %v", err)
	}
}
