package amdgpu

import (
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

const (
	pci0 = "0000:05:00.0"
	pci1 = "0000:26:00.0"
	pci2 = "0000:c1:00.0"
)

// server is a host with two MI300X and an MI355X whose baseboard has a meter.
func server(t testing.TB) *tree {
	tr := newTree(t)
	wave := load{120, 680, 730 * time.Millisecond}
	tr.plug("card1", pci0, "0x74a1", gpu{revision: "1.7", load: wave}, hwmonFiles("750"))
	tr.plug("card2", pci1, "0x74a1", gpu{revision: "1.9", load: wave}, hwmonFiles("750"))
	board := hwmonFiles("1400")
	board["board/baseboard_power"] = "2127"
	tr.plug("card10", pci2, "0x75a3", gpu{revision: "1.8", load: load{low: 900}}, board)
	return tr
}

func TestConformance(t *testing.T) {
	var tr *tree
	wave := load{120, 680, 730 * time.Millisecond}
	sourcetest.Run(t, sourcetest.Case{
		Open:    func(t *testing.T) sampler.Source { tr = server(t); return tr.open() },
		Now:     func() clock.Stamp { return tr.now() },
		Advance: func(_ *testing.T, d time.Duration) { tr.advance(d) },
		Step:    200 * time.Millisecond,
		Hide: func(*testing.T) {
			tr.gpus[pci0].change = func(b []byte) { binary.LittleEndian.PutUint16(b[10:], none16) }
		},
		Lose: func(*testing.T) { tr.unplug(pci1) },
		Restore: func(*testing.T) {
			tr.plug("card11", pci1, "0x74a1", gpu{revision: "1.9", load: wave}, hwmonFiles("750"))
		},
		Reset: func(*testing.T) { tr.gpus[pci2].since = tr.elapsed },
	})
}

// The real thing, where there is one.
func TestHardware(t *testing.T) {
	s, err := Open(t.Context(), Options{})
	sourcetest.RequireOrSkip(t, "amdgpu", err)
	must(t, s.Close())
	sourcetest.Run(t, sourcetest.Case{Open: func(t *testing.T) sampler.Source {
		s, err := Open(t.Context(), Options{})
		must(t, err)
		return s
	}})
}

func TestMeters(t *testing.T) {
	s := server(t).open()
	type row struct {
		ID, Device string
		Scope      power.Scope
		Limit      power.Power
	}
	var got []row
	for _, m := range s.Meters() {
		got = append(got, row{m.ID, m.Device, m.Scope, m.Limit})
	}
	want := []row{
		{"amdgpu/" + pci0 + "/energy", pci0, power.Accelerator, 750 * power.Watt},
		{"amdgpu/" + pci0 + "/socket", pci0, power.Accelerator, 750 * power.Watt},
		{"amdgpu/" + pci1 + "/energy", pci1, power.Accelerator, 750 * power.Watt},
		{"amdgpu/" + pci1 + "/socket", pci1, power.Accelerator, 750 * power.Watt},
		{"amdgpu/" + pci2 + "/energy", pci2, power.Accelerator, 1400 * power.Watt},
		{"amdgpu/" + pci2 + "/socket", pci2, power.Accelerator, 1400 * power.Watt},
		{"amdgpu/baseboard/power", "amd-baseboard", power.Component, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
	if len(s.Absent()) != 0 {
		t.Errorf("absent %q, want nothing", s.Absent())
	}
}

// Every revision gives the energy of the same physics, to the count, through real files.
func TestEveryRevisionToTheCount(t *testing.T) {
	for _, revision := range revisions() {
		tr := newTree(t)
		tr.plug("card0", pci0, "0x740f", gpu{revision: revision, load: load{90, 550, 370 * time.Millisecond}}, nil)
		s := tr.open()
		powerID := "amdgpu/" + pci0 + "/socket"
		if revision == "1.3" {
			powerID = "amdgpu/" + pci0 + "/average"
		}
		for range 20 {
			tr.advance(137 * time.Millisecond)
			got := tr.read(s)
			g := tr.gpus[pci0]
			if e := got["amdgpu/"+pci0+"/energy"]; e.Status != power.OK || uint64(e.Raw) != g.counts(tr.elapsed) {
				t.Fatalf("v%s: energy %+v, want %d counts", revision, e, g.counts(tr.elapsed))
			}
			if p := got[powerID]; p.Status != power.OK || p.Raw != g.load.watts(tr.elapsed) {
				t.Fatalf("v%s: power %+v, want %d W", revision, p, g.load.watts(tr.elapsed))
			}
		}
	}
}

// What is one socket is one device: the second die of an MI250X, partitions, connectors and other makers' cards are none.
func TestEachJouleOnce(t *testing.T) {
	tr := newTree(t)
	tr.plug("card0", pci0, "0x7408", gpu{revision: "1.3", load: load{low: 500}}, hwmonFiles("560"))
	tr.plug("card1", pci1, "0x7408", gpu{revision: "1.3"}, hwmonFiles("0")) // draws nothing of its own
	tr.plug("card2", "amdgpu_xcp.1", "0x7408", gpu{revision: "1.3", load: load{low: 500}}, nil)
	tr.plug("card3", pci2, "0x1111", gpu{revision: "1.3", load: load{low: 500}}, nil)
	tr.put(pci2, "vendor", "0x10de")
	must(t, os.MkdirAll(filepath.Join(tr.class(), "card0-DP-1"), 0o755))
	s := tr.open()
	devices := map[string]bool{}
	for _, m := range s.Meters() {
		devices[m.Device] = true
	}
	if got, want := slices.Collect(maps.Keys(devices)), []string{pci0}; !slices.Equal(got, want) {
		t.Errorf("devices %q, want %q", got, want)
	}
	if got := s.Absent(); len(got) != 1 || !strings.Contains(got[0], pci1+": second die") {
		t.Errorf("absent %q, want the second die", got)
	}
}

func TestSocketOfAnAPUIsAModule(t *testing.T) {
	tr := newTree(t)
	tr.plug("card0", pci0, "0x74a0", gpu{revision: "1.7", load: load{low: 500}}, nil)
	for _, m := range tr.open().Meters() {
		if m.Scope != power.Module {
			t.Errorf("%s has scope %s, want module", m.ID, m.Scope)
		}
	}
}

func TestWhatIsAbsentSaysWhy(t *testing.T) {
	ones := func(at, n int) func([]byte) {
		return func(b []byte) {
			for i := range n {
				b[at+i] = 0xff
			}
		}
	}
	watts := load{low: 300}
	tests := []struct {
		name, device string
		g            gpu
		files        map[string]string
		meters       []string // last parts
		absent       string
	}{
		{"no counter", "0x74a1", gpu{revision: "1.7", load: watts, change: ones(24, 8)}, nil, []string{"socket"}, "energy (gpu_metrics v1.7): unsupported"},
		{"no power", "0x74a1", gpu{revision: "1.7", load: watts, change: ones(10, 2)}, nil, []string{"energy"}, ""},
		{"nothing in the table", "0x74a1", gpu{revision: "1.7", load: watts, change: ones(4, 100)},
			map[string]string{"hwmon/hwmon3/power1_input": "300000000"}, []string{"socket"}, "unsupported"},
		{"unknown unit", "0x744c", gpu{revision: "1.3", load: watts}, nil, []string{"average"}, "unit of the counter in gpu_metrics v1.3 is not known for a pci-744c"},
		{"unknown revision", "0x74a1", gpu{revision: "1.4", load: watts, change: func(b []byte) { b[3] = 12 }},
			map[string]string{"hwmon/hwmon3/power1_input": "300000000"}, []string{"socket"}, "v1.12 is not known"},
		{"no table", "0x6860", gpu{load: watts}, nil, []string{"average"}, "no such file"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tr := newTree(t)
			files := map[string]string{"hwmon/hwmon3/name": "amdgpu"}
			maps.Copy(files, test.files)
			tr.plug("card0", pci0, test.device, test.g, files)
			s := tr.open()
			var got []string
			for _, m := range s.Meters() {
				got = append(got, filepath.Base(m.ID))
			}
			if diff := cmp.Diff(test.meters, got); diff != "" {
				t.Errorf("meters (-want +got):\n%s", diff)
			}
			if got := strings.Join(s.Absent(), "\n"); (got == "") != (test.absent == "") || !strings.Contains(got, test.absent) {
				t.Errorf("absent %q, want %q", got, test.absent)
			}
			for id, x := range tr.read(s) {
				if want := int64(300); x.Status != power.OK || !strings.HasSuffix(id, "energy") && power.Power(x.Raw)*scale(s, id) != power.Power(want)*power.Watt {
					t.Errorf("%s: %+v, want 300 W", id, x)
				}
			}
		})
	}
}

// scale returns what one count of a power meter is.
func scale(s *Source, id string) power.Power {
	for _, m := range s.Meters() {
		if m.ID == id {
			return power.Power(m.Scale.Num)
		}
	}
	return 0
}

// A table that turns bad while the card is there is a failure, not a value and not a loss.
func TestBadTableHasNoNumber(t *testing.T) {
	tr := server(t)
	s := tr.open()
	for name, change := range map[string]func([]byte){
		"revision": func(b []byte) { b[3] = 99 },
		"size":     func(b []byte) { b[0]++ },
		"negative": func(b []byte) { binary.LittleEndian.PutUint64(b[24:], 1<<63) },
	} {
		tr.gpus[pci0].change = change
		tr.advance(time.Second)
		got := tr.read(s)
		if x := got["amdgpu/"+pci0+"/energy"]; x.Status != power.Failed || x.Raw != 0 {
			t.Errorf("%s: %+v, want failed without a value", name, x)
		}
		if x := got["amdgpu/"+pci1+"/energy"]; x.Status != power.OK {
			t.Errorf("%s: the other card has %+v", name, x)
		}
	}
}

func TestBadAttributeHasNoNumber(t *testing.T) {
	tr := newTree(t)
	tr.plug("card0", pci0, "0x6860", gpu{load: load{low: 90}}, hwmonFiles("300"))
	s := tr.open()
	for _, text := range []string{"-1", "N/A", "12 W"} {
		tr.put(pci0, "hwmon/hwmon3/power1_average", text)
		if x := tr.read(s)["amdgpu/"+pci0+"/average"]; x.Status != power.Failed || x.Raw != 0 {
			t.Errorf("%q: %+v, want failed without a value", text, x)
		}
	}
}

// After a card is bound again its directory may belong to another one, whose joules are not its own.
func TestAReusedDirectoryIsNotTheSameCard(t *testing.T) {
	tr := server(t)
	s := tr.open()
	before := s.Meters()
	tr.unplug(pci0)
	tr.plug("card1", "0000:85:00.0", "0x74a1", gpu{revision: "1.7", load: load{low: 111}}, nil)
	for range 10 {
		tr.advance(300 * time.Millisecond)
		got := tr.read(s)
		if x := got["amdgpu/"+pci0+"/energy"]; x.Status != power.Lost || x.Raw != 0 {
			t.Fatalf("the card that is gone has %+v", x)
		}
	}
	if x := tr.read(s)["amdgpu/0000:85:00.0/socket"]; x.Raw != 111 {
		t.Errorf("the new card has %+v, want 111 W", x)
	}
	if len(before) != 7 || len(s.Meters()) != 9 {
		t.Errorf("%d meters before, %d after; the list that was returned must not change", len(before), len(s.Meters()))
	}
}

func BenchmarkRead(b *testing.B) {
	tr := newTree(b)
	for _, n := range []string{"0", "1", "2", "3", "4", "5", "6", "7"} {
		tr.plug("card"+n, "0000:0"+n+":00.0", "0x74a1", gpu{revision: "1.8", load: load{low: 500}}, nil)
	}
	s := tr.open()
	dst := make([]power.Sample, 0, len(s.Meters()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context(), dst); err != nil {
			b.Fatal(err)
		}
	}
}
