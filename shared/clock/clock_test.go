package clock

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestStamp(t *testing.T) {
	s := At(time.Date(2026, 7, 1, 12, 0, 0, 5000, time.UTC))
	if got, want := s.String(), "2026-07-01T12:00:00.000005Z"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if got, want := s.Add(time.Second).Sub(s), time.Second; got != want {
		t.Errorf("Add then Sub = %v, want %v", got, want)
	}
	if got := At(s.Time()); got != s {
		t.Errorf("At(Time()) = %v, want %v", got, s)
	}
	if At(time.Time{}) != 0 || !Stamp(0).Time().IsZero() || Stamp(0).String() != "never" {
		t.Error("the zero stamp is not the zero time")
	}
}

// In a bubble time is fake, so the clock must be exact to the nanosecond.
func TestClockInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		begin := time.Now()
		if got, want := c.Now(), At(begin); got != want {
			t.Errorf("Now() = %v, want %v", got, want)
		}
		time.Sleep(90 * time.Minute)
		if got, want := c.Now().Sub(At(begin)), 90*time.Minute; got != want {
			t.Errorf("Now() moved by %v, want %v", got, want)
		}
		if got, want := c.At(begin), At(begin); got != want {
			t.Errorf("At(begin) = %v, want %v", got, want)
		}
		if got, want := c.FromWall(At(begin)), At(begin); got != want {
			t.Errorf("FromWall = %v, want %v", got, want)
		}
		if c.At(time.Time{}) != 0 || c.FromWall(0) != 0 {
			t.Error("an unknown time became a stamp")
		}
		if c.Error() != 0 {
			t.Errorf("Error() = %v, want 0 where reading the clock takes no time", c.Error())
		}
	})
}

// A step of the wall clock after the anchor must leave stamps alone and be taken out of the kernel's stamps.
func TestStep(t *testing.T) {
	const step = 3 * time.Second
	c := New()
	c.wall -= Stamp(step) // as if the wall clock had been stepped forward since
	kernel := At(time.Now())
	got := c.FromWall(kernel).Sub(kernel)
	if got < -step-time.Second || got > -step+time.Second {
		t.Errorf("FromWall moved a stamp by %v, want about %v", got, -step)
	}
	now := time.Now()
	if got := c.At(now).Sub(At(now)); got < -step-time.Second || got > -step+time.Second {
		t.Errorf("At is %v from the wall clock, want about %v", got, -step)
	}
	if a, b := c.FromWall(kernel), c.Now(); a > b {
		t.Errorf("a wall stamp of the past, %v, became later than now, %v", a, b)
	}
}

func TestNowNeverGoesBack(t *testing.T) {
	c := New()
	for last, i := c.Now(), 0; i < 10_000; i++ {
		now := c.Now()
		if now < last {
			t.Fatalf("Now() went from %d to %d", last, now)
		}
		last = now
	}
}

func TestNoAllocation(t *testing.T) {
	c := New()
	s := c.Now()
	if n := testing.AllocsPerRun(100, func() { s = c.FromWall(c.Now()) }); n != 0 {
		t.Errorf("Now and FromWall allocate %v times, want 0", n)
	}
	_ = s
}

func TestBootID(t *testing.T) {
	proc := t.TempDir()
	if _, err := BootID(proc); err == nil {
		t.Error("BootID of an empty directory: no error")
	}
	dir := filepath.Join(proc, "sys/kernel/random")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(s string) {
		if err := os.WriteFile(filepath.Join(dir, "boot_id"), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("0ab7bb9b-4c4e-4d65-b8c7-0c54d0b3ee2e\n")
	if got, err := BootID(proc); err != nil || got != "0ab7bb9b-4c4e-4d65-b8c7-0c54d0b3ee2e" {
		t.Errorf("BootID = %q, %v", got, err)
	}
	write("\n")
	if _, err := BootID(proc); err == nil {
		t.Error("BootID of an empty file: no error")
	}
}

func TestErrorIsSmall(t *testing.T) {
	if e := New().Error(); e < 0 || e == math.MaxInt64 {
		t.Errorf("Error() = %v", e)
	}
}

func BenchmarkNow(b *testing.B) {
	c := New()
	for b.Loop() {
		c.Now()
	}
}

func BenchmarkFromWall(b *testing.B) {
	c := New()
	s := c.Now()
	for b.Loop() {
		c.FromWall(s)
	}
}

// BenchmarkTimeNow is what the two above are compared with.
func BenchmarkTimeNow(b *testing.B) {
	for b.Loop() {
		time.Now()
	}
}
