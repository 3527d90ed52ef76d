package topology

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// mixed returns the file and the meters in another order.
func mixed(f File, d Discovered, r *rand.Rand) (File, Discovered) {
	f.Racks, f.Nodes, f.Equipment = shuffled(f.Racks, r), shuffled(f.Nodes, r), shuffled(f.Equipment, r)
	for i := range f.Racks {
		f.Racks[i].Inputs = shuffled(f.Racks[i].Inputs, r)
	}
	for i := range f.Nodes {
		f.Nodes[i].Modules, f.Nodes[i].FedBy = shuffled(f.Nodes[i].Modules, r), shuffled(f.Nodes[i].FedBy, r)
	}
	d.Meters, d.Notes = shuffled(d.Meters, r), shuffled(d.Notes, r)
	return f, d
}

// untidy is a system with much that is wrong, so that there is an order to get wrong.
func untidy() (File, Discovered) {
	f := File{
		Racks: []Rack{
			{Name: "r1", Inputs: []Input{{Device: "p", Feed: "A", Outlets: Names{"p/[1-4]"}, FedBy: Names{"q/1"}}, {Device: "q", Feed: "B", Outlets: Names{"q/[1-4]"}, FedBy: Names{"p/4"}}}},
			{Name: "r2"},
		},
		Nodes: []Node{
			{Name: "n[1-2]", Rack: "r1", Input: Names{"bmc"}, FedBy: Names{"p/[1-2]"}, Supplies: 2, Accelerators: Members{Count: 2}},
			{Name: "n3", Rack: "r3", Accelerators: Members{Names: Names{"g0", "g0", "g1"}}},
			{Name: "n4", FedBy: Names{"p/2", "q/9"}, Modules: []Module{{Device: "m0", Accelerators: Members{Count: 2}}, {Device: "m1"}}},
		},
		Equipment: []Equipment{{Name: "s[1-2]", Rack: "r1", MaxWatts: 10}, {Name: "x", NotIncluded: "no"}},
	}
	var d Discovered
	for n := range 4 {
		host := fmt.Sprintf("n%d", n+1)
		d.Meters = append(d.Meters, meter(host, "bmc", power.Node), meter(host, "psu-1", power.Node), meter(host, gpu(n, 0), power.Accelerator),
			meter(host, gpu(n, 1), power.Accelerator), meter(host, gpu(n, 2), power.Accelerator), meter(host, "MIG-1", power.Accelerator))
		d.Notes = append(d.Notes, HostNote{host, power.Note{Device: gpu(n, 0), Key: NotePCI, Value: "0000:01:00.0"}},
			HostNote{host, power.Note{Device: gpu(n, 1), Key: NotePCI, Value: "0000:01:00.1"}})
	}
	d.Meters = append(d.Meters, meter("h", "p", power.Rack), meter("h", "p/1", power.Component), meter("h", "p/3", power.Rack), meter("h2", gpu(1, 0), power.Accelerator))
	return f, d
}

// The order of meters and of entries changes nothing.
func TestOrderDoesNotMatter(t *testing.T) {
	type system struct {
		name string
		file File
		d    Discovered
	}
	f, d := untidy()
	systems := []system{{"untidy", f, d}}
	for _, e := range examples {
		systems = append(systems, system{e.file, example(t, e.file), e.found()})
	}
	r := random()
	for _, s := range systems {
		uses := steady(s.d)
		findings, once, tiers, draft := Check(s.file, s.d), Once(s.file, s.d), Balance(s.file, s.d, uses), string(Draft(s.d))
		if len(findings) == 0 || len(once) == 0 || len(tiers) == 0 {
			t.Fatalf("%s: %d findings, %d rows, %d tiers: nothing to compare", s.name, len(findings), len(once), len(tiers))
		}
		for range 8 {
			f, d := mixed(s.file, s.d, r)
			uses := shuffled(uses, r)
			for what, c := range map[string][2]any{"findings": {findings, Check(f, d)}, "once": {once, Once(f, d)}, "tiers": {tiers, Balance(f, d, uses)}, "draft": {draft, string(Draft(d))}} {
				if diff := cmp.Diff(c[0], c[1]); diff != "" {
					t.Fatalf("%s: %s in another order (-first +then):\n%s", s.name, what, diff)
				}
			}
		}
	}
}

// stride leaves out most of the many devices that are alike in a large system; what is left is of every kind.
func stride(d Discovered) int { return 1 + len(d.Meters)/60 }

// Whatever meter is taken away from a complete topology, something says so.
func TestMissingMeterIsFound(t *testing.T) {
	for _, e := range examples {
		f, d := example(t, e.file), e.found()
		complete := Check(f, d)
		for i, m := range d.Meters {
			if m.Meter.Scope == power.CPU || i%stride(d) != 0 {
				continue // in no figure
			}
			less := Discovered{slices.Delete(slices.Clone(d.Meters), i, i+1), d.Notes}
			list := Check(f, less)
			want := Error
			if m.Meter.Scope == power.Component {
				want = Info // an outlet, of which the inlet has the power
			}
			if cmp.Equal(list, complete) || Worst(list).rank() > want.rank() {
				t.Errorf("%s without %s of %s: got %q", e.file, m.Meter.ID, m.Host, codes(list, Info))
			}
			if got, want := len(Expected(f, less, m.Meter.Scope)), len(Expected(f, d, m.Meter.Scope)); got != want {
				t.Errorf("%s without %s: %d devices expected at %s, want %d as before", e.file, m.Meter.ID, got, m.Meter.Scope, want)
			}
		}
	}
}

// Whatever device is put into a second place, that is found as counted twice.
func TestSecondPlaceIsFound(t *testing.T) {
	for _, e := range examples {
		d := e.found()
		for i, m := range d.Meters {
			if i%stride(d) != 0 {
				continue
			}
			f := example(t, e.file)
			again := Names{m.Host + "/" + m.Meter.Device}
			switch m.Meter.Scope {
			case power.Rack:
				f.Racks = append(f.Racks, Rack{Name: "again", Inputs: []Input{{Device: again[0]}}})
			case power.Node:
				f.Nodes = append(f.Nodes, Node{Name: "again", Input: again})
			case power.Module:
				f.Nodes = append(f.Nodes, Node{Name: "again", Modules: []Module{{Device: again[0]}}})
			case power.Accelerator: // by name: a number would leave out what is named
				f.Nodes = append(f.Nodes, Node{Name: "again", Accelerators: Members{Names: again}}, Node{Name: "more", Accelerators: Members{Names: again}})
			default:
				continue
			}
			if got := codes(Check(f, d), Error); !slices.Contains(got, "error "+string(Twice)) {
				t.Errorf("%s with %s of %s again: got %q, want counted-twice", e.file, m.Meter.ID, m.Host, got)
			}
			rows := 0
			for _, r := range Once(f, d) {
				rows += count(r.Scope == m.Meter.Scope && r.Why == "" && slices.Equal(r.Meters, []string{m.Meter.ID}) && r.Device == newIndex(d).name(device{m.Host, m.Meter.Device}))
			}
			if rows != 1 {
				t.Errorf("%s: %s of %s is counted %d times, want once", e.file, m.Meter.ID, m.Host, rows)
			}
		}
	}
}
