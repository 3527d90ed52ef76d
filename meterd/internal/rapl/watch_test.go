package rapl

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// A counter of 262 kJ wraps in 624 s at 420 W: reads 312 s apart cannot miss a wrap, and what is further apart is said.
func TestNotes(t *testing.T) {
	tr := server(t)
	at := clock.Stamp(1_780_000_000_000_000_000)
	s, err := Open(tr.root, func() clock.Stamp { at += 1000; return at })
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	type row struct{ Device, Key, Value string }
	read := func(after time.Duration) (rows []row) {
		t.Helper()
		at = at.Add(after)
		if _, err := s.Read(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		for _, n := range s.Notes(nil) {
			if n.Time <= 0 || n.Time > at {
				t.Errorf("%+v: not a time of this source", n)
			}
			rows = append(rows, row{n.Device, n.Key, n.Value})
		}
		return rows
	}
	want := []row{{"package-0", keyLimit, "350"}, {"package-0", keyWrap, "624"}, {"psys", keyWrap, "unknown"}}
	if diff := cmp.Diff(want, read(0)); diff != "" {
		t.Errorf("after the first read:\n%s", diff)
	}
	for _, c := range []struct {
		after time.Duration
		want  []row
	}{
		{time.Second, nil},
		{311 * time.Second, nil},
		{400 * time.Second, []row{{"", keyApart, "400"}}},
		{400 * time.Second, nil}, // said already
		{time.Second, nil},
		{313 * time.Second, []row{{"", keyApart, "313"}}},
	} {
		if diff := cmp.Diff(c.want, read(c.after)); diff != "" {
			t.Errorf("after %v:\n%s", c.after, diff)
		}
	}
	var dst []power.Note
	if n := testing.AllocsPerRun(100, func() { dst = s.Notes(dst[:0]) }); n != 0 || len(dst) != 0 {
		t.Errorf("%v allocations, %d notes in steady state", n, len(dst))
	}
}

// What a real counter does over its wrap and over a reset comes out of power.Between as energy and as a reset: the meter
// says enough to tell them apart.
func TestAWrapIsToldFromAReset(t *testing.T) {
	tr := server(t)
	s := tr.open(t)
	defer s.Close()
	m := s.Meters()[0]
	const watts, step = 300, 1_000_000_000
	begin := clock.Stamp(1_780_000_000_000_000_000)
	for _, c := range []struct {
		name  string
		start int64 // of the counter; the reset is after 60 s
		reset bool
		want  float64 // watts
		code  power.Code
	}{
		{"wrap", m.Wrap - 18_000_000_000, false, watts, power.Wrapped},
		{"reset", 100_000_000_000, true, watts, power.Reset},
	} {
		var samples []power.Sample
		for i := range int64(121) {
			raw := (c.start + i*watts*1_000_000) % m.Wrap
			if c.reset && i >= 60 {
				raw = (i - 60) * watts * 1_000_000
			}
			samples = append(samples, power.Sample{Time: begin + clock.Stamp(i*step), Raw: raw})
		}
		u := power.Between(m, samples, begin+step, begin+119*step)
		found := false
		for _, w := range u.Warnings {
			found = found || w.Code == c.code
		}
		if u.Mean.Watts() < 0.98*c.want || u.Mean.Watts() > 1.02*c.want || !found {
			t.Errorf("%s: %v, warnings %v; want %v W and %s", c.name, u.Mean, u.Warnings, c.want, c.code)
		}
	}
}

// Dies of one package have counters of their own; AMD's names are the same; where only the mmio way exists it is taken.
func TestOtherTrees(t *testing.T) {
	dies := tree{t.TempDir()}
	dies.zone(t, "intel-rapl:0", "package-0-die-0", 1000)
	dies.zone(t, "intel-rapl:1", "package-0-die-1", 1000)
	dies.zone(t, "intel-rapl:1:0", "dram", 1000)
	amd := tree{t.TempDir()}
	amd.zone(t, "intel-rapl:0", "package-0", 65_532_610_987)
	amd.zone(t, "intel-rapl:0:0", "core", 65_532_610_987)
	mmio := tree{t.TempDir()}
	mmio.zone(t, "intel-rapl-mmio:0", "package-0", 1000)
	both := tree{t.TempDir()}
	both.zone(t, "intel-rapl:0", "package-0", 1000)
	both.zone(t, "intel-rapl-mmio:0", "package-0", 1000)
	type row struct {
		ID    string
		Scope power.Scope
		Model string
	}
	for name, c := range map[string]struct {
		tree tree
		want []row
	}{
		"dies": {dies, []row{{"rapl/package-0-die-0/energy", power.CPU, "rapl/package"}, {"rapl/package-0-die-1/energy", power.CPU, "rapl/package"},
			{"rapl/package-0-die-1/dram/energy", power.Memory, "rapl/dram"}}},
		"AMD":           {amd, []row{{"rapl/package-0/energy", power.CPU, "rapl/package"}, {"rapl/package-0/core/energy", power.Component, "rapl/core"}}},
		"mmio alone":    {mmio, []row{{"rapl/package-0/energy", power.CPU, "rapl/package"}}},
		"mmio and MSRs": {both, []row{{"rapl/package-0/energy", power.CPU, "rapl/package"}}},
	} {
		s := c.tree.open(t)
		var got []row
		for _, m := range s.Meters() {
			got = append(got, row{m.ID, m.Scope, m.Model})
			if m.Period != time.Millisecond || m.PeriodFrom != power.Specification || m.Accuracy >= 0 {
				t.Errorf("%s: %+v: not what the registry says", name, m)
			}
		}
		s.Close()
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}
