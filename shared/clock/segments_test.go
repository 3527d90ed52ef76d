package clock

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// world is what the kernel says of its clocks: the boundary at which tests stand in for it.
type world struct {
	ahead        time.Duration // of the wall clock before what it was
	asleep       time.Duration
	synchronised bool
	err          error // of adjtimex
}

// segmentsIn makes segments on the world's clocks, which tell their changes to the returned slice.
func segmentsIn(w *world) (*Segments, *[]Segment) {
	s := NewSegments("RUN")
	var told []Segment
	s.Changed = func(x Segment) { told = append(told, x) }
	s.Wall = func(t time.Time) Stamp { return At(t).Add(w.ahead) }
	s.Asleep = func() (time.Duration, error) { return w.asleep, nil }
	s.State = func(c *Clock) (State, error) {
		if w.err != nil {
			return State{}, w.err
		}
		return State{Read: c.Now(), Synchronised: w.synchronised, Epoch: 1000}, nil
	}
	return s, &told
}

func TestSegmentsBegin(t *testing.T) {
	type change struct {
		Run          string
		Why          Cause
		Step, Asleep time.Duration
		Synchronised bool
	}
	const ms = time.Millisecond
	tests := []struct {
		name string
		do   []func(*world) // one a second, before the look of that second
		want []change
	}{
		{"nothing happens", []func(*world){nil, nil, nil}, nil},
		{"a step forward", []func(*world){nil, func(w *world) { w.ahead = 250 * ms }, nil},
			[]change{{"RUN.2", Stepped, 250 * ms, 0, true}}},
		{"a step back over hours", []func(*world){nil, func(w *world) { w.ahead = -3 * time.Hour }, nil},
			[]change{{"RUN.2", Stepped, -3 * time.Hour, 0, true}}},
		{"less than the limit", []func(*world){nil, func(w *world) { w.ahead = 5 * ms }, nil}, nil},
		{"small ones add up", []func(*world){nil, func(w *world) { w.ahead = 4 * ms }, func(w *world) { w.ahead = 8 * ms }, nil},
			[]change{{"RUN.2", Stepped, 8 * ms, 0, true}}},
		{"there and back", []func(*world){nil, func(w *world) { w.ahead = time.Second }, func(w *world) { w.ahead = 0 }},
			[]change{{"RUN.2", Stepped, time.Second, 0, true}, {"RUN.3", Stepped, -time.Second, 0, true}}},
		{"synchronisation goes and comes", []func(*world){nil, func(w *world) { w.synchronised = false }, nil, func(w *world) { w.synchronised = true }},
			[]change{{"RUN.2", Lost, 0, 0, false}, {"RUN.3", Regained, 0, 0, true}}},
		{"both at once are one", []func(*world){func(w *world) { w.synchronised = false }, func(w *world) { w.ahead, w.synchronised = time.Second, true }},
			[]change{{"RUN.2", Stepped, time.Second, 0, true}}},
		{"a suspend", []func(*world){nil, func(w *world) { w.ahead, w.asleep = time.Minute, time.Minute }, nil},
			[]change{{"RUN.2", Slept, time.Minute, time.Minute, true}}},
		{"suspended before the start", []func(*world){func(w *world) { w.asleep = time.Hour }, nil}, nil},
		{"the kernel does not say", []func(*world){nil, func(w *world) { w.err = errors.ErrUnsupported }, nil,
			func(w *world) { w.err, w.synchronised = nil, false }, nil}, []change{{"RUN.2", Lost, 0, 0, false}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{synchronised: true}
				s, told := segmentsIn(w)
				first := s.Current()
				before := s.Now()
				for _, do := range tt.do {
					if do != nil {
						do(w)
					}
					s.Look()
					time.Sleep(time.Second)
				}
				var got []change
				for _, x := range *told {
					got = append(got, change{x.Run, x.Why, x.Step, x.Asleep, x.Synchronised})
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("segments (-want +got):\n%s", diff)
				}
				if (s.Current() == first) != (len(tt.want) == 0) {
					t.Error("the pointer to the segment does not say whether there was a change")
				}
				if got, want := s.Now().Sub(before), time.Duration(len(tt.do))*time.Second; got != want {
					t.Errorf("the process's clock moved by %v in %v", got, want)
				}
				if wall := At(time.Now()).Add(w.ahead); len(tt.want) > 0 {
					if off := s.Current().Stamp(s.Now()).Sub(wall); off < -stepLimit || off > stepLimit {
						t.Errorf("the segment's clock is %v off the wall clock", off)
					}
				}
			})
		})
	}
}

// One moment has one place on the axis of its boot, whichever segment stamps it.
func TestSegmentsCompareByEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		s, _ := segmentsIn(w)
		s.Look()
		first := s.Current()
		w.ahead = 7*time.Second + 1234*time.Nanosecond
		s.Look()
		second := s.Current()
		now, k := s.Now(), s.Kernel()
		a, b := first.Stamp(now).Sub(first.State(k).Epoch), second.Stamp(now).Sub(second.State(k).Epoch)
		if a != b {
			t.Errorf("the same moment is %v after the boot in one segment, %v in the other", a, b)
		}
		if second.Stamp(0) != 0 || second.State(State{}).Read != 0 {
			t.Error("what is not known became a stamp")
		}
		if d := second.Stamp(now) - first.Stamp(now); d%Stamp(time.Microsecond) != 0 || !second.Moved() || first.Moved() {
			t.Errorf("the segments are %d ns apart, want whole microseconds", d)
		}
	})
}

func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{synchronised: true}
		s, told := segmentsIn(w)
		s.Look()
		w.ahead = time.Second
		s.Look()
		before := s.Current().Stamp(s.Now())
		got := s.Renew()
		if got.Run != "RUN.3" || got.Why != Renewed || got.Step != 0 || !got.Synchronised || got.Stamp(s.Now()) != before || *s.Current() != got {
			t.Errorf("got %+v", got)
		}
		if s.Look(); len(*told) != 2 || (*told)[1] != got {
			t.Errorf("told %+v", *told)
		}
	})
}

func TestWatchLooksOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		s, told := segmentsIn(w)
		var looks atomic.Int64
		inner := s.State
		s.State = func(c *Clock) (State, error) { looks.Add(1); return inner(c) }
		ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		s.Watch(ctx)
		if got := looks.Load(); got != 10 || len(*told) != 0 {
			t.Errorf("%d looks and %d segments in 9.5 s, want 10 and 0", got, len(*told))
		}
	})
}

// A state that may not be read is trouble, not a state; the epoch needs no permission.
func TestKernelMayNotBeRead(t *testing.T) {
	w := &world{err: os.ErrPermission}
	s, _ := segmentsIn(w)
	k := s.Kernel()
	if k.Read != 0 || k.Synchronised || !errors.Is(s.Trouble(), os.ErrPermission) {
		t.Errorf("got %+v, trouble %v", k, s.Trouble())
	}
	if epoch, err := s.clock.Epoch(); err == nil && (k.Epoch != epoch || epoch == 0) {
		t.Errorf("epoch %v, want %v", k.Epoch, epoch)
	}
	w.err = nil
	if s.Kernel(); s.Trouble() != nil {
		t.Errorf("trouble that is over: %v", s.Trouble())
	}
}

// The clocks of this machine are not touched; they are watched for a moment, in which they must not be said to have stepped.
func TestRealClocksAreQuiet(t *testing.T) {
	s := NewSegments("RUN")
	for range 200 {
		s.Look()
	}
	if x := s.Current(); x.Why == Slept {
		t.Errorf("segment %+v", x)
	}
}

func TestSegmentRuns(t *testing.T) {
	for n, want := range map[int]string{1: "ABC", 2: "ABC.2", 17: "ABC.17"} {
		if got := segmentRun("ABC", n); got != want || Process(got) != "ABC" {
			t.Errorf("segment %d is %q of process %q", n, got, Process(got))
		}
	}
}

func TestFacts(t *testing.T) {
	s := Segment{Step: -1500 * time.Millisecond, Known: true}
	want := []Fact{{"clock_step_seconds", "-1.5"}, {"clock_synchronised", "false"}}
	if diff := cmp.Diff(want, s.Facts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseNamespace(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"monotonic           0         0\nboottime            0         0\n": 0,
		"monotonic  -86400 500000000\nboottime 7 0\n":                        -86400*time.Second + 500*time.Millisecond,
		"1 3600 0\n7 0 0\n": time.Hour,
		"":                  0, "monotonic x 0": 0, "monotonic 99999999999999 0": 0,
	} {
		if got := parseNamespace(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Every batch asks for the kernel's state.
func TestKernelDoesNotAllocate(t *testing.T) {
	s := NewSegments("RUN")
	if s.Kernel(); s.Trouble() != nil {
		t.Skipf("adjtimex is not allowed here: %v", s.Trouble())
	}
	if n := testing.AllocsPerRun(100, func() { _ = s.Current().State(s.Kernel()) }); n != 0 {
		t.Errorf("Kernel allocates %v times, want 0", n)
	}
}

func BenchmarkLook(b *testing.B) {
	s := NewSegments("RUN")
	for b.Loop() {
		s.Look()
	}
}

func BenchmarkKernel(b *testing.B) {
	s := NewSegments("RUN")
	b.ReportAllocs()
	for b.Loop() {
		s.Kernel()
	}
}
