package snmp

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// watch reads once a second for a while and returns the values of the notes with a key.
func watch(t *testing.T, r *responder, s *Source, seconds int, key string) []string {
	t.Helper()
	var list []string
	for range seconds {
		step(t, r, s)
		list = append(list, noted(s, key)...)
	}
	return list
}

// A counter is compared with the power times the time. One count is so many watt-hours in truth; the profile says 1.
func TestEnergyCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		truth   float64 // watt-hours of a count
		begun   float64 // watt-hours of the next count that are there when the reads begin
		counts  bool
		seconds int
		want    []string
	}{
		{"agrees", 1, 0, true, 60, []string{"ok"}},
		{"counts kWh", 1000, 0, true, 3000, []string{"frozen", "kwh_as_wh"}},
		{"counts kWh, the first soon", 1000, 850, true, 3000, []string{"frozen", "kwh_as_wh"}},
		{"counts mWh", 0.001, 0, true, 5, []string{"wh_as_kwh"}},
		{"half", 2, 0, true, 120, []string{"mismatch"}},
		{"stands still", 1, 0, false, 60, []string{"frozen"}},
	} {
		r := serve(t, px)
		r.move(pxPower, pxEnergy, 1, c.truth, 3600)
		r.change(func() { r.motors[0].counts, r.motors[0].total = c.counts, r.motors[0].total+3600*c.begun })
		if got := watch(t, r, open(t, r), c.seconds, "energy_check"); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// What is known to be coarse or idle must not be blamed.
func TestEnergyCheckIsPatient(t *testing.T) {
	var p pair
	now := clock.Stamp(1e18)
	for _, c := range []struct {
		name  string
		watts power.Power
		worth power.Energy
	}{
		{"no load", 0, power.Energy(wattHour)},
		{"0.1 kWh counts", 3000 * power.Watt, power.Energy(wattHour) * 100},
	} {
		p = pair{}
		for range 1000 { // a quarter of an hour: less than 20 counts
			now = now.Add(time.Second)
			if got, _ := p.look(now, c.watts, 5, 1, c.worth); got != "" {
				t.Fatalf("%s: verdict %q", c.name, got)
			}
		}
	}
}

// A gap, a counter that starts again and a clock that stands still begin a new stretch instead of a verdict.
func TestEnergyCheckBeginsAnew(t *testing.T) {
	for name, spoil := range map[string]func(*clock.Stamp, *int64){
		"gap":   func(t *clock.Stamp, _ *int64) { *t = t.Add(time.Hour) },
		"reset": func(_ *clock.Stamp, n *int64) { *n = 0 },
		"still": func(t *clock.Stamp, _ *int64) { *t = t.Add(-time.Second) },
	} {
		var p pair
		now, count := clock.Stamp(1e18), int64(1000)
		for i := range 100 {
			now, count = now.Add(time.Second), count+1
			if i%8 == 7 { // never ten counts in a row
				spoil(&now, &count)
			}
			if got, _ := p.look(now, 3600*power.Watt, count, 1, power.Energy(wattHour)); got != "" {
				t.Errorf("%s: verdict %q", name, got)
			}
		}
	}
}

func TestApparentCheck(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	if got := watch(t, r, s, 5, "apparent_check"); !slices.Equal(got, []string{"ok"}) {
		t.Errorf("3700 VA for 3600 W: %q", got)
	}
	r.set(t, pxApparent+"|66|3000")
	if got := watch(t, r, s, 2, "apparent_check"); got != nil {
		t.Errorf("two polls of one answer each: %q, want patience", got)
	}
	if got := watch(t, r, s, 5, "apparent_check"); !slices.Equal(got, []string{"below_power"}) {
		t.Errorf("3000 VA for 3600 W: %q", got)
	}
}

func TestPhasesCheck(t *testing.T) {
	r := serve(t, read(t, "testdata/rnx.snmprec"))
	s := open(t, r)
	if got := watch(t, r, s, 5, "phases_check"); !slices.Equal(got, []string{"ok"}) {
		t.Errorf("phases that add up: %q", got)
	}
	r.set(t, "1.3.6.1.4.1.55108.1.3.1.1.7.1|2|100")
	if got := watch(t, r, s, 5, "phases_check"); !slices.Equal(got, []string{"mismatch"}) {
		t.Errorf("phases that do not: %q", got)
	}
}

// Nothing is said twice, and nothing at all in steady state.
func TestNotesOnce(t *testing.T) {
	r := pdu(t)
	s := open(t, r)
	for range 60 {
		step(t, r, s)
	}
	first := s.Notes(nil)
	got := map[string]string{}
	for _, n := range first {
		if _, ok := got[n.Key]; ok {
			t.Errorf("%s is said twice", n.Key)
		}
		got[n.Key] = n.Value
	}
	got["energy_to_power_ratio"] = ""
	want := map[string]string{
		"profile": "raritan-px2", "model": "PX2-2146", "serial": "PKE0000001", "firmware": "4.0.20", "apparent_check": "ok",
		"energy_check": "ok", "energy_to_power_ratio": "", "shortest_window_seconds": "200",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for range 60 {
		step(t, r, s)
	}
	if again := s.Notes(nil); len(again) > 0 {
		t.Errorf("in steady state: %v", again)
	}
	if n := testing.AllocsPerRun(10, func() { s.Notes(nil) }); n > 0 {
		t.Errorf("%v allocations by Notes in steady state", n)
	}
}

// The table of METHOD 6: worst-case error of one count, 0.5 %.
func TestShortestWindow(t *testing.T) {
	const wh = power.Energy(wattHour)
	for _, c := range []struct {
		count power.Energy
		power power.Power
		want  string
	}{
		{wh, 1700 * power.Watt, "7m4s"},
		{wh, 10_000 * power.Watt, "1m12s"},
		{wh, 33_000 * power.Watt, "22s"},
		{100 * wh, 1700 * power.Watt, "11h45m53s"},
		{1000 * wh, 33_000 * power.Watt, "6h3m38s"},
		{wh, 0, "0s"},
		{0, power.Watt, "0s"},
		{-wh, power.Watt, "0s"},
	} {
		if got := fmt.Sprint(ShortestWindow(c.count, c.power).Round(time.Second)); got != c.want {
			t.Errorf("%v J at %v W: got %s, want %s", c.count.Joules(), c.power.Watts(), got, c.want)
		}
	}
	if got := ShortestWindow(math.MaxInt64, 1); got != math.MaxInt64 {
		t.Errorf("a window that does not fit: %v", got)
	}
}
