//go:build linux && cgo

package amdsmi

import (
	"context"
	"errors"
	"fmt"
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
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

func TestConformance(t *testing.T) {
	for _, version := range versions {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			var s *stub // the one that Open returned last
			sourcetest.Run(t, sourcetest.Case{
				Open: func(t *testing.T) sampler.Source {
					var err error
					if s, err = tryStub(t, version, "DEVICES", "3", "WAVE", "120 680 730", "BOARD", "2127"); err != nil {
						t.Fatal(err)
					}
					return s
				},
				Now:     func() clock.Stamp { return s.time() },
				Advance: func(t *testing.T, d time.Duration) { s.advance(d) },
				Hide:    func(*testing.T) { s.control("noenergy 0") },
				Lose:    func(*testing.T) { s.control("lost 1") },
				Restore: func(*testing.T) { s.control("") },
				Reset:   func(*testing.T) { s.control("reset 2 999000") },
				Step:    200 * time.Millisecond,
				Steps:   60, // a lost GPU is looked for after 5 s
			})
		})
	}
}

// The real thing, where there is one.
func TestHardware(t *testing.T) {
	s, err := Open(t.Context(), Options{})
	sourcetest.RequireOrSkip(t, "amdsmi", err)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sourcetest.Run(t, sourcetest.Case{Open: func(t *testing.T) sampler.Source {
		s, err := Open(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}

// Every layout gives the values of the same physics: energy to the count, power to the watt.
func TestEveryLayoutToTheCount(t *testing.T) {
	w := wave{90, 550, 370 * time.Millisecond}
	for _, version := range versions {
		for _, kind := range []string{"current", "average"} {
			t.Run(fmt.Sprint(version, " ", kind), func(t *testing.T) {
				s := openStub(t, version, "WAVE", w.env(), "POWER", kind)
				id := "amdsmi/" + pci(0) + "/" + map[string]string{"current": "socket", "average": "average"}[kind]
				for range 20 {
					s.advance(137 * time.Millisecond)
					got, now := s.read(), time.Duration(s.time())
					if e := got["amdsmi/"+pci(0)+"/energy"]; e.Status != power.OK || e.Raw != w.counts(now) || e.Device != 0 {
						t.Fatalf("energy %+v, want %d counts", e, w.counts(now))
					}
					if p := got[id]; p.Status != power.OK || p.Raw != w.watts(now) || len(got) != 2 {
						t.Fatalf("%v, want %s of %d W", got, id, w.watts(now))
					}
				}
			})
		}
	}
}

func TestMeters(t *testing.T) {
	s := openStub(t, 27, "CHIP", "0x75a3", "DEVICES", "2", "BOARD", "2127")
	type row struct {
		ID, Device, Name string
		Scope            power.Scope
		Limit            power.Power
	}
	var got []row
	for _, m := range s.Meters() {
		got = append(got, row{m.ID, m.Device, m.Name, m.Scope, m.Limit})
	}
	const name = "AMD Instinct STUB"
	want := []row{
		{"amdsmi/0000:05:00.0/energy", pci(0), name, power.Accelerator, 750 * power.Watt},
		{"amdsmi/0000:05:00.0/socket", pci(0), name, power.Accelerator, 750 * power.Watt},
		{"amdsmi/baseboard/power", "amd-baseboard", "AMD baseboard", power.Component, 0}, // once, though both GPUs report it
		{"amdsmi/0000:06:00.0/energy", pci(1), name, power.Accelerator, 750 * power.Watt},
		{"amdsmi/0000:06:00.0/socket", pci(1), name, power.Accelerator, 750 * power.Watt},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
	if board := s.read()["amdsmi/baseboard/power"]; board.Raw != 2127 {
		t.Errorf("baseboard %+v, want 2127 W", board)
	}
}

// One device per socket: partitions and second dies have no meters, and an MI300A is a module.
func TestEachJouleOnce(t *testing.T) {
	tests := []struct {
		name    string
		env     []string
		devices []string
		scope   power.Scope
		absent  string
	}{
		{"partitions", []string{"DEVICES", "2", "PARTITIONS", "8"}, []string{pci(0), pci(1)}, power.Accelerator, ""},
		{"pairs", []string{"DEVICES", "4", "PAIRS", "1", "POWER", "average", "CHIP", "0x7408"}, []string{pci(0), pci(2)}, power.Accelerator,
			pci(1) + ": second die"},
		{"APU", []string{"CHIP", "0x74a0"}, []string{pci(0)}, power.Module, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStub(t, 26, test.env...)
			devices := map[string]bool{}
			for _, m := range s.Meters() {
				devices[m.Device] = true
				if m.Scope != test.scope {
					t.Errorf("%s has scope %s, want %s", m.ID, m.Scope, test.scope)
				}
			}
			if got := slices.Sorted(maps.Keys(devices)); !slices.Equal(got, test.devices) || len(s.Meters()) != 2*len(got) {
				t.Errorf("devices %q with %d meters, want %q with two each", got, len(s.Meters()), test.devices)
			}
			if got := strings.Join(s.Absent(), "\n"); (got == "") != (test.absent == "") || !strings.Contains(got, test.absent) {
				t.Errorf("absent %q, want %q", got, test.absent)
			}
		})
	}
}

func TestAbsent(t *testing.T) {
	tests := []struct {
		name, control string
		env           []string
		meters        []string
		absent        string
	}{
		{"no counter", "noenergy 0", nil, []string{"socket"}, "energy: not supported"},
		{"counter fails for good", "energy 0 3", nil, []string{"socket"}, "energy: not supported"},
		{"counter fails now", "energy 0 30", nil, []string{"energy", "socket"}, ""},
		{"power fails", "power 0 7", nil, []string{"energy"}, "power: AMD SMI status 7"},
		{"no power", "nopower 0", nil, []string{"energy"}, "power: not supported"},
		{"unknown unit", "", []string{"CHIP", "0x744c", "METRICS", "3", "POWER", "average"}, []string{"average"}, "unit of the counter is not known for a pci-744c"},
		{"known unit of an unknown GPU", "", []string{"CHIP", "0x7fff"}, []string{"energy", "socket"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			control := filepath.Join(t.TempDir(), "control")
			if err := os.WriteFile(control, []byte(test.control+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s := openStub(t, 25, append(test.env, "CONTROL", control)...)
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
		})
	}
}

func TestUnavailable(t *testing.T) {
	tests := []struct {
		name    string
		version int
		env     []string
		want    string
		hint    string
	}{
		{"no driver", 26, []string{"INIT", "34"}, "driver not loaded", "render and video"},
		{"no GPU", 26, []string{"DEVICES", "0"}, "sees no GPU", ""},
		{"newer", 27, []string{"VERSION", "28 0 0 0"}, "version 28.0.0 is not known", "known version"},
		{"between the layouts", 25, []string{"VERSION", "25 1 0 0"}, "version 25.1.0 is not known", "known version"},
		{"before the layouts", 24, []string{"VERSION", "23 2 0 0"}, "version 23.2.0 is not known", "known version"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := tryStub(t, test.version, test.env...)
			if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), test.want) || !strings.Contains(fault.Advice(err), test.hint) {
				t.Errorf("got %v (hint %q), want it to be unavailable with %q and %q", err, fault.Advice(err), test.want, test.hint)
			}
		})
	}
}

func TestNotALibrary(t *testing.T) {
	for _, test := range []struct{ name, path, want string }{
		{"no such file", "/nonexistent/libamd_smi.so.26", "/nonexistent/libamd_smi.so.26: cannot open"},
		{"another library", "libc.so.6", "libc.so.6 has no symbol amdsmi_init"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Open(t.Context(), Options{Library: test.path})
			if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), test.want) || !strings.Contains(fault.Advice(err), "amd-smi-lib") {
				t.Errorf("got %v (hint %q), want it to be unavailable with %q", err, fault.Advice(err), test.want)
			}
		})
	}
}

// The program starts without ROCm, and says what to do about it.
func TestNoLibrary(t *testing.T) {
	s, err := Open(t.Context(), Options{})
	if err == nil {
		s.Close()
		t.Skip("SKIPPED: there is a libamd_smi on this host")
	}
	if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), "amd_smi") || fault.Advice(err) == "" {
		t.Errorf("got %v (hint %q), want it to be unavailable with a hint", err, fault.Advice(err))
	}
}

func TestNotes(t *testing.T) {
	s := openStub(t, 26)
	check := func(what string, want ...string) {
		t.Helper()
		s.read()
		var got []string
		for _, n := range s.Notes(nil) {
			got = append(got, strings.TrimSpace(n.Device+" "+n.Key+" "+n.Value))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("at first", "library_version 26.1.0", "library_layout 26", "driver_version 6.12.12", pci(0)+" library_resolution_microjoules 15.3",
		pci(0)+" uuid 7eff74a1-0000-1000-80ae-000000000000", pci(0)+" power_limit_watts 750", pci(0)+" partition_mode SPX")
	s.advance(10 * time.Second)
	check("nothing new")
	s.control(fmt.Sprintf("cap 0 500\nmode 0\nfrozen 0 %d", s.elapsed.Load()/1e6))
	s.advance(5 * time.Second)
	check("changed", pci(0)+" energy_counter frozen", pci(0)+" power_limit_watts 500", pci(0)+" partition_mode CPX")
	s.control("cap 0 500\nmode 0")
	s.advance(time.Second)
	check("counting again", pci(0)+" energy_counter counting")
}

func TestCancelled(t *testing.T) {
	s := openStub(t, 26)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := s.Read(ctx, nil); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("got %v, %v; want nothing, cancelled", got, err)
	}
	if _, err := Open(ctx, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("open: got %v, want cancelled", err)
	}
}

func BenchmarkRead(b *testing.B) {
	s := openStub(b, 26, "DEVICES", "8", "CONTROL", "")
	dst := make([]power.Sample, 0, len(s.Meters()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context(), dst); err != nil {
			b.Fatal(err)
		}
	}
}
