package sampler

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
)

func feed(b *backoff, took time.Duration, windows int) (changes int) {
	for range windows * windowReads {
		if b.add(took) {
			changes++
		}
	}
	return changes
}

func TestBackoffSlowsDownAndComesBack(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name             string
		interval         time.Duration
		quiet, busy      time.Duration // what a read takes
		slowed, returned time.Duration // the interval after the busy time, and after quiet again
	}{
		{"within the gap rule", 100 * ms, 200 * time.Microsecond, 20 * ms, 400 * ms, 100 * ms},
		{"a slow source once", time.Second, 5 * ms, 300 * ms, 2 * time.Second, time.Second},
		{"fast", 10 * ms, 20 * time.Microsecond, 2 * ms, 320 * ms, 10 * ms},
		{"grown but cheap", 100 * ms, 10 * time.Microsecond, 900 * time.Microsecond, 100 * ms, 100 * ms},
		{"slow from the start", 100 * ms, 20 * ms, 60 * ms, 100 * ms, 100 * ms},
	} {
		b := &backoff{interval: c.interval}
		feed(b, c.quiet, 2)
		feed(b, c.busy, 20)
		if got := b.now(); got != c.slowed {
			t.Errorf("%s: interval %v while reads take %v, want %v", c.name, got, c.busy, c.slowed)
		}
		feed(b, c.quiet, 30)
		if got := b.now(); got != c.returned {
			t.Errorf("%s: interval %v afterwards, want %v", c.name, got, c.returned)
		}
	}
}

func TestBackoffWantsWindowsInARow(t *testing.T) {
	b := &backoff{interval: 100 * time.Millisecond}
	for _, c := range []struct {
		took    time.Duration
		windows int
		want    int
	}{
		{time.Millisecond, 3, 1}, {30 * time.Millisecond, 1, 1}, {time.Millisecond, 1, 1}, {30 * time.Millisecond, 1, 1}, // slow alone
		{30 * time.Millisecond, 1, 2}, {time.Millisecond, 2, 2}, {30 * time.Millisecond, 1, 2}, // calm, but not for three
		{time.Millisecond, 2, 2}, {time.Millisecond, 1, 1},
	} {
		feed(b, c.took, c.windows)
		if got := b.factor(); got != c.want {
			t.Fatalf("factor %d after %d windows of %v, want %d", got, c.windows, c.took, c.want)
		}
	}
}

// A source whose reads grow slow is read less often, says so in its batches, and no tick of the stretched schedule is missed.
func TestSlowReadsStretchTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, bus := newFake(time.Millisecond), &tape{}
		src.each = func(context.Context) {
			if src.reads > windowReads {
				src.takes = 50 * time.Millisecond
			}
		}
		s := newSampler(src, bus)
		if _, err := runFor(t, s, 6*time.Minute); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, n := range notes(bus) {
			if n.Key == "read_interval_seconds" {
				said = append(said, n.Value)
			}
		}
		if want := []string{"0.2", "0.4"}; !slices.Equal(said, want) {
			t.Errorf("the stream says intervals %q, want %q", said, want)
		}
		if st := s.Stats(); st.Missed != 0 {
			t.Errorf("%d ticks missed", st.Missed)
		}
	})
}

func notes(bus *tape) (list []power.Note) {
	for _, b := range bus.batches {
		list = append(list, b.Notes...)
	}
	return list
}
