//go:build linux && cgo

package amdsmi

import (
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
		plug(t, s, w)
		other, err := amdgpu.Open(t.Context(), amdgpu.Options{SysRoot: s.dir, Now: s.time})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		a, b := s.Meters(), other.Meters()
		if len(a) != 2 || len(b) != 2 {
			t.Fatalf("%d and %d meters, want 2 and 2", len(a), len(b))
		}
		series := [2][]power.Sample{}
		for range 300 {
			s.advance(101 * time.Millisecond)
			plug(t, s, w)
			one, err1 := s.Read(t.Context(), nil)
			two, err2 := other.Read(t.Context(), nil)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			for i := range one {
				if a[i].Device != b[i].Device || a[i].Scope != b[i].Scope || a[i].Quantity != b[i].Quantity || a[i].Scale != b[i].Scale {
					t.Fatalf("%+v and %+v are not the same quantity of the same device", a[i], b[i])
				}
				if one[i].Status != power.OK || one[i].Raw != two[i].Raw || two[i].Status != power.OK {
					t.Fatalf("%s reads %+v, %s reads %+v", a[i].ID, one[i], b[i].ID, two[i])
				}
			}
			series[0], series[1] = append(series[0], one[0]), append(series[1], two[0])
		}
		begin, end := clock.Stamp(epoch+2*time.Second), clock.Stamp(epoch+30*time.Second)
		want := float64(w.nanojoules(time.Duration(end))-w.nanojoules(time.Duration(begin))) / 1e9
		for i, m := range []power.Meter{a[0], b[0]} {
			use := power.Between(m, series[i], begin, end)
			u := use.Uncertainty
			u.Gain = 0 // the stub has no gain error to cover
			if off := math.Abs(use.Energy.Joules()/want - 1); !use.Valid || off > u.Expanded() || u.Expanded() > 0.02 {
				t.Errorf("%s: %.2f J of %.2f J (%v), bound %.3f %%", m.ID, use.Energy.Joules(), want, use.Warnings, 100*u.Expanded())
			}
		}
	}
}

// plug writes the stub's GPU 0 as the driver shows it now: gpu_metrics v1.4, with the energy at 24 and the power at 10.
func plug(t *testing.T, s *stub, w wave) {
	t.Helper()
	now := time.Duration(s.time())
	b := make([]byte, 288)
	for i := range b {
		b[i] = 0xff
	}
	copy(b, []byte{288 & 0xff, 288 >> 8, 1, 4})
	binary.LittleEndian.PutUint16(b[10:], uint16(w.watts(now)))
	binary.LittleEndian.PutUint64(b[24:], uint64(w.counts(now)))
	device := filepath.Join("bus/pci/devices", pci(0))
	s.write(filepath.Join(device, "gpu_metrics"), b)
	s.write(filepath.Join(device, "vendor"), []byte("0x1002\n"))
	s.write("class/drm/version", []byte("drm\n"))
	card := s.path("class/drm/card0")
	if err := os.MkdirAll(card, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(s.path(device), filepath.Join(card, "device")); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
}
