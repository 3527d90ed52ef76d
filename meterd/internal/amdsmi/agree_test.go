//go:build linux && cgo

package amdsmi

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"agentwatt/meterd/internal/amdgpu"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The library and the driver's own table are two ways to one counter: for the same GPU they name the same Device and Scope, and
// give the same energy to the count, so that the join can compare them and counts the GPU once.
func TestBothWaysAgree(t *testing.T) {
	w := wave{120, 680, 730 * time.Millisecond}
	for _, version := range versions {
		s := openStub(t, version, "WAVE", w.env())
		s.plug(w)
		other, err := amdgpu.Open(t.Context(), amdgpu.Options{SysRoot: s.dir, Now: s.time})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		a, b := s.Meters(), other.Meters()
		if len(a) != 2 || len(b) != 2 {
			t.Fatalf("%d and %d meters, want 2 and 2", len(a), len(b))
		}
		for i := range a {
			if a[i].Device != b[i].Device || a[i].Scope != b[i].Scope || a[i].Quantity != b[i].Quantity || a[i].Scale != b[i].Scale {
				t.Errorf("%+v and %+v are not the same quantity of the same device", a[i], b[i])
			}
		}
		for range 25 {
			s.advance(101 * time.Millisecond)
			s.show(w)
			one, err1 := s.Read(t.Context(), nil)
			two, err2 := other.Read(t.Context(), nil)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for i := range one {
				if one[i].Status != power.OK || one[i].Raw != two[i].Raw || two[i].Status != power.OK {
					t.Fatalf("%s reads %+v, %s reads %+v", a[i].ID, one[i], b[i].ID, two[i])
				}
			}
		}
	}
}

// The energy that comes out of the whole path is the energy that the stub's GPU spent, within the stated uncertainty without the
// sensor's gain, since the stub has no gain error to cover.
func TestEnergyIsTheStubsEnergy(t *testing.T) {
	w := wave{120, 680, 730 * time.Millisecond}
	s := openStub(t, 26, "WAVE", w.env())
	var series []power.Sample
	for range 300 {
		s.advance(101 * time.Millisecond)
		got, err := s.Read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		series = append(series, got[0])
	}
	begin, end := clock.Stamp(epoch+1234*time.Millisecond), clock.Stamp(epoch+28789*time.Millisecond)
	want := float64(w.nanojoules(time.Duration(end))-w.nanojoules(time.Duration(begin))) / 1e9
	use := power.Between(s.Meters()[0], series, begin, end)
	u := use.Uncertainty
	u.Gain = 0
	off := use.Energy.Joules()/want - 1
	t.Logf("%.2f J of %.2f J, %+.4f %%, bound %.4f %%", use.Energy.Joules(), want, 100*off, 100*u.Expanded())
	if !use.Valid || math.Abs(off) > u.Expanded() || u.Expanded() > 0.02 {
		t.Errorf("%.2f J, want %.2f J: off by %.4f %%, bound %.4f %%, %v", use.Energy.Joules(), want, 100*off, 100*u.Expanded(), use.Warnings)
	}
}

// plug makes the stub's GPU 0 a card of the driver.
func (s *stub) plug(w wave) {
	s.t.Helper()
	device := filepath.Join("bus/pci/devices", pci(0))
	s.write(filepath.Join(device, "vendor"), []byte("0x1002\n"))
	card := s.path("class/drm/card0")
	if err := os.MkdirAll(card, 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(s.path(device), filepath.Join(card, "device")); err != nil {
		s.t.Fatal(err)
	}
	s.show(w)
}

// show writes what the driver would answer now: gpu_metrics v1.4, with the energy at 24 and the power at 10.
func (s *stub) show(w wave) {
	s.t.Helper()
	now := time.Duration(s.time())
	b := bytes.Repeat([]byte{0xff}, 288)
	copy(b, []byte{288 & 0xff, 288 >> 8, 1, 4})
	binary.LittleEndian.PutUint16(b[10:], uint16(w.watts(now)))
	binary.LittleEndian.PutUint64(b[24:], uint64(w.counts(now)))
	s.write(filepath.Join("bus/pci/devices", pci(0), "gpu_metrics"), b)
}
