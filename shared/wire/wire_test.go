package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// epoch is when the batches of the tests begin.
const epoch = clock.Stamp(1_790_000_000_000_000_000)

// host returns a canonical batch as a GPU host publishes it: per device an energy counter, an instant and a mean power
// that one call reads, every period, passes times.
func host(devices, passes int, period time.Duration) *power.Batch {
	r := rand.New(rand.NewPCG(1, 2))
	b := &power.Batch{
		Host: "gpu-01", Boot: "6c0f9a1e-7f0c-4f8a-9f4f-0d6b1a0f2c11", Run: "0190c1c2-aaaa", Source: "nvml", Seq: 7, Missed: 3,
		Clock: clock.State{
			Read: epoch + 123, Offset: -42, EstError: 1500, MaxError: 250_000, Synchronised: true, Epoch: epoch - 77_000_000_001,
		},
	}
	for d := range devices {
		device := fmt.Sprintf("GPU-%08x-1c2f-4e7a-8f00-%012x", 0x5f3c1000+d, d*7919)
		common := power.Meter{
			Device: device, Name: "NVIDIA H200", Scope: power.Accelerator, Scale: power.Scale{Num: 1000, Den: 1},
			Period: 100 * time.Millisecond, Limit: 700 * power.Watt, Accuracy: 0.05,
			PeriodFrom: power.Measured, DelayFrom: power.Publication, AccuracyFrom: power.Assumed,
		}
		for _, q := range []struct {
			name string
			q    power.Quantity
		}{{"energy", power.Counter}, {"instant", power.Instant}, {"average", power.Mean}} {
			m := common
			m.ID, m.Quantity, m.Model = "nvml/"+device+"/"+q.name, q.q, "nvml/GH100/"+q.name
			if q.q == power.Mean {
				m.Averaging, m.AveragingFrom = time.Second, power.Specification
			}
			b.Meters = append(b.Meters, m)
		}
		energy, watts := int64(8_123_456_789+d*1_000_003), int64(640_000)
		times := make([]power.Sample, passes)
		values := make([][3]int64, passes)
		for i := range passes {
			late := time.Duration(r.ExpFloat64()*40) * time.Microsecond
			times[i] = power.Sample{
				Time:   epoch.Add(time.Duration(i)*period + time.Duration(d)*300*time.Microsecond + late),
				Within: time.Duration(120+r.IntN(15)) * time.Microsecond,
			}
			watts += int64(r.NormFloat64() * 3000)
			energy += watts * period.Microseconds() / 1_000_000
			values[i] = [3]int64{energy, watts, watts + int64(r.NormFloat64()*500)}
		}
		for q := range 3 {
			for i, s := range times {
				s.Meter, s.Raw = 3*d+q, values[i][q]
				b.Samples = append(b.Samples, s)
			}
		}
	}
	return b
}

// oddities returns a canonical batch with everything that a normal one lacks.
func oddities() *power.Batch {
	return &power.Batch{
		Host: "hôst", Source: "x", Seq: math.MaxUint64, Missed: math.MaxUint64,
		Meters: []power.Meter{
			{ID: "without samples", Device: "d", Quantity: power.Held, Scale: power.Scale{Num: -1, Den: math.MinInt64}},
			{ID: "a/d/b/d", Device: "d", Scope: "new-scope", Wrap: math.MaxInt64, Period: -1, Accuracy: -1, Simulated: true, Buffered: true, GainPPM: -7, Step: math.MinInt64, Calibration: "réc"},
			{},
			{ID: "no device", Quantity: power.Counter, AccuracyFrom: power.Measured},
			{ID: strings.Repeat("long", 100) + "d", Device: "d"},
		},
		Samples: []power.Sample{
			{Meter: 1, Time: -maxMicros * 1000, Within: (maxMicros - 1) * 1000, Device: 1000, Raw: math.MaxInt64},
			{Meter: 1, Time: maxMicros * 1000, Status: power.Lost},
			{Meter: 1, Time: 0, Raw: math.MinInt64, Device: -5000},
			{Meter: 2, Status: power.Denied},
			{Meter: 2, Status: power.Denied},
			{Meter: 3, Time: epoch, Raw: 5}, // the same value again and again: columns that are empty or almost
			{Meter: 3, Time: epoch, Raw: 5},
			{Meter: 3, Time: epoch, Raw: 5},
			{Meter: 4, Time: epoch, Raw: -5},
			{Meter: 4, Time: epoch, Raw: -6},
			{Meter: 4, Time: epoch, Raw: -8, Status: power.OK},
		},
		Losses: []power.Loss{{Run: "r0", Source: "nvml", First: 4, Last: 9, Reason: power.LostQueue}, {Run: "r0", Source: "ipmi", First: 7, Reason: power.LostStop}},
		Notes: []power.Note{
			{}, {Time: epoch, Device: "d", Key: "power_limit_watts", Value: "700"}, {Time: -maxMicros * 1000, Key: "k", Value: "wörds"},
		},
	}
}

func TestRoundTrip(t *testing.T) {
	for name, b := range map[string]*power.Batch{
		"empty": {}, "host": host(8, 10, 100*time.Millisecond), "fast": host(1, 1000, time.Millisecond), "oddities": oddities(),
	} {
		t.Run(name, func(t *testing.T) {
			data, err := Encode(nil, b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b, got); diff != "" {
				t.Errorf("decoded batch differs (-encoded +decoded):\n%s", diff)
			}
		})
	}
}

func TestEncodeGroupsByMeter(t *testing.T) {
	const turns = 4
	for name, change := range map[string]func(b *power.Batch){
		"plain":         func(*power.Batch) {},
		"a late status": func(b *power.Batch) { s := &b.Samples[4*turns+3]; s.Status, s.Raw = power.Lost, 0 },
		"a device time": func(b *power.Batch) { b.Samples[5*turns+2].Device = epoch },
		"no last read":  func(b *power.Batch) { b.Samples = b.Samples[:len(b.Samples)-1] },
	} {
		want := host(2, turns, 100*time.Millisecond)
		change(want)
		mixed := *want
		mixed.Samples = nil
		for turn := range turns {
			for m := range want.Meters {
				if i := m*turns + turn; i < len(want.Samples) {
					mixed.Samples = append(mixed.Samples, want.Samples[i])
				}
			}
		}
		if got := mustEncode(t, &mixed); !bytes.Equal(got, mustEncode(t, want)) {
			t.Errorf("%s: samples in reading order are encoded otherwise than samples grouped by meter", name)
		}
	}
}

func TestEncodeAppends(t *testing.T) {
	var e Encoder
	for _, b := range []*power.Batch{host(3, 20, time.Millisecond), oddities(), {}, host(1, 1, time.Second)} {
		got, err := e.Encode([]byte("before"), b)
		if err != nil {
			t.Fatal(err)
		}
		if want := "before" + string(mustEncode(t, b)); string(got) != want {
			t.Error("an Encoder that is used again writes something else than a new one")
		}
	}
}

// What an Encoder keeps of the meters must not outlive them.
func TestEncoderForgetsOtherMeters(t *testing.T) {
	var e Encoder
	one, two := host(2, 3, time.Second), host(2, 3, time.Second)
	two.Meters[4].Name = "another"
	bad := *one
	bad.Meters = append(bad.Meters[:5:5], power.Meter{Quantity: 7})
	none := &power.Batch{}
	for i, b := range []*power.Batch{one, two, one, &bad, one, none, two, &bad, none} {
		got, err := e.Encode(nil, b)
		want, wantErr := Encode(nil, b)
		if !bytes.Equal(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("batch %d: an Encoder that is used again writes something else, or %v instead of %v", i, err, wantErr)
		}
	}
}

// The true time of a reading lies within Time ± Within; after rounding it must still.
func TestRoundingKeepsTruthCovered(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		s := power.Sample{Time: clock.Stamp(r.Int64N(4_000_000) - 2_000_000), Within: time.Duration(r.IntN(3000))}
		s.Time += clock.Stamp(r.IntN(2)) * epoch
		got := decoded(t, &power.Batch{Meters: make([]power.Meter, 1), Samples: []power.Sample{s}}).Samples[0]
		if got.Time%1000 != 0 || got.Within%1000 != 0 {
			t.Fatalf("%d ± %d: got %d ± %d, not whole microseconds", s.Time, s.Within, got.Time, got.Within)
		}
		if got.Time.Add(-got.Within) > s.Time.Add(-s.Within) || got.Time.Add(got.Within) < s.Time.Add(s.Within) {
			t.Fatalf("%d ± %d: got %d ± %d, which does not cover it", s.Time, s.Within, got.Time, got.Within)
		}
		if wide := got.Within - s.Within; wide >= 1500 {
			t.Fatalf("%d ± %d: got ± %d, wider than needed", s.Time, s.Within, got.Within)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		want  string
		batch power.Batch
	}{
		{"host: not UTF-8", power.Batch{Host: "\xff"}},
		{"run: 4097 bytes, limit 4096", power.Batch{Run: strings.Repeat("x", 4097)}},
		{"4097 meters, limit 4096", power.Batch{Meters: make([]power.Meter, 4097)}},
		{"samples, limit 1048576", power.Batch{Samples: make([]power.Sample, MaxSamples+1)}},
		{"sample 0 of meter 0: the batch has 0 meters", power.Batch{Samples: make([]power.Sample, 1)}},
		{"sample 0 of meter -1: the batch has 1 meters", batchOf(power.Sample{Meter: -1})},
		{"sample 0 of meter 0: time 0 ± -1 ns", batchOf(power.Sample{Within: -1})},
		{"sample 0 of meter 0: status 9: not known", batchOf(power.Sample{Status: 9})},
		{"out of range", batchOf(power.Sample{Time: math.MaxInt64})},
		{"out of range", batchOf(power.Sample{Within: math.MaxInt64})},
		{"out of range", batchOf(power.Sample{Device: math.MinInt64})},
		{"4097 losses, limit 4096", power.Batch{Losses: make([]power.Loss, 4097)}},
		{"loss 1: run: not UTF-8", power.Batch{Losses: []power.Loss{{}, {Run: "\xff"}}}},
		{"4097 notes, limit 4096", power.Batch{Notes: make([]power.Note, 4097)}},
		{"note 1: value: not UTF-8", power.Batch{Notes: []power.Note{{}, {Value: "\xff"}}}},
		{"note 0: time 9223372036854775807: out of range", power.Batch{Notes: []power.Note{{Time: math.MaxInt64}}}},
		{"meter 0: quantity 7: not known", power.Batch{Meters: []power.Meter{{Quantity: 7}}}},
		{"meter 0: origin 9: not known", power.Batch{Meters: []power.Meter{{DelayFrom: 9}}}},
		{`meter 0: device "d": no id`, power.Batch{Meters: []power.Meter{{Device: "d"}}}},
		{"meter 0: scope: not UTF-8", power.Batch{Meters: []power.Meter{{Scope: "\xff"}}}},
	} {
		got, err := Encode([]byte("x"), &c.batch)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if string(got) != "x" {
			t.Errorf("%s: dst came back as %q", c.want, got)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	b := host(8, 10, 100*time.Millisecond)
	var e Encoder
	dst := mustEncode(t, b)
	got := testing.AllocsPerRun(100, func() {
		var err error
		if dst, err = e.Encode(dst[:0], b); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations per batch, want 0", got)
	}
}

// A late subscriber needs no earlier batch, so descriptors travel in each. This pins what that costs.
func TestDescriptorsStayCompact(t *testing.T) {
	for _, c := range []struct{ passes, most int }{{0, 900}, {4, 1450}, {42, 4100}} {
		b := host(8, c.passes, 100*time.Millisecond)
		got := len(mustEncode(t, b))
		t.Logf("24 meters, %d samples: %d bytes", len(b.Samples), got)
		if got > c.most {
			t.Errorf("24 meters, %d samples: got %d bytes, want at most %d", len(b.Samples), got, c.most)
		}
	}
}

func batchOf(s ...power.Sample) power.Batch {
	return power.Batch{Meters: make([]power.Meter, 1), Samples: s}
}

func mustEncode(t testing.TB, b *power.Batch) []byte {
	t.Helper()
	data, err := Encode(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decoded(t testing.TB, b *power.Batch) *power.Batch {
	t.Helper()
	got, err := Decode(mustEncode(t, b))
	if err != nil {
		t.Fatal(errors.Join(err, fmt.Errorf("after encoding %+v", b)))
	}
	return got
}
