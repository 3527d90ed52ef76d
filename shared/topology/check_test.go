package topology

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// A complete topology has no finding above a remark, and every device that it expects is counted once.
func TestExamplesAreComplete(t *testing.T) {
	for _, c := range []struct {
		file string
		want map[power.Scope]int
	}{
		{"one-node.yaml", map[power.Scope]int{power.Accelerator: 8, power.Node: 1}},
		{"eight-nodes.yaml", map[power.Scope]int{power.Accelerator: 64, power.Node: 8, power.Rack: 2}},
		{"nvl72.yaml", map[power.Scope]int{power.Accelerator: 72, power.Module: 36, power.Node: 18 + 9, power.Rack: 8 + 1}},
	} {
		i := slices.IndexFunc(examples, func(e struct {
			file  string
			found func() Discovered
		}) bool {
			return e.file == c.file
		})
		f, d := example(t, c.file), examples[i].found()
		if got := codes(Check(f, d), Warning); len(got) > 0 {
			t.Errorf("%s: got %q, want nothing", c.file, got)
		}
		counted := map[power.Scope]int{}
		for _, r := range Once(f, d) {
			if r.Why != "" || len(r.Meters) != 1 {
				t.Errorf("%s: %+v, want counted with one meter", c.file, r)
			}
			counted[r.Scope]++
		}
		if d := cmp.Diff(c.want, counted); d != "" {
			t.Errorf("%s, devices by scope (-want +got):\n%s", c.file, d)
		}
		for s, want := range c.want {
			if got := Expected(f, d, s); len(got) != want {
				t.Errorf("%s, scope %s: %d devices expected, want %d: %q", c.file, s, len(got), want, got)
			}
		}
	}
}

// What makes two systems of one-line differences: what is metered beside or instead of a file's devices, and what is found.
func TestFindings(t *testing.T) {
	const uuid, other = "GPU-8a1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8a", "GPU-0b1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8a"
	acc, mod, node, rack, comp := power.Accelerator, power.Module, power.Node, power.Rack, power.Component
	note := func(device, key, value string) HostNote {
		return HostNote{"n1", power.Note{Device: device, Key: key, Value: value}}
	}
	for _, c := range []struct {
		name, file string
		meters     []HostMeter
		notes      []HostNote
		least      Severity
		want       []string // severity and code
		text       string   // part of the text or devices of one finding
	}{
		{"not metered", "nodes: [{name: n1, input: bmc}]", nil, nil, Info, []string{"error not-metered"}, "at scope node"},
		{"nearest name", "nodes: [{name: n1, input: bcm}]", []HostMeter{meter("n1", "bmc", node)}, nil, Info,
			[]string{"error not-metered", "warning not-placed"}, "the nearest name is bmc"},
		{"first name missing", "nodes: [{name: n1, input: bmc, also: psys}]", []HostMeter{meter("n1", "psys", node)}, nil, Info,
			[]string{"error not-metered"}, "its other name psys is metered"},
		{"other name missing", "nodes: [{name: n1, input: bmc, also: psys}]", []HostMeter{meter("n1", "bmc", node)}, nil, Info,
			[]string{"info not-metered"}, "another name of bmc"},
		{"another host's bmc is not mine", "nodes: [{name: n1, input: bmc}, {name: n2, input: bmc}]", []HostMeter{meter("n1", "bmc", node)}, nil, Info,
			[]string{"error not-metered"}, ""},
		{"polled from elsewhere", "nodes: [{name: n1, input: bmc-n1}]", []HostMeter{meter("poller", "bmc-n1", node)}, nil, Info, nil, ""},
		{"by host and device", "nodes: [{name: n1, input: poller/bmc}]", []HostMeter{meter("poller", "bmc", node), meter("n2", "bmc", comp)}, nil, Info, nil, ""},
		{"moved", "nodes: [{name: n1, accelerators: [" + uuid + "]}, {name: n2}]", []HostMeter{meter("n2", uuid, acc)}, nil, Info,
			[]string{"error wrong-node"}, "metered on host n2"},
		{"by PCI address", "nodes: [{name: n1, accelerators: [\"0000:1b:00.0\"]}]", []HostMeter{meter("n1", uuid, acc)},
			[]HostNote{note(uuid, NotePCI, "00000000:1B:00.0")}, Info, nil, ""},
		{"wrong scope", "nodes: [{name: n1, input: p/outlet-1}]", []HostMeter{meter("r", "p/outlet-1", comp)}, nil, Info,
			[]string{"error wrong-scope"}, "to be counted at scope node, but metered at component only"},
		{"too few", "nodes: [{name: n1, accelerators: 2}]", []HostMeter{meter("n1", uuid, acc)}, nil, Warning,
			[]string{"error not-metered"}, "accelerator #2"},
		{"too many", "nodes: [{name: n1, accelerators: 1}]", []HostMeter{meter("n1", uuid, acc), meter("n1", other, acc)}, nil, Warning,
			[]string{"error wrong-count"}, "2 accelerators are metered and the file says 1"},
		{"not placed", "nodes: [{name: n1}]", []HostMeter{meter("n1", uuid, acc)}, nil, Info, []string{"warning not-placed"}, ""},
		{"UUID and address of one", "nodes: [{name: n1, accelerators: [\"0000:1b:00.0\", " + uuid + "]}]", []HostMeter{meter("n1", uuid, acc)},
			[]HostNote{note(uuid, NotePCI, "0000:1b:00.0")}, Info, []string{"error counted-twice"}, "2 places"},
		{"twice, not metered", "nodes: [{name: n1, accelerators: [" + uuid + "]}, {name: n2, accelerators: [" + uuid + "]}]", nil, nil, Info,
			[]string{"error counted-twice", "error not-metered"}, "node n1 and node n2"},
		{"two scopes", "racks: [{name: r, inputs: [{device: x}]}]\nnodes: [{name: n1, rack: r, input: x}]", []HostMeter{meter("r", "x", rack)}, nil, Info,
			[]string{"error two-scopes", "error wrong-scope"}, "node n1 and rack r"},
		{"MIG", "nodes: [{name: n1, accelerators: [" + uuid + ", MIG-1]}]", []HostMeter{meter("n1", uuid, acc), meter("n1", "MIG-1", acc)}, nil, Info,
			[]string{"error part"}, "beside " + uuid},
		{"MIG left out", "nodes: [{name: n1, accelerators: [" + uuid + "]}]", []HostMeter{meter("n1", uuid, acc), meter("n1", "MIG-1", acc)}, nil, Info,
			[]string{"warning part"}, "beside " + uuid},
		{"phases beside the total", "racks: [{name: r, inputs: [{device: \"p/[total,phase-1]\"}]}]",
			[]HostMeter{meter("h", "p/total", rack), meter("h", "p/phase-1", rack)}, nil, Info, []string{"error part"}, "p/phase-1"},
		{"outlets at the scope of the inlet", "racks: [{name: r, inputs: [{device: p/inlet-1}]}]",
			[]HostMeter{meter("h", "p/inlet-1", rack), meter("h", "p/outlet-1", rack)}, nil, Info, []string{"warning part"}, "p/outlet-1"},
		{"supplies instead of the whole", "nodes: [{name: n1, input: \"psu-[1-2]\"}]",
			[]HostMeter{meter("n1", "bmc", node), meter("n1", "psu-1", node), meter("n1", "psu-2", node)}, nil, Info, []string{"info part"}, "psu-1"},
		{"module by two GPUs", "nodes: [{name: n1, modules: [{device: " + uuid + ", accelerators: [" + uuid + "]}, {device: " + other + "}], accelerators: [" + other + "]}]",
			[]HostMeter{meter("n1", uuid, acc), meter("n1", other, acc), meter("n1", uuid, mod), meter("n1", other, mod)},
			[]HostNote{note(uuid, NoteModule, "7"), note(other, NoteModule, "7")}, Error,
			[]string{"error shared-module"}, "2 of them are counted"},
		{"partitions", "nodes: [{name: n1, accelerators: [g0, g1]}]", []HostMeter{meter("n1", "g0", acc), meter("n1", "g1", acc)},
			[]HostNote{note("g0", NotePCI, "0000:1b:00.0"), note("g1", NotePCI, "0000:1b:00.1")}, Info, []string{"error shared-board"}, "partitions"},
		{"second die", "nodes: [{name: n1, accelerators: [g0, g1]}]", []HostMeter{meter("n1", "g0", acc), meter("n1", "g1", acc)},
			[]HostNote{note("g0", NoteSerial, "77"), note("g1", NoteSerial, "77")}, Info, []string{"warning shared-board"}, "MI250X"},
		{"two GPUs of a module", "nodes: [{name: n1, modules: [{device: m, accelerators: [g0, g1]}]}]",
			[]HostMeter{meter("n1", "g0", acc), meter("n1", "g1", acc), meter("n1", "m", mod)},
			[]HostNote{note("g0", NoteSerial, "77"), note("g1", NoteSerial, "77")}, Info, nil, ""},
		{"two hosts", "nodes: [{name: n1, accelerators: [" + uuid + "]}]", []HostMeter{meter("n1", uuid, acc), meter("n1-container", uuid, acc)}, nil, Info,
			[]string{"error two-hosts"}, "2 hosts"},
		{"ambiguous", "racks: [{name: r, inputs: [{device: p/inlet}]}]", []HostMeter{meter("h1", "p/inlet", rack), meter("h2", "p/inlet", rack)}, nil, Info,
			[]string{"error ambiguous"}, "h1/p/inlet"},
		{"shared outlet", "racks: [{name: r, inputs: [{device: p, outlets: p/1}]}]\nnodes: [{name: n1, rack: r, fed_by: p/1}, {name: n2, rack: r, fed_by: p/1}]",
			[]HostMeter{meter("h", "p", rack)}, nil, Info, []string{"error shared-outlet"}, "node n1 and node n2"},
		{"feed B not metered", "racks: [{name: r, inputs: [{device: a, feed: A}, {device: b, feed: B}]}]\nnodes: [{name: n1, rack: r}]",
			[]HostMeter{meter("h", "a", rack)}, nil, Info, []string{"error not-metered", "error one-feed"}, "feed B is not metered"},
		{"no feed metered", "racks: [{name: r, inputs: [{device: a, feed: A}, {device: b, feed: B}]}]\nnodes: [{name: n1, rack: r}]",
			nil, nil, Info, []string{"error not-metered"}, ""},
		{"cord missing", "racks: [{name: r, inputs: [{device: a, feed: A, outlets: a/1}, {device: b, feed: B}]}]\nnodes: [{name: n1, rack: r, fed_by: a/1}]",
			[]HostMeter{meter("h", "a", rack), meter("h", "b", rack)}, nil, Info, []string{"warning one-feed"}, "feed A only"},
		{"one cord and one supply", "racks: [{name: r, inputs: [{device: a, feed: A, outlets: a/1}, {device: b, feed: B}]}]\nnodes: [{name: n1, rack: r, supplies: 1, fed_by: a/1}]",
			[]HostMeter{meter("h", "a", rack), meter("h", "b", rack)}, nil, Info, nil, ""},
		{"two supplies, one feed", "racks: [{name: r, inputs: [{device: a, feed: A}]}]\nnodes: [{name: n1, rack: r, supplies: 2}]",
			[]HostMeter{meter("h", "a", rack)}, nil, Info, []string{"warning one-feed"}, "2 power supplies"},
		{"supplies", "racks: [{name: r, inputs: [{device: a, outlets: [a/1, a/2]}]}]\nnodes: [{name: n1, rack: r, supplies: 4, fed_by: [a/1, a/2]}]",
			[]HostMeter{meter("h", "a", rack)}, nil, Info, []string{"warning supplies"}, "4 power supplies and is fed by 2 outlets"},
		{"nodes without a BMC", "nodes: [{name: n1, input: bmc}, {name: n2}]", []HostMeter{meter("n1", "bmc", node)}, nil, Info, []string{"warning gap"}, ""},
		{"nodes without a rack", "racks: [{name: r}]\nnodes: [{name: n1, rack: r}, {name: n2}]", nil, nil, Info, []string{"warning gap"}, "no rack"},
		{"racks without inputs", "racks: [{name: r, inputs: [{device: p}]}, {name: s}]", []HostMeter{meter("h", "p", rack)}, nil, Info, []string{"warning gap"}, "no inputs"},
		{"accelerators outside modules", "nodes: [{name: n1, modules: [{device: m, accelerators: [g0]}]}, {name: n2, accelerators: [g0]}]",
			[]HostMeter{meter("n1", "m", mod), meter("n1", "g0", acc), meter("n2", "g0", acc)}, nil, Info, []string{"warning gap"}, "in no module"},
		{"some outlets metered", "racks: [{name: r, inputs: [{device: p, outlets: [p/1, p/2]}]}]\nnodes: [{name: \"n[1-2]\", rack: r, fed_by: \"p/[1-2]\"}]",
			[]HostMeter{meter("h", "p", rack), meter("h", "p/1", comp)}, nil, Info, []string{"info gap"}, "p/2"},
		{"no consumer", "racks: [{name: r, inputs: [{device: p, outlets: [p/1, p/2]}]}]\nnodes: [{name: n1, rack: r, fed_by: p/1}]",
			[]HostMeter{meter("h", "p", rack), meter("h", "p/1", comp), meter("h", "p/2", comp)}, nil, Info, []string{"warning no-consumer"}, "p/2"},
		{"cycle", "racks: [{name: r, inputs: [{device: p, outlets: p/1, fed_by: q/1}, {device: q, outlets: q/1, fed_by: p/1}]}]",
			[]HostMeter{meter("h", "p", rack), meter("h", "q", rack)}, nil, Info, []string{"error cycle"}, "circle"},
		{"feeds itself", "racks: [{name: r, inputs: [{device: p, fed_by: p}]}]", []HostMeter{meter("h", "p", rack)}, nil, Info, []string{"error cycle"}, "circle"},
		{"unknown rack", "racks: [{name: rack-1, inputs: [{device: p}]}]\nnodes: [{name: n1, rack: rack1}]", []HostMeter{meter("h", "p", rack)}, nil, Info,
			[]string{"error unknown-name"}, "the nearest name is rack-1"},
		{"unknown outlet", "racks: [{name: r, inputs: [{device: p, outlets: \"p/outlet-[1-2]\"}]}]\nnodes: [{name: n1, rack: r, fed_by: [p/outlet-1, p/oulet-2]}]",
			[]HostMeter{meter("h", "p", rack)}, nil, Warning, []string{"error unknown-name"}, "the nearest name is p/outlet-2"},
		{"same name", "nodes: [{name: \"n[1-2]\"}, {name: n2}]", nil, nil, Info, []string{"error same-name"}, "2 times"},
		{"an outlet that counts", "racks: [{name: r, inputs: [{device: p, outlets: p/x}, {device: p/x}]}]", []HostMeter{meter("h", "p", rack), meter("h", "p/x", rack)}, nil, Error,
			[]string{"error counted-twice", "error part"}, "an outlet of p"},
		{"equipment behind the rack", "racks: [{name: r, inputs: [{device: p}]}]\nequipment: [{name: cdu, rack: r, measured: c}]",
			[]HostMeter{meter("h", "p", rack), meter("h", "c", rack)}, nil, Info, nil, ""},
		{"equipment nowhere", "equipment: [{name: cdu, measured: c}]", []HostMeter{meter("h", "c", comp)}, nil, Info, []string{"warning wrong-scope"}, "no figure holds it"},
		{"equipment left out", "equipment: [{name: x, not_included: a spare}, {name: y, max_watts: 40}]", nil, nil, Info, []string{"info not-included"}, "a spare"},
	} {
		list := Check(parse(t, c.file), Discovered{c.meters, c.notes})
		if got := codes(list, c.least); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q\n%+v", c.name, got, c.want, list)
		}
		if !slices.ContainsFunc(list, func(f Finding) bool { return strings.Contains(f.Text+" "+strings.Join(f.Devices, " "), c.text) }) && c.text != "" {
			t.Errorf("%s: no finding says %q\n%+v", c.name, c.text, list)
		}
	}
}

// A device that lacks a meter which the others of its kind have is found.
func TestUnevenMeters(t *testing.T) {
	d := oneNode()
	for i := range d.Meters {
		d.Meters[i].Meter.Name = "GPU"
	}
	for _, m := range d.Meters {
		if m.Meter.Scope == power.Accelerator && m.Meter.Device != gpu(1, 3) {
			m.Meter.ID, m.Meter.Quantity = m.Meter.Device+"/instant", power.Instant
			d.Meters = append(d.Meters, m)
		}
	}
	var got []Finding
	for _, f := range Check(example(t, "one-node.yaml"), d) {
		if f.Code == Uneven {
			got = append(got, f)
		}
	}
	want := []Finding{{Warning, Uneven, "", []string{gpu(1, 3)}, `no meter "instant", which 7 others of GPU have`}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
}

// What stands behind a counted input, or is another name of a counted device, is accounted for and not expected.
func TestNotCounted(t *testing.T) {
	f := parse(t, `
racks:
  - {name: r, inputs: [{device: p, also: q, outlets: p/1}, {device: shelf, fed_by: p/1}]}
nodes:
  - {name: n1, rack: r, input: bmc, also: psys}
equipment:
  - {name: cdu, rack: r, measured: c}
  - {name: pump, measured: d}
`)
	d := Discovered{Meters: []HostMeter{meter("h", "p", power.Rack), meter("h", "q", power.Rack), meter("h", "shelf", power.Rack), meter("h", "c", power.Rack),
		meter("h", "d", power.Rack), meter("h", "x", power.Rack), meter("n1", "bmc", power.Node), meter("n1", "psys", power.Node)}}
	got := map[string]string{}
	for _, r := range Once(f, d) {
		got[r.Device] = r.Why
	}
	want := map[string]string{"p": "", "d": "", "bmc": "", "q": "another name of p", "shelf": "behind p/1", "c": "behind the inputs of rack r",
		"x": "in no place of the file", "psys": "another name of bmc"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("why not counted (-want +got):\n%s", d)
	}
	if got, want := ExpectedAll(f, d), []string{"h/d", "h/p", "n1/bmc"}; !slices.Equal(got, want) {
		t.Errorf("expected: got %q, want %q", got, want)
	}
}

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		list []Finding
		want Severity
	}{
		{nil, ""}, {[]Finding{{Severity: Info}}, Info}, {[]Finding{{Severity: Info}, {Severity: Error}, {Severity: Warning}}, Error},
	} {
		if got := Worst(c.list); got != c.want {
			t.Errorf("%v: got %q, want %q", c.list, got, c.want)
		}
	}
}
