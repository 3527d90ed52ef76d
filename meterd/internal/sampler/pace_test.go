package sampler

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/power"
)

// chosen is a cancelled context at the moment when select had the choice between it and the timer, and took the timer.
type chosen struct{ context.Context }

func (chosen) Done() <-chan struct{} { return nil }
func (chosen) Err() error            { return context.Canceled }

func paces(t *testing.T) map[string]pace {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the test's thread ends with it, and so does its priority
	return map[string]pace{"timer": newTimerPace(), "thread": newThreadPace()}
}

func TestCancellationWinsOverAReadyTimer(t *testing.T) {
	for name, p := range paces(t) {
		for _, ahead := range []time.Duration{time.Millisecond, 0, -time.Hour} {
			if err := p.wait(chosen{t.Context()}, time.Now().Add(ahead)); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: wait for a tick %v ahead returned %v, want the cancellation", name, ahead, err)
			}
		}
		p.stop()
	}
}

func TestWaitIsNeverEarly(t *testing.T) {
	for name, p := range paces(t) {
		for range 20 {
			due := time.Now().Add(700 * time.Microsecond)
			if err := p.wait(t.Context(), due); err != nil {
				t.Fatal(err)
			}
			if early := time.Until(due); early > 20*time.Microsecond { // the two clocks are tied to better than that
				t.Errorf("%s woke %v early", name, early)
			}
		}
		p.stop()
	}
}

// The fast schedule on the real clock: no claim about punctuality here, only that every tick is accounted for, that
// cancellation ends it, and that it says what it runs on.
func TestFastScheduleAccountsForEveryTick(t *testing.T) {
	for _, procs := range []int{1, 2} {
		before := runtime.GOMAXPROCS(procs)
		bus := &tape{}
		s := newSampler(newFake(0), bus)
		s.Interval, s.Flush = time.Millisecond, 10*time.Millisecond
		took, err := runFor(t, s, 60*time.Millisecond)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		st := s.Stats()
		// took runs on after the reader has ended, so only an upper bound and the identity of the records hold.
		if due := uint64(took/s.Interval) + 1; st.Ticks+st.Missed > due || st.Ticks == 0 {
			t.Errorf("%d served and %d missed of %d due", st.Ticks, st.Missed, due)
		}
		if got := bus.samples(); got != int(2*st.Ticks) || st.Dropped != 0 {
			t.Errorf("%d samples published of %d ticks, %d batches dropped", got, st.Ticks, st.Dropped)
		}
		if !strings.HasSuffix(st.Schedule, "thread") {
			t.Errorf("schedule %q", st.Schedule)
		}
	}
}

// Reading, batching, handing over and going round of batches must not allocate once the first few batches exist.
func TestSteadyReadPathDoesNotAllocate(t *testing.T) {
	s := newSampler(&still{meters: meters(8)}, &tape{})
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	q := newQueue(s.Queue)
	r := newReader(s, q)
	tick := func() {
		if err := r.read(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.stats.late.add(time.Microsecond)
		if len(r.batch.Samples) >= 80 {
			r.turn(time.Now())
			q.recycle(<-q.ready) // the publisher's part
		}
	}
	for range 200 {
		tick()
	}
	if got := testing.AllocsPerRun(1000, tick); got != 0 {
		t.Errorf("%v allocations per tick, want 0", got)
	}
}

// still is a source that costs nothing.
type still struct {
	fake
	meters []power.Meter
}

func (s *still) Meters() []power.Meter { return s.meters }

func (s *still) Read(_ context.Context, dst []power.Sample) ([]power.Sample, error) {
	t, within := Stamp(stampNow(), stampNow())
	for i := range s.meters {
		dst = append(dst, power.Sample{Meter: i, Time: t, Within: within})
	}
	return dst, nil
}
