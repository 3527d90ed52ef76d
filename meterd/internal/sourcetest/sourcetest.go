// Package sourcetest is the conformance suite that every power source runs:
//
//	func TestConformance(t *testing.T) {
//		sourcetest.Run(t, sourcetest.Case{Open: openFixture, Lose: unplug, Restore: plug})
//	}
//
// What a source cannot show, such as a device that is lost, needs a hook into the hardware or its stand-in; a check without
// its hook is skipped by name.
package sourcetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
)

// Case is a source under test. The hooks act on the hardware behind the source that Open returned last; the suite opens
// a new one for each check, and never two at a time. The zero value of every field but Open is usable.
type Case struct {
	Open    func(t *testing.T) sampler.Source   // a fresh source; the suite closes it
	Now     func() clock.Stamp                  // the clock that the source stamps with; nil: the wall clock
	Advance func(t *testing.T, d time.Duration) // lets d pass for the source; nil: sleeps
	Allocs  float64                             // allocations allowed per read in steady state; negative: any number
	Steps   int                                 // reads to wait for an effect of a hook; 0: 20
	Step    time.Duration                       // between those reads; 0: the longest period, 10 ms to 200 ms

	Hide    func(t *testing.T) // makes at least one value unsupported
	Lose    func(t *testing.T) // takes at least one device away
	Restore func(t *testing.T) // brings back what Lose took
	Reset   func(t *testing.T) // makes at least one counter start again
}

// Run checks the source against the contract of sampler.Source.
func Run(t *testing.T, c Case) {
	if c.Now == nil {
		c.Now = func() clock.Stamp { return clock.At(time.Now()) }
	}
	if c.Advance == nil {
		c.Advance = func(_ *testing.T, d time.Duration) { time.Sleep(d) }
	}
	if c.Steps == 0 {
		c.Steps = 20
	}
	for _, check := range []struct {
		name string
		run  func(*testing.T, *rig)
		on   bool
	}{
		{"meters", meters, true},
		{"reads", reads, true},
		{"append", appends, true},
		{"cancel", cancels, true},
		{"concurrent", concurrent, true},
		{"close", closes, true},
		{"allocations", allocations, c.Allocs >= 0},
		{"unsupported", unsupported, c.Hide != nil},
		{"lost", lost, c.Lose != nil && c.Restore != nil},
		{"reset", reset, c.Reset != nil},
	} {
		t.Run(check.name, func(t *testing.T) {
			if !check.on {
				t.Skip("this source has no hook for it")
			}
			check.run(t, open(t, c))
		})
	}
}

// RequireOrSkip is for tests on real hardware: it skips when err says that source name is not available here, unless the
// environment variable METER_REQUIRE, a list with commas, names it: then, as for any other error, it is fatal. A machine
// that is there to test a source sets it, so that a skip cannot hide a source that stopped working.
func RequireOrSkip(t testing.TB, name string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, sampler.ErrUnavailable) && !Required(name):
		t.Skipf("no %s on this host: %v (METER_REQUIRE=%s makes this fatal)", name, err, name)
	default:
		t.Fatalf("open %s: %v", name, err)
	}
}

// rig is one open source with the case around it.
type rig struct {
	Case
	source sampler.Source
}

func open(t *testing.T, c Case) *rig {
	t.Helper()
	src := c.Open(t)
	if src == nil {
		t.Fatal("Open returned no source")
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	if c.Step == 0 {
		for _, m := range src.Meters() {
			c.Step = max(c.Step, m.Period)
		}
		c.Step = min(max(c.Step, 10*time.Millisecond), 200*time.Millisecond)
	}
	return &rig{c, src}
}

// read reads once and checks what must hold for every read.
func (r *rig) read(t *testing.T) reading {
	t.Helper()
	before := r.Now()
	samples, err := r.source.Read(t.Context(), nil)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	got := reading{before: before, after: r.Now(), meters: r.source.Meters(), samples: samples}
	for _, p := range checkReading(got) {
		t.Error(p)
	}
	return got
}

// until reads until done says so, at most Steps times with Step in between.
func (r *rig) until(t *testing.T, what string, done func(reading) bool) reading {
	t.Helper()
	for range r.Steps {
		r.Advance(t, r.Step)
		if got := r.read(t); done(got) {
			return got
		}
	}
	t.Fatalf("after %d reads, %v apart: still no sign of %s", r.Steps, r.Step, what)
	return reading{}
}

// prompt fails the test if f takes longer than a person would wait. The source is stuck then, so nothing is cleaned up.
func prompt(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		panic(what + " does not return")
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
