package characterise

import (
	"math"
	"slices"
	"strings"
	"testing"

	"agentwatt/shared/power"
)

// What a recording cannot tell is refused, with the reason.
func TestMeasureRefuses(t *testing.T) {
	type spoil func(*Trace, *Reference, *[]Mark)
	for name, c := range map[string]struct {
		rig    func(*rig)
		spoil  spoil
		timing string // reason for no delay; empty: it is known
		gain   string
	}{
		"all well":             {},
		"too few cycles":       {rig: func(g *rig) { g.cycles = 2 }, timing: "2 cycles", gain: "2 cycles"},
		"no step":              {rig: func(g *rig) { g.high = g.low }, timing: "no step", gain: "no step"},
		"sensor is dead":       {rig: func(g *rig) { g.gain, g.noise = 0, 0 }, timing: "was refreshed 0 times", gain: "was refreshed 0 times"},
		"reference is coarse":  {rig: func(g *rig) { g.refStep, g.rise = 1, 0 }, spoil: func(_ *Trace, _ *Reference, _ *[]Mark) {}, gain: "long enough"},
		"reference ends early": {spoil: func(_ *Trace, r *Reference, _ *[]Mark) { r.points = r.points[:len(r.points)/2] }, gain: "does not cover the load's schedule"},
		"reference has a gap": {spoil: func(_ *Trace, r *Reference, _ *[]Mark) {
			r.points = slices.Delete(slices.Clone(r.points), 1000, 1200)
		}, gain: "gap of 2.01 s"},
		"reference is another scope":    {spoil: func(_ *Trace, r *Reference, _ *[]Mark) { r.Scope = power.Node }, gain: "measures the node and the sensor the accelerator"},
		"reference of unknown accuracy": {spoil: func(_ *Trace, r *Reference, _ *[]Mark) { r.Accuracy = 0 }, gain: "accuracy of the reference is not known"},
		"reference shows another load": {spoil: func(_ *Trace, r *Reference, _ *[]Mark) {
			for i := range r.points {
				r.points[i].value = 100
			}
		}, timing: "do not follow the reference", gain: "no step: the reference shows 100 W idle and 100 W busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gpu()
			g.rise = 0
			if c.rig != nil {
				c.rig(&g)
			}
			sensor, ref, marks := g.record(1)
			if c.spoil != nil {
				c.spoil(&sensor, &ref, &marks)
			}
			r, err := Measure(sensor, &ref, marks, Options{})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range []struct {
				what, want string
				got        Estimate
			}{{"delay", c.timing, r.Delay}, {"gain", c.gain, r.Gain}} {
				if (x.want == "") != x.got.Known() || !strings.Contains(x.got.Reason, x.want) {
					t.Errorf("%s: %+v, want reason %q", x.what, x.got, x.want)
				}
				if !x.got.Known() && (x.got.Value != 0 || x.got.U != 0) {
					t.Errorf("%s is refused and has a value: %+v", x.what, x.got)
				}
			}
		})
	}
}

func TestMeasureFails(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*Trace, *[]Mark){
		"fewer than two marks":       func(_ *Trace, m *[]Mark) { *m = nil },
		"mark 3: not later":          func(_ *Trace, m *[]Mark) { (*m)[2].Busy = false },
		"mark 2: not later":          func(_ *Trace, m *[]Mark) { (*m)[1].At = (*m)[0].At },
		"fewer than two samples":     func(s *Trace, _ *[]Mark) { s.Samples = s.Samples[:1] },
		"scale 0/1":                  func(s *Trace, _ *[]Mark) { s.Meter.Scale.Num = 0 },
		"reset during the recording": func(s *Trace, _ *[]Mark) { s.Meter.Quantity = power.Counter },
	} {
		sensor, _, marks := gpu().record(1)
		spoil(&sensor, &marks)
		if _, err := Measure(sensor, nil, marks, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// Without a reference the delay is that against the load's switching, and there is no gain.
func TestWithoutAReference(t *testing.T) {
	t.Parallel()
	g := gpu()
	g.rise = 0
	sensor, _, marks := g.record(4)
	r, err := Measure(sensor, nil, marks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Delay.Value-g.delay) > r.Delay.U || math.Abs(r.Window.Value-g.window) > r.Window.U || r.Against != "switching" {
		t.Errorf("delay %+v, window %+v against %q", r.Delay, r.Window, r.Against)
	}
	if r.Gain.Known() || r.Busy != 0 {
		t.Errorf("a gain without a reference: %+v", r.Gain)
	}
	if ratio, u := r.Ratio(100); ratio != 0 || !math.IsInf(u, 1) {
		t.Errorf("ratio %v ± %v without a gain", ratio, u)
	}
}

// A reference with a clock of its own is laid beside the schedule.
func TestAlign(t *testing.T) {
	t.Parallel()
	g := gpu()
	g.rise, g.refAhead = 0, -1234.567
	sensor, ref, marks := g.record(2)
	if r, err := Measure(sensor, &ref, marks, Options{}); err != nil || r.Gain.Known() {
		t.Errorf("%v; a reference of another time gave a gain %+v", err, r.Gain)
	}
	ref.Align = true
	r, err := Measure(sensor, &ref, marks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		what string
		got  Estimate
		want float64
	}{{"delay", r.Delay, g.delay}, {"window", r.Window, g.window}, {"gain", r.Gain, g.gain}} {
		if !x.got.Known() || math.Abs(x.got.Value-x.want) > x.got.U {
			t.Errorf("%s: %+v, want %g", x.what, x.got, x.want)
		}
	}
	// A schedule that repeats itself fits in more than one place.
	even := marks[:0:0]
	for i := range 6 {
		even = append(even, Mark{epoch.Add(seconds(float64(2 * i))), i%2 == 0})
	}
	for i := range ref.points {
		t := ref.points[i].at.Sub(ref.points[0].at).Seconds()
		ref.points[i].value = 80
		if int(t/2)%2 == 0 {
			ref.points[i].value = 400
		}
	}
	if _, err := ref.curve(even, even[0].At); err == nil || !strings.Contains(err.Error(), "not found in the reference") {
		t.Errorf("a schedule that repeats itself: %v", err)
	}
}

// Of a mean, half of the window is not part of the meter's delay; and a meter can be the reference of another.
func TestAMeterAsReference(t *testing.T) {
	t.Parallel()
	g := gpu()
	sensor, _, marks := g.record(5)
	better := g
	better.gain, better.offset, better.noise, better.period, better.window, better.delay, better.poll = 1, 0, 0, 0.01, 0.01, 0.005, 0.002
	other, _, _ := better.record(5)
	other.Meter.Accuracy, other.Meter.Delay = 0.01, 0.005*1e9
	ref, err := FromTrace(other)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Measure(sensor, &ref, marks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(r.Gain.Value-g.gain) > r.Gain.U || r.Gain.U < 0.01*g.gain || math.Abs(r.Delay.Value-g.delay) > r.Delay.U {
		t.Errorf("gain %+v, delay %+v", r.Gain, r.Delay)
	}
}

// The same recording gives the same result, to the last digit.
func TestMeasureIsDeterministic(t *testing.T) {
	t.Parallel()
	sensor, ref, marks := gpu().record(6)
	a, _ := Measure(sensor, &ref, marks, Options{})
	slices.Reverse(sensor.Samples)
	b, _ := Measure(sensor, &ref, marks, Options{})
	if a.Gain != b.Gain || a.Delay != b.Delay || a.Window != b.Window {
		t.Errorf("%+v\n%+v", a, b)
	}
}
