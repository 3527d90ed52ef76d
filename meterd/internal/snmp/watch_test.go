package snmp

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func TestRebootIsNoted(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	for range 5 {
		step(t, r, s)
	}
	r.reboot()
	r.change(func() { r.motors[0].total = 0 })
	samples := step(t, r, s)
	if samples[1].Status != power.OK || samples[1].Raw > 10 {
		t.Errorf("energy after a restart: %+v, want the counter as it is", samples[1])
	}
	if diff := cmp.Diff([]string{"reboot"}, noted(s, "event")); diff != "" {
		t.Error(diff)
	}
}

func TestUptimeThatWrapsIsNoReboot(t *testing.T) {
	for _, c := range []struct {
		before, now int64
		passed      time.Duration
		want        bool
	}{
		{100, 200, time.Second, false},
		{100, 100, time.Second, false},
		{1000, 5, time.Second, true},
		{1<<32 - 50, 50, time.Second, false},
		{1<<32 - 100_000, 50, 1000 * time.Second, false},
		{1<<32 - 100_000, 50, time.Second, true},
	} {
		if got := rebooted(c.before, c.now, c.passed); got != c.want {
			t.Errorf("%d, then %d after %v: %v, want %v", c.before, c.now, c.passed, got, c.want)
		}
	}
}

// Another device at the same address has meters of its own, and nothing that it says is the first one's.
func TestReplacedDevice(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	step(t, r, s)
	before := s.Meters()
	r.change(func() { r.motors = nil })
	r.load(t, strings.NewReplacer("PKE0000001", "PKE0000002", "|3600", "|1234").Replace(px))
	r.reboot()
	for i := range 200 {
		samples := step(t, r, s)
		if s.Meters()[0].Device == "PKE0000002/inlet-1" {
			if samples[0].Raw != 1234 {
				t.Errorf("the new device reads %d, want 1234", samples[0].Raw)
			}
			break
		}
		if samples[0].Status == power.OK {
			t.Fatalf("read %d: %+v is a value of the other device", i, samples[0])
		}
		if i == 199 {
			t.Fatal("the other device was not found")
		}
		time.Sleep(5 * time.Millisecond) // the search goes on in real time
	}
	if before[0].Device != "PKE0000001/inlet-1" {
		t.Errorf("the list that was returned before has changed: %q", before[0].Device)
	}
	if diff := cmp.Diff([]string{"replaced"}, noted(s, "event")); diff != "" {
		t.Error(diff)
	}
}

// After a restart a device may come up with less than it had; its meters stay, and say that they have no value.
func TestMetersStayAfterARestart(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	for range 5 {
		step(t, r, s)
	}
	r.reboot()
	r.set(t, pxEnergy)
	var found []string
	for range 300 { // the search begins half a minute after the restart, and goes on in real time
		step(t, r, s)
		if found = append(found, noted(s, "search")...); len(found) > 0 {
			break
		}
		time.Sleep(2 * time.Millisecond)
	}
	if diff := cmp.Diff([]string{"fewer_values"}, found); diff != "" {
		t.Error(diff)
	}
	if got := statuses(step(t, r, s)); !slices.Equal(got, []string{"ok", "unsupported"}) {
		t.Errorf("got %q", got)
	}
}
