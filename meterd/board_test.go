package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

const t0 = clock.Stamp(1_800_000_000_000_000_000)

func counter(device string) power.Meter {
	return power.Meter{ID: "x/" + device + "/energy", Device: device, Scope: power.Accelerator,
		Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1}}
}

func instant(device string, scope power.Scope) power.Meter {
	return power.Meter{ID: "x/" + device + "/instant", Device: device, Scope: scope,
		Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}}
}

// batch holds one meter's raw values, one every 100 ms from t0 plus after.
func batch(seq uint64, after time.Duration, m power.Meter, raw ...int64) *power.Batch {
	b := &power.Batch{Host: "h", Run: "r1", Source: "x", Seq: seq, Meters: []power.Meter{m}}
	for i, n := range raw {
		b.Samples = append(b.Samples, power.Sample{Time: t0.Add(after + time.Duration(i)*100*time.Millisecond), Raw: n})
	}
	return b
}

func TestPresentPower(t *testing.T) {
	wrapping := counter("d")
	wrapping.Wrap = 100_000
	lost := batch(1, 0, instant("d", power.Accelerator), 300_000, 0)
	lost.Samples[1].Status = power.Lost
	tests := []struct {
		name  string
		batch *power.Batch
		want  string
	}{
		{"instant", batch(1, 0, instant("d", power.Accelerator), 300_000, 310_000), "310.0 W"},
		{"counter", batch(1, 0, counter("d"), 0, 40_000, 80_000), "400.0 W"},
		{"counter that changed long before the first read", batch(1, 0, counter("d"), 0, 10_000, 50_000, 90_000), "400.0 W"},
		{"counter that is read twice as often as it changes", batch(1, 0, counter("d"), 0, 0, 80_000, 80_000, 160_000, 160_000), "400.0 W"},
		{"counter that wraps", batch(1, 0, wrapping, 40_000, 80_000, 20_000), "400.0 W"},
		{"counter after a reset", batch(1, 0, counter("d"), 900_000, 0, 30_000), "300.0 W"},
		{"counter right after a reset", batch(1, 0, counter("d"), 800_000, 900_000, 10), "not yet"},
		{"one value of a counter", batch(1, 0, counter("d"), 5, 6), "not yet"},
		{"lost", lost, "lost"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBoard()
			b.take(test.batch)
			rows := b.rows(t0.Add(time.Second))
			if len(rows) != 1 {
				t.Fatalf("%d rows, want 1", len(rows))
			}
			if got := rows[0].figure(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestCounterLooksBackTwoSeconds(t *testing.T) {
	b := newBoard()
	var e int64
	for i := range 100 { // 100 W, then 500 W for the last 3 s
		step := int64(10_000)
		if i >= 70 {
			step = 50_000
		}
		e += step
		b.take(batch(uint64(i+1), time.Duration(i)*100*time.Millisecond, counter("d"), e))
	}
	if got, want := b.rows(t0.Add(10 * time.Second))[0].figure(), "500.0 W"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := len(b.meters[meterKey{"h", "x/d/energy"}].fresh); got > 22 {
		t.Errorf("%d readings kept, want about 2 s of them", got)
	}
}

func TestOneRowPerDeviceAndScope(t *testing.T) {
	b := newBoard()
	simulated := instant("b", power.Accelerator)
	simulated.Simulated = true
	for i, m := range []power.Meter{instant("a", power.Accelerator), counter("a"), simulated, instant("p", power.CPU), instant("fan", power.Component)} {
		b.take(batch(uint64(i+1), 0, m, 100_000, 200_000, 300_000))
	}
	rows := b.rows(t0.Add(time.Second))
	var got []string
	for _, r := range rows {
		got = append(got, strings.Join([]string{string(r.scope), r.device, r.quantity.String(), r.figure()}, " "))
	}
	want := []string{"accelerator a counter 1000.0 W", "accelerator b instant 300.0 W", "cpu p instant 300.0 W", "component fan instant 300.0 W"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	var sums []string
	for _, s := range totals(rows) {
		sums = append(sums, mark(s.simulated)+string(s.scope)+" "+s.String())
	}
	want = []string{"SIMULATED accelerator 1300.0 W from 2 of 2 devices", "cpu 300.0 W from 1 of 1 devices"}
	if diff := cmp.Diff(want, sums); diff != "" {
		t.Errorf("sums (-want +got):\n%s", diff)
	}
}

func TestStaleIsNotCounted(t *testing.T) {
	b := newBoard()
	b.take(batch(1, 0, instant("old", power.Node), 100_000))
	b.take(batch(2, 8*time.Second, instant("new", power.Node), 100_000))
	got := totals(b.rows(t0.Add(9 * time.Second)))[0].String()
	if want := "100.0 W from 1 of 2 devices, INCOMPLETE"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGaps(t *testing.T) {
	type step struct {
		run    string
		seq    uint64
		missed uint64
	}
	tests := []struct {
		name  string
		steps []step
		want  []string
	}{
		{"none", []step{{"a", 5, 0}, {"a", 6, 0}}, nil},
		{"before the watch", []step{{"a", 5, 7}, {"a", 6, 7}}, nil},
		{"ticks", []step{{"a", 5, 7}, {"a", 6, 9}}, []string{"gaps: x on h: 2 ticks missed"}},
		{"batches", []step{{"a", 5, 0}, {"a", 9, 0}}, []string{"gaps: x on h: 3 batches lost"}},
		{"a batch twice", []step{{"a", 5, 0}, {"a", 5, 0}, {"a", 6, 0}}, nil},
		{"restart", []step{{"a", 5, 1}, {"b", 2, 3}}, []string{"gaps: x on h: 3 ticks missed, 1 batches lost, 1 restarts"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := newBoard()
			for _, s := range test.steps {
				b.take(&power.Batch{Host: "h", Run: s.run, Source: "x", Seq: s.seq, Missed: s.missed})
			}
			if diff := cmp.Diff(test.want, b.gapLines()); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
		})
	}
}

// Every line that a simulated value has a part in says so, on paper and on the screen.
func TestSimulatedIsMarkedEverywhere(t *testing.T) {
	b := newBoard()
	m := counter("sim-0")
	m.Simulated = true
	b.take(batch(1, 0, m, 0, 40_000, 80_000))
	rows := b.rows(t0.Add(time.Second))
	var log, table bytes.Buffer
	plain(&log, t0.Time(), rows, nil)
	screen(&table, "nats://localhost", t0.Time(), rows, nil)
	for _, out := range []string{log.String(), table.String()} {
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			if strings.Contains(line, " W") && !strings.Contains(line, "SIMULATED ") {
				t.Errorf("not marked: %q", line)
			}
		}
		if !strings.Contains(out, "400.0 W") {
			t.Errorf("no power in\n%s", out)
		}
	}
	if first, _, _ := strings.Cut(table.String(), "\n"); !strings.HasPrefix(first, "SIMULATED ") {
		t.Errorf("heading %q is not marked", first)
	}
}

func TestFrame(t *testing.T) {
	got := frame("SIMULATED heading\n\nab\ncd\nef\n", 9, 5)
	want := "\x1b[HSIMULATED\x1b[K\n\x1b[K\nab\x1b[K\n... 2 mor\x1b[K\n\x1b[J"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
