//go:build linux && cgo

package nvml

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// rings returns the indexes of the meters that are rings.
func (s *stub) rings() (list []int) {
	for i, m := range s.Meters() {
		if strings.HasSuffix(m.ID, "ring") {
			list = append(list, i)
		}
	}
	return list
}

func TestRingIsOnlyReadIfWanted(t *testing.T) {
	if s := openStub(t, "MODULE", "1"); len(s.rings()) != 0 {
		t.Errorf("meters %+v, want no ring", s.Meters())
	}
}

func TestRingMeter(t *testing.T) {
	s := openStub(t, "RING", "1", "MODULE", "1")
	rings := s.rings()
	if len(rings) != 2 {
		t.Fatalf("%d rings, want those of the GPU and of its module", len(rings))
	}
	m := power.Meter{
		ID: "nvml/" + uuid0 + "/ring", Device: uuid0, Name: "STUB H200", Scope: power.Accelerator, Quantity: power.Instant, Scale: milli(),
		Period: 20 * time.Millisecond, PeriodFrom: power.Measured, Limit: 700 * power.Watt, Accuracy: -1, Model: "nvml/GH100/ring/unknown",
		Buffered: true,
	}
	module := m
	module.ID, module.Device, module.Scope = "nvml/module-0/module-ring", "module-0", power.Module
	module.Limit, module.Model = 1000*power.Watt, "nvml/GH100/module-ring/unknown"
	if diff := cmp.Diff([]power.Meter{m, module}, []power.Meter{s.Meters()[rings[0]], s.Meters()[rings[1]]}); diff != "" {
		t.Errorf("meters (-want +got):\n%s", diff)
	}
}

// Every sample of the ring comes once, in order, with the driver's own time on the host's clock, whatever the pace of the reads
// as long as the ring holds; what it dropped is a gap. All samples of one call have the time of that call.
func TestRingSamples(t *testing.T) {
	s := openStub(t, "RING", "1", "WAVE", "square 120 680 0.73")
	i := s.rings()[0]
	if before := of(s.read(), i); len(before) > 0 {
		t.Errorf("%d samples from before the opening", len(before))
	}
	energyBetween := square(120, 680, 0.73)
	var last clock.Stamp
	gaps := 0
	for _, pause := range []time.Duration{0, 100, 33, 1, 1000, 19, 40, 2000, 6000, 100, 100} {
		s.advance(pause * time.Millisecond)
		fresh := of(s.read(), i)
		if len(fresh) > 119 {
			t.Fatalf("%d samples after %v ms", len(fresh), pause)
		}
		for _, x := range fresh {
			if x.Status != power.OK || x.Time != s.time() || x.Device > x.Time || x.Device%clock.Stamp(20*time.Millisecond) != 0 {
				t.Fatalf("%+v at %v, want a value of the past, on a multiple of 20 ms", x, s.time())
			}
			if last != 0 && x.Device.Sub(last) != 20*time.Millisecond {
				gaps++
			}
			last = x.Device
			at := time.Duration(x.Device).Seconds()
			if want := (energyBetween(at) - energyBetween(at-0.02)) / 0.02 * 1000; math.Abs(float64(x.Raw)-want) > 1 {
				t.Fatalf("%d mW at %v s, want %.1f", x.Raw, at, want)
			}
		}
	}
	if gaps != 1 { // 6 s are more than the ring holds
		t.Errorf("%d gaps, want 1", gaps)
	}
	if lag := s.time().Sub(last); lag >= 20*time.Millisecond {
		t.Errorf("the last sample is %v old", lag)
	}
}

// Placed by the driver's time, the ring sees what the polled sensor cannot: a load in step with that one's refresh. Placed by the
// time of the call, as every other meter's samples are, it sees heaps, and power.Between says that it cannot be.
func TestRingEnergy(t *testing.T) {
	s := openStub(t, "RING", "1", "WAVE", "square 100 700 0.05")
	i := s.rings()[0]
	m, samples := s.Meters()[i], of(s.record(100*time.Millisecond, 32*time.Second), i)
	begin, end := clock.Stamp(epoch+1234*time.Millisecond), clock.Stamp(epoch+30789*time.Millisecond)
	joules := square(100, 700, 0.05)
	want := joules(time.Duration(end).Seconds()) - joules(time.Duration(begin).Seconds())
	use := power.Between(m, samples, begin, end)
	if off := use.Energy.Joules()/want - 1; !use.Valid || math.Abs(off) > 0.005 {
		t.Errorf("by the driver's time: %.1f J, want %.1f J; valid %v, %v", use.Energy.Joules(), want, use.Valid, use.Warnings)
	}
	m.Buffered = false
	use = power.Between(m, samples, begin, end)
	if !slices.ContainsFunc(use.Warnings, func(w power.Warning) bool { return w.Code == power.Implausible }) {
		t.Errorf("by the time of the call: warnings %v, want %s: several values at one time cannot be", use.Warnings, power.Implausible)
	}
}

func TestRingFaults(t *testing.T) {
	tests := []struct {
		name, control string
		want          []power.Status
	}{
		{"nothing new", "ring 0 1", nil},
		{"lost", "lost 0", []power.Status{power.Lost}},
		{"samples of the future", "future 0 1", []power.Status{power.Failed}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStub(t, "RING", "1")
			i := s.rings()[0]
			s.advance(100 * time.Millisecond)
			s.read()
			s.control(test.control + "\n")
			s.advance(100 * time.Millisecond)
			var got []power.Status
			for _, x := range of(s.read(), i) {
				got = append(got, x.Status)
				if x.Raw != 0 || x.Device != 0 {
					t.Errorf("%+v, want neither value nor device time", x)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("statuses (-want +got):\n%s", diff)
			}
			s.control("\n")
			s.advance(retryLost)
			s.read() // finds a lost GPU; its ring goes on from here
			s.advance(100 * time.Millisecond)
			for _, x := range of(s.read(), i) {
				if x.Status != power.OK {
					t.Errorf("%+v, want values again", x)
				}
			}
		})
	}
}

// A ring whose clock is not understood is not read.
func TestRingClock(t *testing.T) {
	s := openStub(t)
	for name, boot := range map[string]func() time.Duration{
		"ahead":  func() time.Duration { return s.uptime() + time.Minute },
		"behind": func() time.Duration { return s.uptime() - time.Minute },
		"none":   func() time.Duration { return 0 },
	} {
		t.Run(name, func(t *testing.T) {
			other, err := Open(t.Context(), Options{Library: filepath.Join(stubsAt(t), fullStub), Ring: true, Now: s.time, Boot: boot})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if got := strings.Join(other.Absent(), "\n"); len(other.Meters()) != 3 || !strings.Contains(got, "ring: the samples are not stamped with the time since boot") {
				t.Errorf("%d meters, absent %s; want no ring, and why", len(other.Meters()), got)
			}
		})
	}
}

func TestRingDoesNotAllocate(t *testing.T) {
	s := openStub(t, "RING", "1", "DEVICES", "4", "MODULE", "2", "CLOCK", "")
	dst := make([]power.Sample, 0, 4096)
	for range 10 {
		s.read()
	}
	if got := testing.AllocsPerRun(50, func() {
		if _, err := s.Read(t.Context(), dst); err != nil {
			t.Fatal(err)
		}
	}); got != 0 {
		t.Errorf("%v allocations per read, want 0", got)
	}
}

// The two clocks are read one after the other, so a read may place samples a little earlier than the one before did: what would go
// back in time is left out.
func TestRingJitter(t *testing.T) {
	tape := &tape{}
	now := clock.Stamp(epoch)
	one := []lib.Sample{{TimeStamp: 1_000_000}}
	two := []lib.Sample{{TimeStamp: 1_000_010}, {TimeStamp: 1_020_000}}
	taken, _ := tape.take(one, lib.VALUE_TYPE_UNSIGNED_INT, now, time.Second, 0, nil)
	taken, _ = tape.take(two, lib.VALUE_TYPE_UNSIGNED_INT, now, time.Second+50*time.Microsecond, 0, taken)
	want := []power.Sample{{Device: now}, {Device: now.Add(20*time.Millisecond - 50*time.Microsecond)}}
	if diff := cmp.Diff(want, taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
}

// Whatever is in a ring: what is taken of it goes up in the driver's time, in whole microseconds, none of it of the future, and never twice.
func FuzzRing(f *testing.F) {
	f.Add([]byte("\x00\x10\x20\x30\x40\x50\x60\x70\x80\x90"), int64(time.Hour), uint32(lib.VALUE_TYPE_UNSIGNED_INT))
	f.Add([]byte("\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x01"), int64(0), uint32(lib.VALUE_TYPE_DOUBLE))
	f.Fuzz(func(t *testing.T, b []byte, up int64, kind uint32) {
		elapsed := time.Duration(min(max(up, 0), int64(10*365*24*time.Hour)))
		var samples []lib.Sample
		for ; len(b) >= 3 && len(samples) < 200; b = b[3:] { // times around now, and a few anywhere
			x := lib.Sample{TimeStamp: micros(elapsed) + uint64(b[0])*20_000 - uint64(b[1])*20_000, SampleValue: [8]byte{b[2], b[1], b[0]}}
			if b[2] == 255 {
				x.TimeStamp = 1<<63 | uint64(b[0])
			}
			samples = append(samples, x)
		}
		judge(samples, elapsed)
		after := clock.Stamp(1_790_000_000_123_456_789)
		tape := &tape{}
		var taken []power.Sample
		for range 2 {
			taken, _ = tape.take(samples, lib.ValueType(kind), after, elapsed, 3, taken)
		}
		for i, x := range taken {
			if x.Device <= 0 || x.Device%1000 != 0 || x.Device > after.Add(clockWithin) || i > 0 && x.Device <= taken[i-1].Device || x.Raw < 0 || x.Meter != 3 {
				t.Fatalf("sample %d of %+v", i, taken)
			}
		}
	})
}

func BenchmarkReadRing(b *testing.B) {
	s := openStub(b, "RING", "1", "DEVICES", "8", "CONTROL", "")
	dst := make([]power.Sample, 0, 4096)
	for range 10 {
		s.read()
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Read(b.Context(), dst); err != nil {
			b.Fatal(err)
		}
	}
}
