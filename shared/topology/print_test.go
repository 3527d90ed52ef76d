package topology

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// troubled is the system of eight-nodes.yaml with one fault of each common sort, and the power of a minute: PDU B is not read,
// one BMC is gone, a GPU of gpu05 was moved to gpu06, the BMC of gpu07 meters behind its supplies, and something is plugged
// into outlet 12 of PDU A.
func troubled() (d Discovered, uses []HostUse) {
	d = eightNodes()
	d.Meters = slices.DeleteFunc(d.Meters, func(m HostMeter) bool {
		return strings.HasPrefix(m.Meter.Device, "QK1299/inlet") || m.Host == "gpu03" && m.Meter.Scope == power.Node
	})
	for i, m := range d.Meters {
		if m.Meter.Device == gpu(5, 7) {
			d.Meters[i].Host = "gpu06"
		}
	}
	d.Meters = append(d.Meters, pdu("pdu-a", "QK1234", "outlet-12", power.Component))
	for _, m := range d.Meters {
		watts := 700.0 // of a GPU
		switch {
		case m.Meter.Scope == power.Rack:
			watts = 32.4e3 // what its outlets carry, and 0.4 %
		case strings.HasSuffix(m.Meter.ID, "outlet-7/energy"):
			watts = 4200
		case strings.HasSuffix(m.Meter.ID, "outlet-9/energy"), strings.HasSuffix(m.Meter.ID, "outlet-10/energy"):
			watts = 125
		case strings.HasSuffix(m.Meter.ID, "outlet-11/energy"):
			watts = 30
		case strings.HasSuffix(m.Meter.ID, "outlet-12/energy"):
			watts = 500
		case m.Meter.Scope == power.Component:
			watts = 3900 // one of the two cords of a node
		case m.Meter.Scope == power.Node:
			watts = 7800
		}
		uses = append(uses, use(m, watts, 0.02))
	}
	return d, uses
}

func TestGolden(t *testing.T) {
	d, uses := troubled()
	f := example(t, "eight-nodes.yaml")
	nvl := example(t, "nvl72.yaml")
	for name, r := range map[string]Report{
		"troubled": {Findings: Check(f, d), Counted: Once(f, d), Tiers: Balance(f, d, uses)},
		"nvl72":    {Findings: Check(nvl, nvl72()), Counted: Once(nvl, nvl72())},
	} {
		var b bytes.Buffer
		Print(&b, r)
		compare(t, "testdata/"+name+".golden", b.Bytes())
		for i, line := range strings.Split(b.String(), "\n") {
			if n := len([]rune(line)); n > width {
				t.Errorf("%s: line %d has %d columns, want at most %d: %s", name, i+1, n, width, line)
			}
		}
	}
	compare(t, "testdata/draft.golden", Draft(oneNode()))
}

func compare(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

// What a device says of itself cannot reach the terminal as a control sequence.
func TestPrintIsSafe(t *testing.T) {
	d := Discovered{Meters: []HostMeter{meter("h\x1b[2J", "bmc\x07\n", power.Node)}}
	var b bytes.Buffer
	f := File{Nodes: []Node{{Name: "n\x1b"}}}
	Print(&b, Report{Findings: Check(f, d), Counted: Once(f, d)})
	if strings.ContainsAny(b.String(), "\x1b\x07") || !strings.Contains(b.String(), "h?[2J") {
		t.Errorf("got %q", b.String())
	}
}

// The names of a report's JSON say their units.
func TestJSON(t *testing.T) {
	text, err := json.Marshal(Report{Findings: []Finding{{Error, Twice, "node n", []string{"g"}, "t"}}, Counted: []Counted{{Scope: power.Node, Device: "d"}},
		Tiers: []Tier{{Name: "n", Parent: Side{Mean: 3}, Verdict: Agrees}}})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Findings []struct{ Severity, Code, Place, Text string }
		Counted  []struct{ Scope, Device string }
		Balance  []struct {
			Parent  map[string]any
			Verdict string
		}
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if s := fmt.Sprint(got); s != "{[{error counted-twice node n t}] [{node d}] [{map[devices:<nil> mean_microwatts:3 uncertainty_microwatts:0] agrees}]}" {
		t.Errorf("got %s from %s", s, text)
	}
}

// Watts of a meter without hardware behind it never stand without the word.
func TestSimulatedWattsSaySo(t *testing.T) {
	m := meter("n1", "SIM-0", power.Accelerator)
	m.Meter.Simulated = true
	bmc := meter("n1", "bmc", power.Node)
	use := func(x HostMeter, watts int64) HostUse {
		return HostUse{x.Host, power.Use{Meter: x.Meter, Mean: power.Power(watts) * power.Watt, Valid: true}}
	}
	f := File{Nodes: []Node{{Name: "n1", Input: Names{"bmc"}, Accelerators: Members{Names: Names{"SIM-0"}}}}}
	d := Discovered{Meters: []HostMeter{m, bmc}}
	tiers := Balance(f, d, []HostUse{use(m, 300), use(bmc, 500)})
	var b bytes.Buffer
	Print(&b, Report{Simulated: d.Simulated(), Findings: Check(f, d), Tiers: tiers})
	if !strings.HasPrefix(b.String(), "SIMULATED: ") || !strings.Contains(b.String(), "SIMULATED node n1") {
		t.Errorf("printed:\n%s", b.String())
	}
	if d := (Discovered{Meters: []HostMeter{bmc}}); d.Simulated() {
		t.Error("a real meter is called simulated")
	}
}
