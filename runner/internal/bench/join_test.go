package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// counterOf and instantOf are two meters of one device.
func counterOf(device string) power.Meter {
	return power.Meter{
		ID: "test/" + device + "/energy", Device: device, Scope: power.Accelerator, Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1},
		Period: 100 * time.Millisecond, PeriodFrom: power.Measured, Accuracy: 0.05, Model: "test/energy",
	}
}

func instantOf(device string) power.Meter {
	return power.Meter{
		ID: "test/" + device + "/power", Device: device, Scope: power.Accelerator, Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1},
		Period: 100 * time.Millisecond, PeriodFrom: power.Measured, Accuracy: 0.05, Model: "test/power",
	}
}

// feed makes the batches of one source: a reading of every meter each 100 ms, a batch each second, over [from, to) seconds.
type feed struct {
	host, boot, run, source string
	from, to                float64
	ahead                   time.Duration // the host's clock before the runner's
	epoch                   clock.Stamp   // on the host's clock
	state                   clock.State
	meters                  []power.Meter
	watts                   func(meter int, at float64) float64
}

func (f feed) batches() (list []power.Batch) {
	energy := make([]float64, len(f.meters)) // in the counters' millijoules
	const period = 0.1
	b := power.Batch{}
	for i := 0; float64(i)*period < f.to-f.from; i++ {
		now := f.from + float64(i)*period
		for m, meter := range f.meters {
			watts := f.watts(m, now)
			raw := watts * 1000
			if meter.Quantity == power.Counter {
				energy[m] += watts * 1000 * period
				raw = energy[m]
			}
			b.Samples = append(b.Samples, power.Sample{Meter: m, Time: at(now).Add(f.ahead), Raw: int64(math.Round(raw))})
		}
		if i%10 == 9 {
			b.Host, b.Boot, b.Run, b.Source, b.Seq, b.Meters = f.host, f.boot, f.run, f.source, uint64(i/10+1), f.meters
			b.Clock = f.state
			b.Clock.Epoch = f.epoch
			list = append(list, b)
			b = power.Batch{}
		}
	}
	return list
}

var runnerClock = HostClock{Host: "load", Boot: "boot-1", Epoch: at(-1000)}

// gpus is a feed on the runner's own host with the counters of n devices at a constant power.
func gpus(n int, watts float64) feed {
	f := feed{host: "load", boot: "boot-1", run: "r1", source: "nvml", from: 0, to: 130, epoch: at(-1000), watts: func(int, float64) float64 { return watts }}
	for i := range n {
		f.meters = append(f.meters, counterOf(fmt.Sprintf("GPU-%02d", i)))
	}
	return f
}

var testWindow = Window{at(10), at(110)}

func join(t *testing.T, plan PowerPlan, batches ...[]power.Batch) ScopePower {
	t.Helper()
	plan.Scopes = []power.Scope{power.Accelerator}
	list, errs := Join(testWindow, slices.Concat(batches...), plan, runnerClock)
	if len(errs) > 0 || len(list) != 1 {
		t.Fatalf("%d scopes, %v", len(list), errs)
	}
	return list[0]
}

func codes(p ScopePower) (list []power.Code) {
	for _, w := range p.Warnings {
		list = append(list, w.Code)
	}
	return list
}

func TestJoinSumsDevicesOnce(t *testing.T) {
	p := join(t, PowerPlan{}, gpus(8, 700).batches())
	if !p.Valid || p.Mean != 5600*power.Watt || p.Energy != 560*power.Kilojoule || len(p.Devices) != 8 || p.Coverage != 1 || len(p.Warnings) != 0 {
		t.Errorf("got %+v", p)
	}
	// The gain of one model is common to all its meters: eight are as uncertain as one.
	if math.Abs(p.Uncertainty.Gain-0.025) > 1e-9 {
		t.Errorf("gain %v, want 0.025", p.Uncertainty.Gain)
	}
	// Each device again with a power meter, and the whole delivery twice: the same joules.
	f := gpus(8, 700)
	for i := range 8 {
		f.meters = append(f.meters, instantOf(fmt.Sprintf("GPU-%02d", i)))
	}
	q := join(t, PowerPlan{}, f.batches(), f.batches())
	if q.Mean != p.Mean || !q.Valid || len(q.Uses) != 16 || !slices.Equal(q.Devices, p.Devices) {
		t.Errorf("with power meters: %v, %d uses, devices %v", q.Mean, len(q.Uses), q.Devices)
	}
	for _, id := range q.Meters {
		if !strings.HasSuffix(id, "/energy") {
			t.Errorf("%s was counted, the counter comes first", id)
		}
	}
}

func TestJoinIgnoresTheOrderOfBatches(t *testing.T) {
	batches := gpus(2, 700).batches()
	want := join(t, PowerPlan{}, batches)
	slices.Reverse(batches)
	if diff := cmp.Diff(want, join(t, PowerPlan{}, batches)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A step of power exactly at the window's begin tells a clock that is off by 5 s at once.
func TestJoinComparesClocksOfOneBoot(t *testing.T) {
	f := gpus(1, 0)
	f.host, f.ahead, f.epoch = "container", 5*time.Second, at(-1000).Add(5*time.Second)
	f.watts = func(_ int, at float64) float64 {
		if at < 10 {
			return 100
		}
		return 700
	}
	p := join(t, PowerPlan{}, f.batches())
	if off := math.Abs(p.Mean.Watts() - 700); !p.Valid || off > 1 || len(p.Warnings) != 0 {
		t.Errorf("got %v, %+v", p.Mean, p.Warnings)
	}
	f.boot = "boot-2" // another machine: its clock cannot be compared, and that is said
	p = join(t, PowerPlan{}, f.batches())
	if !slices.Contains(codes(p), ClockFree) || math.Abs(p.Mean.Watts()-670) > 1 {
		t.Errorf("another boot: %v, %+v", p.Mean, p.Warnings)
	}
}

func TestJoinCarriesTheKernelsError(t *testing.T) {
	f := gpus(1, 0)
	f.host, f.boot, f.to = "gpu1", "boot-2", 130
	f.watts = func(_ int, at float64) float64 {
		if at > 60 {
			return 700
		}
		return 100
	}
	f.state = clock.State{Read: at(0), MaxError: 20 * time.Millisecond, Synchronised: true}
	good := join(t, PowerPlan{}, f.batches())
	f.state = clock.State{}
	bad := join(t, PowerPlan{}, f.batches())
	// 600 W more at the end than at the begin, 40 kJ in all, the bound spread evenly.
	want := 600 * 0.020 / math.Sqrt(3) / 40_000
	if math.Abs(good.Uncertainty.Clock-want) > 0.02*want {
		t.Errorf("clock term %v, want %v", good.Uncertainty.Clock, want)
	}
	if math.Abs(bad.Uncertainty.Clock-want*800) > 0.02*want*800 {
		t.Errorf("unknown clock: term %v, want that of 16 s, %v", bad.Uncertainty.Clock, want*800)
	}
	if got := bad.Warnings[0].Detail; !strings.Contains(got, "not synchronised") || !strings.Contains(got, "16s") {
		t.Errorf("got %q", got)
	}
}

func TestJoinExpectsDevices(t *testing.T) {
	plan := PowerPlan{Expected: []string{"GPU-00", "GPU-01", "GPU-02"}}
	p := join(t, plan, gpus(2, 700).batches())
	if p.Valid || p.Mean != 0 || !slices.Equal(p.Missing, []string{"GPU-02"}) {
		t.Errorf("one missing: %+v", p)
	}
	p = join(t, plan, gpus(4, 700).batches())
	if !p.Valid || p.Mean != 2100*power.Watt || !slices.Contains(codes(p), NotCounted) {
		t.Errorf("one more than expected: %v, valid %v, %+v", p.Mean, p.Valid, p.Warnings)
	}
	// Without a plan all that were ever seen are expected: a device that goes silent makes the figure invalid.
	short := gpus(1, 700)
	short.to, short.run, short.source = 50, "r2", "other"
	short.meters[0] = counterOf("GPU-09")
	p = join(t, PowerPlan{}, gpus(2, 700).batches(), short.batches())
	if p.Valid || !slices.Equal(p.Missing, []string{"GPU-09"}) {
		t.Errorf("one gone silent: valid %v, missing %v", p.Valid, p.Missing)
	}
	if p = join(t, PowerPlan{}); p.Valid || len(p.Warnings) == 0 {
		t.Errorf("nothing at all: %+v", p)
	}
}

func TestJoinTellsDevicesApart(t *testing.T) {
	rapl := func(host, boot string) feed {
		f := gpus(1, 100)
		f.host, f.boot, f.source, f.epoch = host, boot, "rapl", 0
		f.meters[0] = counterOf("package-0")
		return f
	}
	// One id on two machines: two devices. One id under two names of one machine: one.
	two := join(t, PowerPlan{}, rapl("a", "boot-a").batches(), rapl("b", "boot-b").batches())
	if two.Mean != 200*power.Watt || !slices.Equal(two.Devices, []string{"a/package-0", "b/package-0"}) {
		t.Errorf("two machines: %v %v", two.Mean, two.Devices)
	}
	one := join(t, PowerPlan{}, rapl("a", "boot-a").batches(), rapl("a-in-a-container", "boot-a").batches())
	if one.Mean != 100*power.Watt || len(one.Devices) != 1 {
		t.Errorf("one machine: %v %v", one.Mean, one.Devices)
	}
}

func TestJoinNeverAddsScopes(t *testing.T) {
	f := gpus(2, 700)
	f.meters[1].Scope, f.meters[1].Device = power.Node, "bmc"
	list, _ := Join(testWindow, f.batches(), PowerPlan{}, runnerClock)
	if len(list) != 2 || list[0].Scope != power.Accelerator || list[1].Scope != power.Node || list[0].Mean != 700*power.Watt || list[1].Mean != 700*power.Watt {
		t.Errorf("got %+v", list)
	}
	// The devices of one scope are not missed at the other; one that was never seen is missed at both.
	list, _ = Join(testWindow, f.batches(), PowerPlan{Expected: []string{"GPU-00", "bmc"}}, runnerClock)
	if !list[0].Valid || !list[1].Valid {
		t.Errorf("both there: %v, %v", list[0].Missing, list[1].Missing)
	}
	list, _ = Join(testWindow, f.batches(), PowerPlan{Expected: []string{"GPU-00", "GPU-77"}}, runnerClock)
	if list[0].Valid || list[1].Valid {
		t.Error("a device that was never seen is missed nowhere")
	}
}

func TestJoinChecksTheCounter(t *testing.T) {
	for _, tt := range []struct {
		off    float64
		valid  bool
		warned bool
	}{{1.00, true, false}, {1.015, true, false}, {1.03, true, true}, {0.97, true, true}, {1.06, false, true}, {0.94, false, true}} {
		f := gpus(1, 700)
		f.meters = append(f.meters, instantOf("GPU-00"))
		f.watts = func(m int, _ float64) float64 { return 700 * []float64{1, tt.off}[m] }
		p := join(t, PowerPlan{}, f.batches())
		if p.Valid != tt.valid || slices.Contains(codes(p), power.CrossCheck) != tt.warned {
			t.Errorf("power %v of the counter: valid %v, %v", tt.off, p.Valid, p.Warnings)
		}
	}
}

func TestJoinFallsBackOnPower(t *testing.T) {
	f := gpus(1, 700)
	f.meters = append(f.meters, instantOf("GPU-00"))
	batches := f.batches()
	for i := range batches {
		for j := range batches[i].Samples {
			if s := &batches[i].Samples[j]; s.Meter == 0 && s.Time > at(50) {
				s.Status = power.Failed
			}
		}
	}
	p := join(t, PowerPlan{}, batches)
	if !p.Valid || p.Meters[0] != "test/GPU-00/power" || !slices.Contains(codes(p), SecondChoice) || math.Abs(p.Mean.Watts()-700) > 1 {
		t.Errorf("got %v from %v, %+v", p.Mean, p.Meters, p.Warnings)
	}
}

func TestJoinAccountsForLosses(t *testing.T) {
	whole := gpus(1, 700).batches()
	// The counter bridges a lost batch of 1 s within its gap limits or not; lost is lost, and said.
	p := join(t, PowerPlan{}, slices.Delete(slices.Clone(whole), 50, 51))
	if !slices.Contains(codes(p), LostBatches) || !strings.Contains(p.Warnings[len(p.Warnings)-1].Detail, "1 batches were lost") {
		t.Errorf("one lost: %+v", p.Warnings)
	}
	// Losses outside the window do not concern it.
	if p = join(t, PowerPlan{}, slices.Delete(slices.Clone(whole), 3, 5)); len(p.Warnings) != 0 {
		t.Errorf("lost before the window: %+v", p.Warnings)
	}
	missed := gpus(1, 700).batches()
	for i := range missed {
		if i >= 60 {
			missed[i].Missed = 7
		}
	}
	if p = join(t, PowerPlan{}, missed); !slices.Equal(codes(p), []power.Code{MissedTicks}) || !strings.Contains(p.Warnings[0].Detail, "7 reads") {
		t.Errorf("missed ticks: %+v", p.Warnings)
	}
	if p = join(t, PowerPlan{}, missed[:len(missed)-1], []power.Batch{behind(missed[len(missed)-1])}); !strings.Contains(p.Warnings[0].Detail, ": 7 reads") {
		t.Errorf("ticks missed after the window: %+v", p.Warnings)
	}
	first, second := gpus(1, 700), gpus(1, 700)
	first.to = 60
	second.from, second.run = 60.5, "r2"
	p = join(t, PowerPlan{}, first.batches(), second.batches())
	if !slices.Contains(codes(p), Restart) {
		t.Errorf("a restart: %+v", p.Warnings)
	}
}

// behind is a batch with many missed ticks behind it.
func behind(b power.Batch) power.Batch {
	b.Missed += 1000
	return b
}

func TestJoinSaysSimulated(t *testing.T) {
	f := gpus(2, 700)
	f.meters[1].Simulated = true
	if p := join(t, PowerPlan{}, f.batches()); !p.Simulated {
		t.Error("one simulated meter of two was not marked")
	}
}

func TestJoinRefusesNonsense(t *testing.T) {
	batches := gpus(1, 700).batches()
	batches[3].Samples[0].Meter = 9
	if _, errs := Join(testWindow, batches, PowerPlan{}, runnerClock); len(errs) != 1 || !strings.Contains(errs[0].Error(), "names meter 9 of 1") {
		t.Errorf("got %v", errs)
	}
}
