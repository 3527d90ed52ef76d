package characterise

import (
	"math"
	"testing"
	"time"

	"agentwatt/shared/power"
)

// Each source of uncertainty is in the result: what is made worse makes U larger, by as much as it must.
func TestEachSourceOfUncertaintyCounts(t *testing.T) {
	t.Parallel()
	g := gpu()
	g.refAccuracy = 0.001
	measure := func(change func(*Reference)) Result {
		sensor, ref, marks := g.record(3)
		change(&ref)
		r, err := Measure(sensor, &ref, marks, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	plain := measure(func(*Reference) {})
	for _, c := range []struct {
		what   string
		change func(*Reference)
		of     func(Result) Estimate
		added  float64 // in quadrature
	}{
		{"the reference's gain", func(r *Reference) { r.Accuracy = math.Hypot(r.Accuracy, 0.03) }, func(r Result) Estimate { return r.Gain }, 0.03 * g.gain},
		{"the reference's zero", func(r *Reference) { r.Floor = 10 }, func(r Result) Estimate { return r.Offset }, 10 * g.gain},
		{"the reference's clock", func(r *Reference) { r.ClockU = 0.1 }, func(r Result) Estimate { return r.Delay }, 0.1},
	} {
		want := math.Hypot(c.of(plain).U, c.added)
		if got := c.of(measure(c.change)).U; got < 0.98*want || got > 1.02*want {
			t.Errorf("%s: U %v, want %v", c.what, got, want)
		}
	}
}

// The rounding of a constant load is the same in every plateau: many of them do not average it out.
func TestRoundingDoesNotAverageOut(t *testing.T) {
	t.Parallel()
	cases, miss := 12, 0
	if raced {
		cases = 2
	}
	for seed := range uint64(cases) {
		g := gpu()
		g.wobble, g.noise, g.quantum, g.refAccuracy = 0, 0, 20_000, 1e-6
		g.low, g.high = 80+1.7*float64(seed), 400-2.3*float64(seed)
		sensor, ref, marks := g.record(seed)
		r, err := Measure(sensor, &ref, marks, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if !r.Gain.Known() {
			t.Fatal(r.Gain.Reason)
		}
		if math.Abs(r.Gain.Value-g.gain) > r.Gain.U || math.Abs(r.Offset.Value-g.offset) > r.Offset.U {
			t.Logf("seed %d: gain %+v, offset %+v", seed, r.Gain, r.Offset)
			miss++
		}
	}
	if miss > 1 {
		t.Errorf("with counts of 20 W the truth is outside of the stated uncertainty %d times of %d", miss, cases)
	}
}

// A load that starts late by chance makes the delay against its switching uncertain by what the cycles show.
func TestARestlessLoadShowsInTheDelay(t *testing.T) {
	t.Parallel()
	g := gpu()
	g.rise = 0
	sensor, _, marks := g.record(9)
	late := []float64{0, 0.08, 0.02, 0.1, 0.05, 0.03, 0.09, 0.01, 0.06, 0.04, 0.07, 0.1}
	mean, _ := meanOf(late)
	for i := range marks {
		marks[i].At = marks[i].At.Add(-seconds(late[i/2]))
	}
	r, err := Measure(sensor, nil, marks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := g.delay + mean; math.Abs(r.Delay.Value-want) > r.Delay.U || r.Delay.U < ofMean(late) {
		t.Errorf("delay %+v, want %v, known to %v at best", r.Delay, want, ofMean(late))
	}
}

// Errors of gain and offset that go against each other cancel where they meet, and only there.
func TestRatio(t *testing.T) {
	gain, offset := Estimate{Value: 1.1, U: 0.01}, Estimate{Value: -20, U: 1}
	for _, c := range []struct{ cross, watts, ratio, u float64 }{
		{-1, 100, 0.9, 0}, {-1, 200, 1, 0.005}, {0, 100, 0.9, math.Hypot(0.01, 0.01)}, {1, 100, 0.9, 0.02},
	} {
		ratio, u := Ratio(gain, offset, c.cross, c.watts)
		if math.Abs(ratio-c.ratio) > 1e-12 || math.Abs(u-c.u) > 1e-9 {
			t.Errorf("at %v W with correlation %v: %v ± %v, want %v ± %v", c.watts, c.cross, ratio, u, c.ratio, c.u)
		}
	}
}

// A wrap of the counter during the recording changes nothing.
func TestACounterThatWraps(t *testing.T) {
	t.Parallel()
	g := gpu()
	g.counter, g.delay, g.offset = true, 0.03, 0
	sensor, ref, marks := g.record(1)
	want, err := Measure(sensor, &ref, marks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	sensor.Meter.Wrap = 3_000_000 // 3 kJ
	for i := range sensor.Samples {
		sensor.Samples[i].Raw %= sensor.Meter.Wrap
	}
	got, err := Measure(sensor, &ref, marks, Options{})
	if err != nil || got.Gain != want.Gain || got.Delay != want.Delay {
		t.Errorf("%v: gain %+v, delay %+v; want %+v, %+v", err, got.Gain, got.Delay, want.Gain, want.Delay)
	}
}

// What a meter says is placed where its declaration says that it belongs.
func TestFromTracePlacesValues(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		meter power.Meter
		want  time.Duration // before the change was seen, half a read earlier
	}{
		{power.Meter{Quantity: power.Instant, Delay: 30 * ms}, 30 * ms},
		{power.Meter{Quantity: power.Mean, Delay: 30 * ms, Averaging: 400 * ms}, 230 * ms},
		{power.Meter{Quantity: power.Counter, Delay: 30 * ms}, 30 * ms},
		{power.Meter{Quantity: power.Held}, 50 * ms},                                            // most likely the mean of the period before
		{power.Meter{Quantity: power.Held, Delay: 80 * ms, DelayFrom: power.Measured}, 30 * ms}, // it holds for the period that begins 80 ms before
	} {
		tr := Trace{Meter: c.meter}
		tr.Meter.Scale = power.Scale{Num: 1_000_000, Den: 1}
		for i := range 200 { // a new value every 100 ms, read every 10 ms
			tr.Samples = append(tr.Samples, power.Sample{Time: epoch.Add(time.Duration(i) * 10 * ms), Raw: int64(100 + i/10)})
		}
		ref, err := FromTrace(tr)
		if err != nil {
			t.Fatal(err)
		}
		if got := epoch.Add(95 * ms).Sub(ref.points[0].at).Round(ms); got != c.want {
			t.Errorf("%s: %v before it was seen, want %v", c.meter.Quantity, got, c.want)
		}
	}
}
