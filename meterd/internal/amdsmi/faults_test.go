//go:build linux && cgo

package amdsmi

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"agentwatt/shared/power"
)

// Whatever one value answers, the others are not touched, and nothing that is not there turns into a number.
func TestFaults(t *testing.T) {
	tests := []struct {
		name, control string
		energy, watts power.Status
	}{
		{"none", "", power.OK, power.OK},
		{"energy marked absent", "noenergy 0", power.Unsupported, power.OK},
		{"power marked absent", "nopower 0", power.OK, power.Unsupported},
		{"energy not supported", "energy 0 2", power.Unsupported, power.OK},
		{"energy fails", "energy 0 7", power.Failed, power.OK},
		{"power fails", "power 0 30", power.OK, power.Failed},
		{"power not permitted", "power 0 10", power.OK, power.Denied},
		{"unknown error of one", "energy 0 4294967295", power.Failed, power.OK},
		{"GPU lost", "lost 0", power.Lost, power.Lost},
		{"files away", "vanished 0", power.Lost, power.Lost},
	}
	for _, version := range versions {
		for _, test := range tests {
			t.Run(fmt.Sprint(version, " ", test.name), func(t *testing.T) {
				s := openStub(t, version, "DEVICES", "2")
				s.control(test.control)
				s.advance(time.Second)
				got := s.read()
				for kind, want := range map[string]power.Status{"energy": test.energy, "socket": test.watts} {
					x := got["amdsmi/"+pci(0)+"/"+kind]
					if x.Status != want || (x.Raw == 0) != (want != power.OK) {
						t.Errorf("%s: %+v, want %v", kind, x, want)
					}
					if other := got["amdsmi/"+pci(1)+"/"+kind]; other.Status != power.OK || other.Raw == 0 {
						t.Errorf("%s of the other GPU: %+v", kind, other)
					}
				}
			})
		}
	}
}

// A lost GPU has values again after the library was started again, at most twice as late each time.
func TestLostGPUComesBack(t *testing.T) {
	s := openStub(t, 26, "DEVICES", "2")
	s.read()
	s.control("lost 1")
	s.advance(time.Second)
	id := "amdsmi/" + pci(1) + "/energy"
	restarts := 0
	for range 60 { // a minute: at 5, 15 and 35 s
		if got := s.read(); got[id].Status != power.Lost || got["amdsmi/"+pci(0)+"/energy"].Status != power.OK {
			t.Fatalf("read %v, want one GPU lost and the other not", got)
		}
		for _, n := range s.Notes(nil) {
			if n.Key == "library" {
				restarts++
			}
		}
		s.advance(time.Second)
	}
	if restarts != 3 {
		t.Errorf("the library was started %d times again in a minute, want 3", restarts)
	}
	s.control("")
	for range 40 {
		s.advance(time.Second)
		if s.read()[id].Status == power.OK {
			return
		}
	}
	t.Error("the GPU does not come back")
}

// A library that does not return costs one bounded read at a time and blames nobody for good.
func TestStuckLibrary(t *testing.T) {
	s := openStub(t, 26)
	s.read()
	s.control("hang 0")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if got, err := s.Read(ctx, nil); !errors.Is(err, context.Canceled) || got != nil {
		t.Errorf("cancelled while stuck: got %v, %v", got, err)
	}
	for _, x := range s.read() { // waits readLimit
		if x.Status != power.Failed || x.Raw != 0 {
			t.Errorf("while stuck: %+v, want failed", x)
		}
	}
	if got := s.Notes(nil); got != nil {
		t.Errorf("notes while stuck: %v", got)
	}
	s.control("")
	for id, x := range s.read() {
		if x.Status != power.OK {
			t.Errorf("%s after it: %+v", id, x)
		}
	}
}
