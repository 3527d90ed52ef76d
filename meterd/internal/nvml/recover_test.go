//go:build linux && cgo

package nvml

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// events returns the notes under the key "event" since the last call, as "device event".
func (s *stub) events() (list []string) {
	for _, n := range s.Notes(nil) {
		if n.Key == "event" {
			list = append(list, strings.TrimSpace(n.Device+" "+n.Value))
		}
	}
	return list
}

func (s *stub) wantEvents(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.events()); diff != "" {
		s.t.Errorf("events (-want +got):\n%s", diff)
	}
}

// Whatever takes a GPU away, it is marked, said once, found again with a new handle, and counts on as the hardware does.
func TestGPUComesBack(t *testing.T) {
	tests := []struct {
		name, away, back string
		lost             int // of 2 GPUs
		events           []string
		again            []string
	}{
		{"reset", "lost 0", "reset 0 1000", 1, []string{uuid0 + " lost"}, []string{uuid0 + " back", uuid0 + " reset"}},
		{"lost and back, counter goes on", "lost 0", "", 1, []string{uuid0 + " lost"}, []string{uuid0 + " back"}},
		{"all lost", "lost 0\nlost 1", "", 2, []string{uuid0 + " lost", gpu(1) + " lost"},
			[]string{uuid0 + " back", gpu(1) + " back"}},
		{"driver reload", "unloaded 0", "reset 0 1000\nreset 1 1000", 2, []string{uuid0 + " lost", gpu(1) + " lost"},
			[]string{"driver_reload", uuid0 + " back", uuid0 + " reset", gpu(1) + " back", gpu(1) + " reset"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStub(t, "DEVICES", "2")
			meters := s.Meters()
			good := s.read()
			s.wantEvents()
			s.control(test.away + "\n")
			for range 3 * int(retryLost/time.Second) { // looked for three times meanwhile, in vain
				for i, x := range s.read() {
					lost := meters[i].Device == uuid0 || test.lost == 2
					if (x.Status == power.Lost) != lost || lost && x.Raw != 0 || x.Within < 0 {
						t.Fatalf("%s: %+v, want lost: %v", meters[i].ID, x, lost)
					}
				}
				s.advance(time.Second)
			}
			s.wantEvents(test.events...)
			s.control(test.back + "\n")
			s.advance(retryAtMost)
			back := s.read()
			for i, x := range back {
				if x.Status != power.OK || x.Raw == 0 {
					t.Errorf("%s: %+v, want a value", meters[i].ID, x)
				}
			}
			if reset := strings.Contains(test.back, "reset 0"); (back[0].Raw < good[0].Raw) != reset {
				t.Errorf("counter %d after %d, want a new start: %v", back[0].Raw, good[0].Raw, reset)
			}
			s.wantEvents(test.again...)
			if unsafe.SliceData(s.Meters()) != unsafe.SliceData(meters) {
				t.Error("the meters are the same, their slice is not: the batch would be cut for nothing")
			}
		})
	}
}

// A GPU that the library gives up is found when the library is started anew, after looks in vain; the other GPU's values stay.
func TestLibraryIsStartedAnewForOneGPU(t *testing.T) {
	s := openStub(t, "DEVICES", "2")
	s.control("lost 0\n")
	s.read()
	s.control("stuck 0\n")
	var back time.Duration
	for i := range 90 {
		x := s.read()
		if x[3].Status != power.OK {
			t.Fatalf("GPU 1: %+v", x[3])
		}
		if back == 0 && x[0].Status == power.OK {
			back = time.Duration(i) * time.Second
		}
		s.advance(time.Second)
	}
	if want := (0 + 5 + 10 + 20 + 30) * time.Second; back != want { // the fifth look
		t.Errorf("back after %v, want %v", back, want)
	}
	s.wantEvents(uuid0+" lost", uuid0+" back")
}

// Another GPU at the same place is another device, with meters of its own.
func TestReplacedGPU(t *testing.T) {
	s := openStub(t, "DEVICES", "2")
	old := s.Meters()
	was := slices.Clone(old)
	s.settle()
	s.control("uuid 0 7\n")
	s.settle()
	if got := s.Meters()[0].Device; got != gpu(7) {
		t.Errorf("device %s, want %s", got, gpu(7))
	}
	if got := s.Meters()[3].Device; got != gpu(1) {
		t.Errorf("the other device is %s, want %s", got, gpu(1))
	}
	if diff := cmp.Diff(was, old); diff != "" {
		t.Errorf("a slice of meters that was returned changed:\n%s", diff)
	}
	s.wantEvents(uuid0+" replaced", gpu(7)+" found")
}

// settle reads until every context was looked at once.
func (s *stub) settle() {
	for range 12 {
		s.read()
		s.advance(time.Second)
	}
}

// A GPU that goes without a word is lost, one that comes is found.
func TestCountChanges(t *testing.T) {
	s := openStub(t, "DEVICES", "2")
	s.settle()
	s.control("count 0 1\n")
	s.settle()
	got := s.read()
	if len(got) != 6 || got[0].Status != power.OK || got[3].Status != power.Lost {
		t.Errorf("got %+v, want GPU 1 lost", got)
	}
	s.wantEvents(gpu(1) + " lost")
	s.control("\n")
	s.settle()
	if got := s.read(); got[3].Status != power.OK {
		t.Errorf("got %+v, want GPU 1 back", got)
	}
	s.wantEvents(gpu(1) + " back")
}

// The library that is loaded stays what it is, so another driver version is the end of this source, with a hint.
func TestDriverOfAnotherVersion(t *testing.T) {
	s := openStub(t)
	s.read()
	s.control("unloaded 0\nchanged 0\n")
	s.read()
	s.control("changed 0\n")
	s.advance(retryAtMost)
	for range 2 {
		_, err := s.Read(t.Context(), nil)
		if !errors.Is(err, sampler.ErrGone) || !strings.Contains(fault.Advice(err), "restart meterd") {
			t.Errorf("got %v, want gone, with a hint", err)
		}
	}
}

// A change of MIG mode makes handles stale; the values stay those of the whole GPU.
func TestMIG(t *testing.T) {
	s := openStub(t, "DEVICES", "2")
	s.settle()
	s.Notes(nil)
	was := slices.Clone(s.devices)
	s.control("mig 1 1\n")
	s.settle()
	if s.devices[1] == was[1] {
		t.Error("GPU 1 was not found anew")
	}
	mig := map[string]string{}
	for _, n := range s.Notes(nil) {
		if n.Key == "mig" {
			mig[n.Device] = n.Value
		}
	}
	if diff := cmp.Diff(map[string]string{uuid0: "false", gpu(1): "true"}, mig); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	got := s.read()
	if len(s.Meters()) != 6 || len(got) != 6 || got[4].Raw != 410_000 {
		t.Errorf("%d meters, %+v; want 3 per GPU, and its power as before", len(s.Meters()), got)
	}
}
