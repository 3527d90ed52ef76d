package sampler

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// wall is the wall clock of a test: what it is ahead of what it was.
type wall struct{ ahead time.Duration }

func (w *wall) segments() *clock.Segments {
	s := clock.NewSegments("r")
	s.Wall = func(t time.Time) clock.Stamp { return clock.At(t).Add(w.ahead) }
	s.State = func(c *clock.Clock) (clock.State, error) {
		return clock.State{Read: c.Now(), Synchronised: true, Epoch: 5000}, nil
	}
	s.Asleep = func() (time.Duration, error) { return 0, nil }
	return s
}

// A step of the wall clock cuts the stream: the old segment ends under its run id, the new one begins at Seq 1. No sample is
// lost or doubled, and all lie on the schedule, on the axis of the boot.
func TestStepBeginsANewRun(t *testing.T) {
	for _, step := range []time.Duration{1500 * time.Millisecond, -3 * time.Hour, 6 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w, bus := &wall{}, &tape{}
			s, segments := newSampler(newFake(30*time.Millisecond), bus), w.segments()
			s.Clock = segments
			began := segments.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second-time.Millisecond)
			defer cancel()
			go func() {
				time.Sleep(4510 * time.Millisecond) // in the middle of a read
				w.ahead = step
				segments.Look()
			}()
			if err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
			seq, n := map[string]uint64{}, 0
			for _, b := range bus.batches {
				if seq[b.Run]++; b.Seq != seq[b.Run] {
					t.Errorf("run %s: batch %d is the %dth", b.Run, b.Seq, seq[b.Run])
				}
				moved := time.Duration(0)
				if b.Run == "r.2" {
					moved = step
				}
				if got := b.Clock.Epoch; got != clock.Stamp(5000).Add(moved) {
					t.Errorf("epoch %d in run %s", got, b.Run)
				}
				for _, x := range b.Samples {
					after := x.Time.Sub(b.Clock.Epoch) - began.Sub(5000)
					if want := time.Duration(n/2)*s.Interval + 15*time.Millisecond; after != want {
						t.Fatalf("sample %d in run %s is %v after the start, want %v", n, b.Run, after, want)
					}
					n++
				}
			}
			if n != 200 || seq["r.2"] != 6 || seq["r"] != 5 || len(seq) != 2 {
				t.Errorf("%d samples in batches %v, want 200, 5 before and 6 after", n, seq)
			}
		})
	}
}

// A run counts the ticks that it missed from its own begin.
func TestMissedBeginsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, bus, src := &wall{}, &tape{}, newFake(0)
		s, segments := newSampler(src, bus), w.segments()
		s.Clock = segments
		src.each = func(context.Context) {
			if src.reads == 20 || src.reads == 60 {
				time.Sleep(350 * time.Millisecond)
			}
			if src.reads == 50 {
				w.ahead = time.Minute
				segments.Look()
			}
		}
		if _, err := runFor(t, s, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		last := map[string]uint64{}
		for _, b := range bus.batches {
			last[b.Run] = b.Missed
		}
		if last["r"] != 3 || last["r.2"] != 3 || s.Stats().Missed != 6 {
			t.Errorf("missed by run %v, in all %d", last, s.Stats().Missed)
		}
	})
}

// late is a source with buffered values: each read hands over some that were taken up to a second before.
type late struct{ still }

func (l *late) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	now := stampNow()
	for i := range l.meters {
		dst = append(dst, power.Sample{Meter: i, Time: now, Device: now.Add(-time.Second), Raw: 1})
	}
	return dst, nil
}

// Values from before the step that come after it keep their place on the axis of the boot; a device's own clock is left alone.
func TestLateSamplesKeepTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, bus := &wall{}, &tape{}
		src := &late{still{meters: meters(2)}}
		src.meters[0].Buffered = true
		s, segments := newSampler(src, bus), w.segments()
		s.Clock = segments
		go func() {
			time.Sleep(2050 * time.Millisecond)
			w.ahead = time.Hour
			segments.Look()
		}()
		if _, err := runFor(t, s, 4*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, b := range bus.batches {
			for _, x := range b.Samples {
				want := time.Second
				if x.Meter == 1 && b.Run == "r.2" {
					want += time.Hour
				}
				if got := x.Time.Sub(x.Device); got != want {
					t.Errorf("run %s, meter %d: taken %v before it was handed over, want %v", b.Run, x.Meter, got, want)
				}
			}
		}
	})
}

// An outage across a step: the losses of both runs are named, each under its own.
func TestLossesAcrossAStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		w := &wall{}
		bus := &tape{refuse: func(*power.Batch) error {
			if d := time.Since(began); d > 5*time.Second && d < 40*time.Second {
				return errors.New("gone")
			}
			return nil
		}}
		s, segments := newSampler(newFake(0), bus), w.segments()
		s.Clock, s.Queue = segments, 4
		go func() {
			time.Sleep(20 * time.Second)
			w.ahead = time.Second
			segments.Look()
		}()
		if _, err := runFor(t, s, time.Minute-time.Millisecond); err != nil {
			t.Fatal(err)
		}
		stored, lost := map[string]uint64{}, map[string]uint64{}
		last := map[string]uint64{}
		for _, b := range bus.batches {
			stored[b.Run]++
			last[b.Run] = max(last[b.Run], b.Seq)
			for _, l := range b.Losses {
				lost[l.Run] += l.Last - l.First + 1
				last[l.Run] = max(last[l.Run], l.Last)
			}
		}
		for run, n := range last {
			if stored[run]+lost[run] != n || lost[run] == 0 {
				t.Errorf("run %s: %d stored, %d named, of %d", run, stored[run], lost[run], n)
			}
		}
		if len(last) != 2 || len(s.Unsaid()) != 0 {
			t.Errorf("runs %v, left to say %+v", last, s.Unsaid())
		}
	})
}
