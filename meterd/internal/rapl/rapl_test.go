package rapl

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

func now() clock.Stamp { return clock.At(time.Now()) }

// tree is a powercap tree in a directory.
type tree struct{ root string }

// server is a two-socket server as the kernel shows it, with the mmio duplicate and the control type's own directory.
func server(t *testing.T) tree {
	tr := tree{t.TempDir()}
	tr.put(t, "intel-rapl/enabled", "1")
	tr.zone(t, "intel-rapl:0", "package-0", 262_143_328_850)
	tr.zone(t, "intel-rapl:0:0", "dram", 65_712_999_613)
	tr.zone(t, "intel-rapl:1", "package-1", 262_143_328_850)
	tr.zone(t, "intel-rapl:1:0", "dram", 65_712_999_613)
	tr.zone(t, "intel-rapl:2", "psys", 0)
	tr.zone(t, "intel-rapl-mmio:0", "package-0", 262_143_328_850)
	tr.put(t, "intel-rapl:0/constraint_0_max_power_uw", "350000000")
	tr.put(t, "intel-rapl:0/constraint_0_power_limit_uw", "350000000")
	tr.put(t, "intel-rapl:0/constraint_1_power_limit_uw", "420000000")
	return tr
}

func (tr tree) path(name string) string { return filepath.Join(tr.root, "class", "powercap", name) }

func (tr tree) put(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(tr.path(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tr.path(name), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (tr tree) zone(t *testing.T, dir, name string, wrap int64) {
	tr.put(t, dir+"/name", name)
	tr.put(t, dir+"/energy_uj", "123456789")
	if wrap > 0 {
		tr.put(t, dir+"/max_energy_range_uj", fmt.Sprint(wrap))
	}
}

func (tr tree) open(t *testing.T) *Source {
	t.Helper()
	s, err := Open(tr.root, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	var tr tree
	energy := "intel-rapl:0/energy_uj"
	sourcetest.Run(t, sourcetest.Case{
		Open:  func(t *testing.T) sampler.Source { tr = server(t); return tr.open(t) },
		Reset: func(t *testing.T) { tr.put(t, energy, "17") },
		Lose: func(t *testing.T) {
			// An open file of a real device that went away gives ENODEV; in a directory, an empty file stands for it.
			if err := errors.Join(os.Truncate(tr.path(energy), 0), os.Remove(tr.path(energy))); err != nil {
				t.Fatal(err)
			}
		},
		Restore: func(t *testing.T) { tr.put(t, energy, "123456790") },
	})
}

func TestHardware(t *testing.T) {
	s, err := Open("/sys", now)
	sourcetest.RequireOrSkip(t, "rapl", err)
	s.Close()
	sourcetest.Run(t, sourcetest.Case{Open: func(t *testing.T) sampler.Source {
		s, err := Open("/sys", now)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}

// Each joule once: a socket is one CPU meter, its memory another scope, everything that overlaps them a component.
func TestMetersOfAServer(t *testing.T) {
	tr := server(t)
	tr.zone(t, "intel-rapl:0:1", "core", 0)
	tr.zone(t, "intel-rapl:3", "psys", 0)
	type row struct {
		ID, Device string
		Scope      power.Scope
		Wrap       int64
		Limit      power.Power
	}
	var got []row
	s := tr.open(t)
	defer s.Close()
	for _, m := range s.Meters() {
		got = append(got, row{m.ID, m.Device, m.Scope, m.Wrap, m.Limit})
	}
	want := []row{
		{"rapl/package-0/energy", "package-0", power.CPU, 262_143_328_850, 420 * power.Watt},
		{"rapl/package-0/dram/energy", "package-0/dram", power.Memory, 65_712_999_613, 0},
		{"rapl/package-0/core/energy", "package-0/core", power.Component, 0, 0},
		{"rapl/package-1/energy", "package-1", power.CPU, 262_143_328_850, 0},
		{"rapl/package-1/dram/energy", "package-1/dram", power.Memory, 65_712_999_613, 0},
		{"rapl/psys/energy", "psys", power.Component, 0, 0},
		{"rapl/psys@intel-rapl:3/energy", "psys", power.Component, 0, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOpenSaysWhyThereIsNothing(t *testing.T) {
	empty := tree{t.TempDir()}
	bare := tree{t.TempDir()}
	bare.put(t, "intel-rapl/enabled", "1")
	for name, tr := range map[string]tree{"no powercap": empty, "no zone": bare} {
		if _, err := Open(tr.root, now); !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), tr.root) {
			t.Errorf("%s: %v, want not available, with the place", name, err)
		}
	}
}

func TestBadTree(t *testing.T) {
	tr := tree{t.TempDir()}
	tr.put(t, "intel-rapl:0/energy_uj", "1") // and no name
	if _, err := Open(tr.root, now); err == nil || errors.Is(err, sampler.ErrUnavailable) {
		t.Errorf("a zone without a name: %v, want an error that is not absence", err)
	}
	tr = server(t)
	tr.put(t, "intel-rapl:1/energy_uj", "garbage")
	s := tr.open(t)
	defer s.Close()
	got, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range got {
		if want := s.meters[i].ID == "rapl/package-1/energy"; (x.Status == power.Failed) != want {
			t.Errorf("%s: status %d", s.meters[i].ID, x.Status)
		}
	}
}

func TestDeniedNamesTheFix(t *testing.T) {
	ordinary(t)
	tr := tree{t.TempDir()}
	for i := range 2 {
		zone := fmt.Sprintf("intel-rapl:%d", i)
		tr.zone(t, zone, fmt.Sprintf("package-%d", i), 1000)
		if err := os.Chmod(tr.path(zone+"/energy_uj"), 0); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(tr.root, now)
	var out strings.Builder
	fault.Report(&out, "meterd", err)
	if !errors.Is(err, sampler.ErrUnavailable) || !errors.Is(err, os.ErrPermission) || !strings.Contains(out.String(), "hint: ") {
		t.Fatalf("got %q, want not available, permission denied, and a hint", out.String())
	}
	if err := os.Chmod(tr.path("intel-rapl:0/energy_uj"), 0o400); err != nil {
		t.Fatal(err)
	}
	s := tr.open(t)
	defer s.Close()
	for range 2 {
		got, err := s.Read(t.Context(), nil)
		if err != nil || len(got) != 2 {
			t.Fatal(got, err)
		}
		if got[0].Status != power.OK || got[1].Status != power.Denied {
			t.Errorf("statuses %d and %d, want a value and a denial", got[0].Status, got[1].Status)
		}
	}
}

// ordinary takes from this test's thread the right of root to read any file. The thread ends with the test.
func ordinary(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	runtime.LockOSThread()
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		t.Skipf("read capabilities: %v", err)
	}
	sets[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	if err := unix.Capset(&head, &sets[0]); err != nil {
		t.Skipf("drop capabilities: %v", err)
	}
}

func BenchmarkRead(b *testing.B) {
	s, err := Open("/sys", now)
	sourcetest.RequireOrSkip(b, "rapl", err)
	defer s.Close()
	dst := make([]power.Sample, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context(), dst); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(s.meters)), "meters")
}
