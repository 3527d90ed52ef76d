package topology

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// Batches of one machine under two names are one host, a meter is listed once, and notes come along.
func TestDiscover(t *testing.T) {
	bmc, acc := meter("", "bmc", power.Node).Meter, meter("", gpu(1, 0), power.Accelerator).Meter
	note := power.Note{Device: acc.Device, Key: NotePCI, Value: "0000:1b:00.0"}
	got := Discover([]power.Batch{
		{Host: "n1", Boot: "b1", Meters: []power.Meter{bmc}},
		{Host: "container", Boot: "b1", Meters: []power.Meter{acc}, Notes: []power.Note{note}},
		{Host: "n1", Boot: "b1", Meters: []power.Meter{bmc}},
		{Host: "n2", Meters: []power.Meter{bmc}},
		{Host: "n3", Meters: []power.Meter{bmc}},
	})
	want := Discovered{Meters: []HostMeter{{"container", acc}, {"container", bmc}, {"n2", bmc}, {"n3", bmc}}, Notes: []HostNote{{"container", note}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("discovered (-want +got):\n%s", d)
	}
}

func TestUnique(t *testing.T) {
	for id, want := range map[string]bool{
		gpu(1, 0): true, "MIG-" + gpu(1, 0)[4:]: true, gpu(1, 0) + "/module": true, "8a1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8a": true,
		"bmc": false, "pdu-a/inlet-1": false, "GPU-8a1f36c2-90d4-4b7e-a5f1": false, "GPU-8a1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8z": false, "": false,
	} {
		if got := unique(id); got != want {
			t.Errorf("%q: got %v, want %v", id, got, want)
		}
	}
}

func TestParsePCI(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // empty: not an address
	}{
		{"0000:1b:00.0", "0:1b:0.0"}, {"00000000:1B:00.0", "0:1b:0.0"}, {"0009:01:00.0", "9:1:0.0"}, {"0000:1b:1f.7", "0:1b:1f.7"},
		{"1b:00.0", ""}, {"0000:1b:00", ""}, {"0000:1b:20.0", ""}, {"0000:1b:00.8", ""}, {"0000:100:00.0", ""}, {"bmc", ""}, {"", ""},
	} {
		got := ""
		if a, ok := parsePCI(c.text); ok {
			got = a.String()
		}
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}
