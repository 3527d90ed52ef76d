package topology

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// steady makes a use of one minute from every meter: as much as a real system of that kind draws.
func steady(d Discovered) (uses []HostUse) {
	watts := map[power.Scope]float64{power.Accelerator: 700, power.CPU: 300, power.Module: 1900, power.Node: 7000, power.Rack: 30e3, power.Component: 3550}
	for _, m := range d.Meters {
		uses = append(uses, use(m, watts[m.Meter.Scope], 0.02))
	}
	return uses
}

// use is a minute of a meter at a power, with a gain uncertain by u (k = 2).
func use(m HostMeter, watts, u float64) HostUse {
	const begin = clock.Stamp(1_790_000_000_000_000_000)
	p := power.Power(math.Round(watts * float64(power.Watt)))
	return HostUse{m.Host, power.Use{Meter: m.Meter, Begin: begin, End: begin.Add(time.Minute), Mean: p, Energy: p.Over(time.Minute), Measured: time.Minute,
		Coverage: 1, Valid: true, Uncertainty: power.Uncertainty{Gain: u / 2}}}
}

// tier finds one tier.
func tier(t *testing.T, list []Tier, name, place string) Tier {
	t.Helper()
	i := slices.IndexFunc(list, func(x Tier) bool { return x.Name == name && x.Place == place })
	if i < 0 {
		t.Fatalf("no tier %q of %s in %+v", name, place, list)
	}
	return list[i]
}

const twoNodes = `
racks:
  - name: r1
    inputs: [{device: p/inlet, outlets: "p/outlet-[1-2]"}]
nodes:
  - {name: "n[1-2]", rack: r1, input: bmc, fed_by: "p/outlet-[1-2]", accelerators: [g0, g1]}
`

// balanceOf gives the balance of twoNodes for powers by host/device. A device that is not among them has no meter.
func balanceOf(t *testing.T, file string, watts map[string]float64, u float64) []Tier {
	t.Helper()
	var uses []HostUse
	for name, w := range watts {
		host, device, _ := strings.Cut(name, "/")
		scope := power.Accelerator
		switch {
		case strings.Contains(device, "outlet"):
			scope = power.Component
		case strings.Contains(device, "inlet"), strings.Contains(device, "shelf"):
			scope = power.Rack
		case strings.HasPrefix(device, "package"):
			scope = power.CPU
		case strings.HasPrefix(device, "m"):
			scope = power.Module
		case strings.HasPrefix(device, "bmc"), strings.HasPrefix(device, "switch"):
			scope = power.Node
		}
		uses = append(uses, use(meter(host, device, scope), w, u))
	}
	return Balance(parse(t, file), Discovered{}, uses)
}

func TestVerdicts(t *testing.T) {
	const dc = "racks: [{name: r1, delivers: dc, inputs: [{device: shelf}]}]\nnodes: [{name: n1, rack: r1, input: bmc}]\n"
	const ac = "racks: [{name: r1, inputs: [{device: inlet}]}]\nnodes: [{name: n1, rack: r1, input: bmc}]\n"
	const modules = "nodes: [{name: n1, input: bmc, modules: [{device: m0, accelerators: [g0, g1]}]}]"
	for _, c := range []struct {
		name, file, tier, place string
		watts                   map[string]float64
		want                    Verdict
		text                    string
	}{
		{"PDU and node agree", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 1010, "n1/bmc": 1000}, Agrees, "1.0 %"},
		{"within the uncertainty below", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 990, "n1/bmc": 1000}, Agrees, ""},
		{"node above PDU", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 900, "n1/bmc": 1000}, Impossible, "100 W more than goes in"},
		{"the node's meter is behind its supplies", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 1080, "n1/bmc": 1000}, Unmetered, "behind their power supplies"},
		{"half of the rack has no meter", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 2000, "n1/bmc": 1000}, Unmetered, "969.1 W"},
		{"too much for a supply", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 2000, "n1/bmc": 1000}, Unmetered, "something is not metered"},
		{"shelf", dc, tierRack, "rack r1", map[string]float64{"h/shelf": 1050, "n1/bmc": 1000}, Agrees, "4.8 %"},
		{"shelf without a loss", dc, tierRack, "rack r1", map[string]float64{"h/shelf": 975, "n1/bmc": 1000}, LittleLoss, "10.1 W"},
		{"shelf with too much", dc, tierRack, "rack r1", map[string]float64{"h/shelf": 1300, "n1/bmc": 1000}, Unmetered, ""},
		{"equipment by its maker", ac + "equipment: [{name: s, rack: r1, max_watts: 500}]", tierRack, "rack r1", map[string]float64{"h/inlet": 1400, "n1/bmc": 1000}, Agrees, ""},
		{"equipment measured", ac + "equipment: [{name: s, rack: r1, measured: switch}]", tierRack, "rack r1",
			map[string]float64{"h/inlet": 1400, "n1/bmc": 1000, "h/switch": 390}, Agrees, ""},
		{"equipment left out", ac + "equipment: [{name: s, rack: r1, not_included: old}]", tierRack, "rack r1", map[string]float64{"h/inlet": 1400, "n1/bmc": 1000}, Rest, "equipment s (old)"},
		{"equipment missing", ac + "equipment: [{name: s, rack: r1, measured: switch}]", tierRack, "rack r1", map[string]float64{"h/inlet": 1400, "n1/bmc": 1000}, NotJudged, "switch"},
		{"a node without a BMC", strings.TrimSuffix(ac, "]\n") + ", {name: n2, rack: r1, accelerators: [g0]}]", tierRack, "rack r1", map[string]float64{"h/inlet": 3000, "n1/bmc": 1000, "n2/g0": 700}, Rest, "node n2"},
		{"GPUs in a node", modules, tierModule, "node n1 m0", map[string]float64{"n1/m0": 1700, "n1/g0": 700, "n1/g1": 700, "n1/bmc": 2500}, Rest, "300 W (18 %) go to CPU and memory"},
		{"GPUs above their module", modules, tierModule, "node n1 m0", map[string]float64{"n1/m0": 700, "n1/g0": 700, "n1/g1": 700, "n1/bmc": 2500}, Impossible, "700 W more"},
		{"modules in a node", modules, tierNode, "node n1", map[string]float64{"n1/m0": 1700, "n1/g0": 700, "n1/g1": 700, "n1/bmc": 2500}, Rest, "800 W (32 %)"},
		{"GPUs and CPUs in a node", "nodes: [{name: n1, input: bmc, accelerators: [g0]}]", tierNode, "node n1",
			map[string]float64{"n1/g0": 700, "n1/package-0": 300, "n1/package-1": 200, "n2/package-0": 5000, "n1/bmc": 1500}, Rest, "300 W (20 %) go to fans"},
		{"a GPU in two places counts once", "nodes: [{name: n1, input: bmc, accelerators: [g0, g0]}]", tierNode, "node n1",
			map[string]float64{"n1/g0": 700, "n1/bmc": 1000}, Rest, "300 W (30 %) go to CPUs"},
		{"nothing lost in supplies", modules, tierNode, "node n1", map[string]float64{"n1/m0": 2000, "n1/g0": 700, "n1/g1": 700, "n1/bmc": 1960}, LittleLoss, ""},
		{"outlets", twoNodes, tierOutlets, "input p/inlet", map[string]float64{"h/p/inlet": 2020, "h/p/outlet-1": 1000, "h/p/outlet-2": 1000}, Agrees, ""},
		{"kWh read as Wh", twoNodes, tierOutlets, "input p/inlet", map[string]float64{"h/p/inlet": 2.02, "h/p/outlet-1": 1000, "h/p/outlet-2": 1000}, Impossible, "a scale is wrong"},
		{"some outlets", twoNodes, tierOutlets, "input p/inlet", map[string]float64{"h/p/inlet": 2020, "h/p/outlet-1": 1000}, Rest, "1 outlets"},
		{"cords", twoNodes, tierCords, "node n1", map[string]float64{"h/p/outlet-1": 1100, "n1/bmc": 1000, "n2/bmc": 1000}, Unmetered, "behind their power supplies"},
		{"nothing anywhere", ac, tierRack, "rack r1", map[string]float64{"h/inlet": 0, "n1/bmc": 0}, Agrees, ""},
	} {
		got := tier(t, balanceOf(t, c.file, c.watts, 0.02), c.tier, c.place)
		if got.Verdict != c.want || !strings.Contains(got.Text, c.text) {
			t.Errorf("%s: got %s, %q; want %s, %q\n%+v", c.name, got.Verdict, got.Text, c.want, c.text, got)
		}
	}
}

// What is unmetered is named in watts, and adding it to the children makes the tier agree.
func TestUnmeteredPart(t *testing.T) {
	const file = "racks: [{name: r1, inputs: [{device: inlet}]}]\nnodes: [{name: n1, rack: r1, input: bmc}]\n"
	got := tier(t, balanceOf(t, file, map[string]float64{"h/inlet": 1500, "n1/bmc": 1000}, 0.01), tierRack, "rack r1")
	if got.Difference != 500*power.Watt || got.Verdict != Unmetered {
		t.Fatalf("got %+v, want a difference of 500 W, not metered", got)
	}
	left := got.Difference - got.Most
	got = tier(t, balanceOf(t, file+"equipment: [{name: s, rack: r1, measured: switch}]",
		map[string]float64{"h/inlet": 1500, "n1/bmc": 1000, "h/switch": left.Watts()}, 0.01), tierRack, "rack r1")
	if got.Verdict != Agrees {
		t.Errorf("with %v metered: got %+v, want agrees", left, got)
	}
}

// Errors of one model add up within a side, and those of two sides do not cancel.
func TestUncertaintyOfTheDifference(t *testing.T) {
	for _, c := range []struct {
		name         string
		models       [3]string // parent and two children
		u            float64
		want         float64 // W
		wantChildren float64
	}{
		{"two models below", [3]string{"p", "a", "b"}, 0.02, math.Hypot(40, math.Hypot(20, 20)), math.Hypot(20, 20)},
		{"one model below", [3]string{"p", "a", "a"}, 0.02, math.Hypot(40, 40), 40},
		{"one model everywhere", [3]string{"a", "a", "a"}, 0.02, math.Hypot(40, 40), 40},
	} {
		var uses []HostUse
		for i, m := range []HostMeter{meter("h", "inlet", power.Rack), meter("n1", "bmc", power.Node), meter("n2", "bmc", power.Node)} {
			m.Meter.Model = c.models[i]
			uses = append(uses, use(m, []float64{2000, 1000, 1000}[i], c.u))
		}
		f := parse(t, "racks: [{name: r, inputs: [{device: inlet}]}]\nnodes: [{name: \"n[1-2]\", rack: r, input: bmc}]")
		got := tier(t, Balance(f, Discovered{}, uses), tierRack, "rack r")
		if math.Abs(got.Uncertainty.Watts()-c.want) > 1e-3 || math.Abs(got.Children.Uncertainty.Watts()-c.wantChildren) > 1e-3 {
			t.Errorf("%s: got %v, children %v; want %.3f W, %.3f W", c.name, got.Uncertainty, got.Children.Uncertainty, c.want, c.wantChildren)
		}
	}
}

// Scaling every meter by the same factor changes no verdict; making a part larger never makes it more plausible below.
func TestBalanceScales(t *testing.T) {
	watts := map[string]float64{"h/p/inlet": 2500, "h/p/outlet-1": 1250, "h/p/outlet-2": 1200, "n1/bmc": 1220, "n2/bmc": 1100,
		"n1/g0": 400, "n1/g1": 410, "n2/g0": 500, "n2/g1": 700}
	base := balanceOf(t, twoNodes, watts, 0.02)
	for _, by := range []float64{0.1, 3, 100} {
		scaled := map[string]float64{}
		for k, w := range watts {
			scaled[k] = w * by
		}
		for i, x := range balanceOf(t, twoNodes, scaled, 0.02) {
			if x.Verdict != base[i].Verdict || math.Abs(x.Difference.Watts()-by*base[i].Difference.Watts()) > 1e-3 {
				t.Errorf("all by %v: %s of %s is %s with %v, want %s with %v times %v", by, x.Name, x.Place, x.Verdict, x.Difference, base[i].Verdict, by, base[i].Difference)
			}
		}
	}
	order := []Verdict{Unmetered, Rest, Agrees, LittleLoss, Impossible}
	last := 0
	for w := 100.0; w < 6000; w *= 1.02 {
		watts["n1/bmc"] = w
		v := tier(t, balanceOf(t, twoNodes, watts, 0.02), tierRack, "rack r1").Verdict
		if i := slices.Index(order, v); i < last {
			t.Errorf("node n1 at %.0f W: %s after %s", w, v, order[last])
		} else {
			last = i
		}
	}
	if order[last] != Impossible {
		t.Errorf("a node of 6 kW under an inlet of 2.5 kW: %s, want %s", order[last], Impossible)
	}
}

// Of several meters of a device the best counts, and values of different intervals are not compared.
func TestBalanceUsesTheBest(t *testing.T) {
	const file = "racks: [{name: r, inputs: [{device: inlet}]}]\nnodes: [{name: n1, rack: r, input: bmc}]"
	inlet, bmc := use(meter("h", "inlet", power.Rack), 1000, 0.01), use(meter("n1", "bmc", power.Node), 990, 0.01)
	held := bmc
	held.Use.Mean, held.Use.Meter.Quantity, held.Use.Meter.ID = 500*power.Watt, power.Held, "bmc/watts"
	if got := tier(t, Balance(parse(t, file), Discovered{}, []HostUse{held, inlet, bmc}), tierRack, "rack r"); got.Children.Mean != bmc.Use.Mean {
		t.Errorf("counter and held power: got %v, want the counter's %v", got.Children.Mean, bmc.Use.Mean)
	}
	bmc.Use.Valid = false
	if got := tier(t, Balance(parse(t, file), Discovered{}, []HostUse{held, inlet, bmc}), tierRack, "rack r"); got.Children.Mean != held.Use.Mean {
		t.Errorf("counter not valid: got %v, want the held power %v", got.Children.Mean, held.Use.Mean)
	}
	held.Use.End = held.Use.End.Add(time.Second)
	if got := tier(t, Balance(parse(t, file), Discovered{}, []HostUse{held, inlet}), tierRack, "rack r"); got.Verdict != NotJudged {
		t.Errorf("two intervals: got %+v, want not judged", got)
	}
}

// Accelerators of which only the number is known are held against all modules of their node together.
func TestModulesTogether(t *testing.T) {
	watts := map[string]float64{"n1/m0": 1000, "n1/m1": 1000, "n1/" + gpu(1, 0): 700, "n1/" + gpu(1, 1): 800}
	got := balanceOf(t, "nodes: [{name: n1, modules: [{device: \"m[0-1]\", accelerators: 1}]}]", watts, 0.02)
	if len(got) != 1 || got[0].Name != tierModules || got[0].Difference != 500*power.Watt {
		t.Errorf("got %+v, want one tier with a difference of 500 W", got)
	}
}

// A shelf behind a PDU: the PDU counts, and the two are held against each other.
func TestInputsBehindInputs(t *testing.T) {
	const file = `
racks:
  - name: r1
    delivers: dc
    inputs:
      - {device: "pdu-[a,b]/inlet", outlets: []}
      - {device: "shelf-[1-2]", fed_by: "pdu-[a,b]/inlet"}
nodes: [{name: n1, rack: r1, input: bmc}]
`
	watts := map[string]float64{"h/pdu-a/inlet": 1010, "h/pdu-b/inlet": 1010, "h/shelf-1": 1000, "h/shelf-2": 1000, "n1/bmc": 1900}
	list := balanceOf(t, file, watts, 0.005)
	if got := tier(t, list, tierInputs, "rack r1"); got.Verdict != Agrees || got.Difference != 20*power.Watt {
		t.Errorf("PDUs and shelves: got %+v, want agrees", got)
	}
	if got := tier(t, list, tierRack, "rack r1"); got.Verdict != Agrees || got.Parent.Mean != 2000*power.Watt {
		t.Errorf("shelves and nodes: got %+v, want agrees", got)
	}
	if got, want := Expected(parse(t, file), Discovered{}, power.Rack), []string{"pdu-a/inlet", "pdu-b/inlet"}; !slices.Equal(got, want) {
		t.Errorf("expected at the rack: %q, want %q", got, want)
	}
}
