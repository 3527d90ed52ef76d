package topology

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentwatt/shared/fault"
)

func TestParseReads(t *testing.T) {
	got := example(t, "reference.yaml")
	want := File{
		PUE: 1.25,
		Racks: []Rack{{Name: "r1", Delivers: AC, Inputs: []Input{
			{Device: "pdu-a/inlet-1", Feed: "A", Also: Names{"modbus-a/total"}, Outlets: Names{"pdu-a/outlet-[1-24]"}},
			{Device: "pdu-b/inlet-1", Feed: "B", Outlets: Names{"pdu-b/outlet-[1-24]"}},
			{Device: "shelf-1", FedBy: Names{"pdu-a/outlet-24", "pdu-b/outlet-24"}}}}},
		Nodes: []Node{
			{Name: "gpu[01-04]", Rack: "r1", Input: Names{"ipmi"}, Also: Names{"bmc-{name}"}, Supplies: 2,
				FedBy: Names{"pdu-a/outlet-[1-4]", "pdu-b/outlet-[1-4]"}, Accelerators: Members{Count: 8}},
			{Name: "gh01", Rack: "r1", Input: Names{"psu-1", "psu-2"}, Modules: []Module{{Device: "module-0",
				Also:         Names{"GPU-8a1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8a"},
				Accelerators: Members{Names: Names{"GPU-8a1f36c2-90d4-4b7e-a5f1-3c2d1e0f9b8a", "0009:01:00.0"}}}}}},
		Equipment: []Equipment{
			{Name: "switch-[1-2]", Rack: "r1", Measured: Names{"{name}"}, FedBy: Names{"pdu-a/outlet-[21-22]"}},
			{Name: "cooling", MaxWatts: 1200},
			{Name: "console", NotIncluded: "draws nothing during a run"}},
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("reference.yaml (-want +got):\n%s", d)
	}
}

func TestParseErrorsSayWhere(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", "t.yaml: it names no rack"},
		{"pue: 1.2\n", "t.yaml: it names no rack"},
		{"pue: 0.9\nnodes: [{name: a}]\n", "t.yaml:1:6: a PUE is at least 1"},
		{"pue: .nan\nnodes: [{name: a}]\n", "t.yaml:1:6: a PUE"},
		{"nodes:\n  - nam: a\n", `t.yaml:2:5: unknown field "nam"`},
		{"nodes:\n  - input: bmc\n", "t.yaml:2:10: a node needs its host's name"},
		{"nodes:\n  - name: gpu[1-\n", `t.yaml:2:11: a node needs its host's name: "gpu[1-" opens a range`},
		{"nodes:\n  - name: gpu[3-1]\n", "t.yaml:2:11: "},
		{"nodes:\n  - name: a\n    input: [bmc, [x]]\n", "t.yaml:3:18: a name or a list of names"},
		{"nodes:\n  - name: a\n    accelerators: 0\n", "t.yaml:3:19: 0 is not a number of accelerators"},
		{"nodes:\n  - name: a\n    supplies: -1\n", "t.yaml:3:15: -1 is not a number of power supplies"},
		{"nodes:\n  - name: a[1-8]\n    fed_by: p/outlet-[1-7]\n", "t.yaml:3:13: p/outlet-[1-7] stands for 7 names and a[1-8] for 8"},
		{"racks:\n  - inputs: [{device: a}]\n", "t.yaml:2:11: a rack needs one name"},
		{"racks:\n  - name: r\n    delivers: water\n", "t.yaml:3:15: a rack delivers ac or dc"},
		{"racks:\n  - name: r\n    inputs:\n      - {device: \"a[1-2]\", outlets: x}\n", "t.yaml:4:37: only an input of one device"},
		{"nodes:\n  - name: a\n    modules:\n      - {device: \"m[0-1]\", accelerators: [g]}\n", "t.yaml:4:42: write modules"},
		{"equipment:\n  - name: e\n", "t.yaml:2:9: equipment e needs one of"},
		{"equipment:\n  - {name: e, max_watts: 5, measured: x}\n", "t.yaml:2:5: equipment e needs one of"},
		{"nodes:\n  - name: a[1-4000]\n    accelerators: 4000\n", "t.yaml:1:6: it stands for 16004000 names"},
	} {
		_, err := Parse([]byte(c.text), "t.yaml")
		if err == nil || !strings.HasPrefix(err.Error(), "read topology: "+c.want) {
			t.Errorf("%q:\n got %v,\nwant read topology: %s...", c.text, err, c.want)
		}
		if fault.Code(err) != fault.Usage {
			t.Errorf("%q: exit code %d, want %d", c.text, fault.Code(err), fault.Usage)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    []string // nil: an error
	}{
		{"bmc", []string{"bmc"}},
		{"gpu[1-3]", []string{"gpu1", "gpu2", "gpu3"}},
		{"gpu[08-10]", []string{"gpu08", "gpu09", "gpu10"}},
		{"[a,b]-[1-2]", []string{"a-1", "a-2", "b-1", "b-2"}},
		{"0000:[1b,43]:00.0", []string{"0000:1b:00.0", "0000:43:00.0"}},
		{"p[1-2,5]/x", []string{"p1/x", "p2/x", "p5/x"}},
		{"[GPU-1]", []string{"GPU-1"}},
		{"", nil}, {"a[", nil}, {"a]", nil}, {"a[1-2", nil}, {"a[]", nil}, {"a[1,,2]", nil}, {"a[[1]]", nil}, {"a[2-1]", nil},
		{"a[1-99999]", nil}, {"[1-999][1-999]", nil}, {" a", nil}, {"a\x00", nil}, {strings.Repeat("a", 300), nil},
	} {
		got, err := expand(c.pattern)
		if (err != nil) != (c.want == nil) || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.pattern, got, err, c.want)
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct{ names, want []string }{
		{nil, nil},
		{[]string{"bmc"}, []string{"bmc"}},
		{[]string{"a", "a1"}, []string{"a", "a1"}},
		{[]string{"gpu10", "gpu9", "gpu8"}, []string{"gpu[8-10]"}},
		{[]string{"gpu08", "gpu10", "gpu09", "gpu12"}, []string{"gpu[08-10,12]"}},
		{[]string{"t01/m-0", "t01/m-1", "t02/m-0", "t02/m-1"}, []string{"t[01-02]/m-[0-1]"}},
		{[]string{"t1/m-0", "t1/m-1", "t2/m-0"}, []string{"t1/m-[0-1]", "t2/m-0"}},
		{[]string{"x12345678901234567890", "x12345678901234567891"}, []string{"x12345678901234567890", "x12345678901234567891"}},
	} {
		if got := fold(shuffled(c.names, random())); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.names, got, c.want)
		}
	}
}

// Whatever names are folded, the patterns stand for exactly those.
func TestFoldLosesNothing(t *testing.T) {
	r := random()
	for range 500 {
		var names []string
		for range r.IntN(30) {
			name := ""
			for range 1 + r.IntN(6) {
				name += string("ab/-0019"[r.IntN(8)])
			}
			names = append(names, name)
		}
		got := each(fold(names)...)
		slices.SortFunc(names, natural)
		slices.SortFunc(got, natural)
		if want := slices.Compact(names); !slices.Equal(got, want) {
			t.Fatalf("%q folds to %q, which stands for %q", want, fold(names), got)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct{ name, want string }{
		{"pdu-a/outlet-1", "pdu-a/outlet-1"}, {"pdu-a/oulet-2", "pdu-a/outlet-2"}, {"pdua/outlet-1", "pdu-a/outlet-1"}, {"switch", ""}, {"", ""},
	} {
		if got := nearest(c.name, []string{"pdu-a/outlet-2", "pdu-a/outlet-1", "pdu-b/inlet"}); got != c.want {
			t.Errorf("%q: got %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("nodes:\n  - name: gpu[01-02]\n    input: bmc\n    fed_by: \"p/outlet-[1-2]\"\n    modules: [{device: m, accelerators: 2}]\n")
	f.Add("racks:\n  - {name: r, delivers: dc, inputs: [{device: a, fed_by: b, outlets: c}, {device: b, fed_by: c}]}\n")
	f.Add("equipment:\n  - {name: \"s[1-2]\", measured: \"{name}/input\", rack: r}\n  - {name: e, max_watts: 1e3}\n")
	f.Add("nodes: [&a {name: !0 0}, *a]")
	d := nvl72()
	d.Meters = d.Meters[:20]
	f.Fuzz(func(t *testing.T, text string) {
		file, err := Parse([]byte(text), "t.yaml")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read topology: t.yaml:") {
				t.Errorf("error without a file: %v", err)
			}
			return
		}
		if file.size() > 2000 {
			return // it takes long, and shows nothing else
		}
		Check(file, d)
		Once(file, d)
		Balance(file, d, nil)
		if twice := ExpectedAll(file, d); !slices.IsSortedFunc(twice, natural) {
			t.Errorf("expected devices are not sorted: %q", twice)
		}
	})
}
