package bench

import (
	"math"
	"slices"
	"testing"
	"time"

	"agentwatt/shared/power"
)

// pdu is a feed with two meters of one inlet: watts that the PDU refreshes every second, and a counter with counts of q joules.
func pdu(q float64, watts func(at float64) float64) feed {
	inlet := power.Meter{Device: "pdu/inlet-1", Scope: power.Rack, Accuracy: 0.01, Model: "pdu"}
	held, counter := inlet, inlet
	held.ID, held.Quantity, held.Scale = "pdu/inlet-1/power", power.Held, power.Scale{Num: 1000, Den: 1}
	held.Period, held.PeriodFrom = time.Second, power.Specification
	counter.ID, counter.Quantity, counter.Scale = "pdu/inlet-1/energy", power.Counter, power.Scale{Num: int64(q * 1e6), Den: 1}
	var joules float64
	return feed{host: "load", boot: "boot-1", run: "r1", source: "pdu", from: 0, to: 900, epoch: at(-1000), meters: []power.Meter{held, counter},
		watts: func(m int, now float64) float64 {
			if m == 0 {
				return watts(now)
			}
			before := math.Floor(joules / q)
			joules += watts(now) * 0.1
			return (math.Floor(joules/q) - before) / 1000 / 0.1 // feed makes counts of it again
		}}
}

func TestACoarseCounterGivesWayToSampledPower(t *testing.T) {
	steady := func(float64) float64 { return 1140 }
	for _, c := range []struct {
		name   string
		q      float64 // joules per count
		window Window
		want   string
		coarse bool
	}{
		{"0.1 kWh over ten minutes", 360_000, Window{at(20), at(620)}, "pdu/inlet-1/power", true},
		{"20 Wh over ten minutes, which it covers", 72_000, Window{at(100), at(700)}, "pdu/inlet-1/power", true},
		{"1 Wh over a quarter of an hour", 3600, Window{at(20), at(840)}, "pdu/inlet-1/energy", false},
		{"1 J over ten minutes", 1, Window{at(20), at(620)}, "pdu/inlet-1/energy", false},
	} {
		got := joinOne(t, pdu(c.q, steady), c.window)
		if !got.Valid || len(got.Meters) != 1 || got.Meters[0] != c.want {
			t.Errorf("%s: valid %v by %v, want %s; %v", c.name, got.Valid, got.Meters, c.want, got.Warnings)
		}
		if said := hasCode(got, CoarseCounter); said != c.coarse {
			t.Errorf("%s: says that the counter is coarse: %v, want %v", c.name, said, c.coarse)
		}
		if math.Abs(got.Mean.Watts()-1140) > 6 {
			t.Errorf("%s: %v, want 1140 W", c.name, got.Mean)
		}
	}
}

// A counter of kWh that is declared as Wh says a thousandth of the power: the figure is invalid, or at least degraded where the
// counter moved too seldom to be compared.
func TestKWhAsWhIsNeverAFigure(t *testing.T) {
	for _, c := range []struct {
		watts  float64
		window Window
		code   power.Code
	}{{100_000, Window{at(100), at(700)}, power.CrossCheck}, {10_000, Window{at(20), at(320)}, SecondChoice}} {
		f := pdu(3_600_000, func(float64) float64 { return c.watts })
		f.meters[1].Scale.Num /= 1000
		got := joinOne(t, f, c.window)
		if !hasCode(got, c.code) || c.code == power.CrossCheck && got.Valid {
			t.Errorf("%v: valid %v, %v; want %s", c.window, got.Valid, got.Warnings, c.code)
		}
	}
}

// Values that a device kept are on its host's clock, as the reads are: both are brought onto the runner's.
func TestBufferedSamplesFollowTheHostsClock(t *testing.T) {
	const ahead = 7 * time.Second
	ring := instantOf("GPU-00")
	ring.Buffered = true
	f := feed{host: "load", boot: "boot-1", run: "r1", source: "nvml", from: 0, to: 130, ahead: ahead, epoch: at(-1000).Add(ahead), meters: []power.Meter{ring},
		watts: func(_ int, now float64) float64 { return 300 + now }}
	batches := f.batches()
	for i := range batches {
		for k := range batches[i].Samples {
			s := &batches[i].Samples[k]
			s.Device, s.Time = s.Time, s.Time.Add(time.Second) // handed over a second after it was taken
		}
	}
	list, errs := Join(testWindow, batches, PowerPlan{}, runnerClock)
	if len(errs) > 0 || len(list) != 1 || !list[0].Valid || math.Abs(list[0].Mean.Watts()-360) > 0.2 {
		t.Errorf("got %+v, %v; want the mean of 310 W and 410 W", list, errs)
	}
}

func hasCode(p ScopePower, code power.Code) bool {
	return slices.ContainsFunc(p.Warnings, func(w power.Warning) bool { return w.Code == code })
}

// joinOne is the power of the one scope of a feed.
func joinOne(t *testing.T, f feed, w Window) ScopePower {
	t.Helper()
	list, errs := Join(w, f.batches(), PowerPlan{}, runnerClock)
	if len(errs) > 0 || len(list) != 1 {
		t.Fatalf("got %d scopes, %v", len(list), errs)
	}
	return list[0]
}

// Two counters of one device, read by different ways, must agree like a counter and a power.
func TestTwoCountersOfOneDeviceAreCompared(t *testing.T) {
	for _, c := range []struct {
		off         float64
		valid, warn bool
	}{{1, true, false}, {1.03, true, true}, {1.07, false, true}} {
		f := gpus(1, 400)
		second := counterOf("GPU-00")
		second.ID = "other/GPU-00/energy"
		f.meters = append(f.meters, second)
		f.watts = func(m int, _ float64) float64 { return 400 * []float64{1, c.off}[m] }
		got := joinOne(t, f, testWindow)
		if got.Valid != c.valid || hasCode(got, power.CrossCheck) != c.warn {
			t.Errorf("off by %v: valid %v, warnings %v", c.off, got.Valid, got.Warnings)
		}
		if c.valid && (len(got.Devices) != 1 || math.Abs(got.Mean.Watts()/400-1) > 0.031) {
			t.Errorf("off by %v: %v over %v: counted twice?", c.off, got.Mean, got.Devices)
		}
	}
}
