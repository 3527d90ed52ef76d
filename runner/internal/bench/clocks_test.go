package bench

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// far is a host whose clocks are not the runner's: the wall clock is off, and the monotonic clock runs at another rate.
type far struct {
	zero  clock.Stamp // true time of its monotonic zero
	rate  float64     // of its monotonic clock against true time, minus 1
	wall  time.Duration
	epoch clock.Stamp // its stamp of its monotonic zero
}

func (f far) mono(t clock.Stamp) time.Duration {
	d := t.Sub(f.zero)
	return d + time.Duration(float64(d)*f.rate)
}

func (f far) stamp(t clock.Stamp) clock.Stamp { return f.epoch.Add(f.mono(t)) }

// A host whose clock is five seconds off and drifts is brought onto the runner's clock by what was measured of it: the energy of a
// window of a changing load is right within the uncertainty; without measurements it is not, and that is said.
func TestMeasuredClocksEnterTheJoin(t *testing.T) {
	const start = clock.Stamp(1_780_000_000 * 1e9)
	runner := HostClock{Host: "load", Boot: "boot-load", Epoch: start.Add(-time.Hour)}
	f := far{zero: start.Add(-30 * time.Minute), rate: 40e-6, wall: 5 * time.Second}
	f.epoch = f.zero.Add(f.wall)
	watts := func(t clock.Stamp) int64 {
		if t < start.Add(120*time.Second) {
			return 200
		}
		return 800
	}
	var batches []power.Batch
	for s := range 300 {
		begin := start.Add(time.Duration(s) * time.Second)
		b := power.Batch{Host: "gpu", Boot: "boot-gpu", Run: "R", Source: "nvml", Seq: uint64(s + 1)}
		b.Clock = clock.State{Read: f.stamp(begin.Add(time.Second)), Epoch: f.epoch, Synchronised: true, MaxError: 10 * time.Second}
		b.Meters = []power.Meter{{ID: "m", Device: "d", Scope: power.Accelerator, Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}, Period: 100 * time.Millisecond}}
		for i := range 10 {
			at := begin.Add(time.Duration(i) * 100 * time.Millisecond)
			b.Samples = append(b.Samples, power.Sample{Time: f.stamp(at), Raw: watts(at)*1000 + int64(i)}) // each value is another one, so each is fresh
		}
		batches = append(batches, b)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for n := 0; n < 300; n += 15 {
		asked := start.Add(time.Duration(n) * time.Second)
		out, back := time.Duration(random.IntN(3e6)), time.Duration(random.IntN(3e6))
		x := clock.Exchange{Host: "gpu", Boot: "boot-gpu", Asked: asked.Sub(runner.Epoch), Got: asked.Add(out + back).Sub(runner.Epoch)}
		x.Received = f.mono(asked.Add(out))
		x.Sent = x.Received
		runner.Others = append(runner.Others, x)
	}
	w := Window{Begin: start.Add(101 * time.Second), End: start.Add(150 * time.Second)}
	var truth float64
	for at := w.Begin; at < w.End; at = at.Add(time.Millisecond) {
		truth += float64(watts(at)) * 1e-3
	}
	got, errs := Join(w, batches, PowerPlan{}, runner)
	if len(errs) > 0 || len(got) != 1 {
		t.Fatalf("got %+v, %v", got, errs)
	}
	if e := got[0].Energy.Joules(); math.Abs(e-truth) > 100 { // a sixth of a second of the step
		t.Errorf("got %.0f J, want %.0f", e, truth)
	}
	for _, warning := range got[0].Warnings {
		if warning.Code == ClockFree {
			t.Errorf("a measured clock is said to be free: %s", warning.Detail)
		}
	}
	runner.Others = nil
	blind, _ := Join(w, batches, PowerPlan{}, runner)
	if e := blind[0].Energy.Joules(); math.Abs(e-truth) < 1000 {
		t.Errorf("without measurements %.0f J, as if the clocks agreed: the test shows nothing", e)
	}
	free := false
	for _, warning := range blind[0].Warnings {
		free = free || warning.Code == ClockFree
	}
	if !free {
		t.Error("nothing says that the clock was not compared")
	}
}
