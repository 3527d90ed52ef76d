package calibration

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/meterd/internal/characterise"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// device draws 100 W idle and 300 W while its load runs. Its energy is the integral of that.
type device struct {
	sync.Mutex
	begin time.Time
	edges []float64 // seconds after begin; busy from the first to the second, and so on
}

func (d *device) now() float64 { return time.Since(d.begin).Seconds() }

// load keeps the device busy until ctx ends.
func (d *device) load(ctx context.Context) error {
	d.Lock()
	d.edges = append(d.edges, d.now())
	d.Unlock()
	<-ctx.Done()
	d.Lock()
	d.edges = append(d.edges, d.now())
	d.Unlock()
	return ctx.Err()
}

// joules is the energy up to t seconds after begin.
func (d *device) joules(t float64) float64 {
	d.Lock()
	defer d.Unlock()
	e := 100 * t
	for i := 0; i < len(d.edges) && d.edges[i] < t; i += 2 {
		end := t
		if i+1 < len(d.edges) {
			end = min(end, d.edges[i+1])
		}
		e += 200 * (end - d.edges[i])
	}
	return e
}

// watching is a source with one meter of the device: the mean over a window, refreshed every period, times gain.
type watching struct {
	*device
	meter          power.Meter
	period, window float64
	gain           float64
}

func (w *watching) Meters() []power.Meter { return []power.Meter{w.meter} }

func (w *watching) Read(_ context.Context, dst []power.Sample) ([]power.Sample, error) {
	t := w.now()
	if shown := math.Floor(t/w.period) * w.period; shown > w.window {
		watts := w.gain * (w.joules(shown) - w.joules(shown-w.window)) / w.window
		dst = append(dst, power.Sample{Time: clock.At(time.Now().Round(time.Microsecond)), Raw: int64(math.Round(watts * 1000))})
	}
	return dst, nil
}

func (w *watching) Close() error { return nil }

// From a load that is switched to a meter that knows its error: the whole way, as meterd characterise and meterd run go it.
func TestTheWholeWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &device{begin: time.Now()}
		scale := power.Scale{Num: 1000, Den: 1}
		sensor := &watching{d, power.Meter{ID: "gpu/0/instant", Device: "gpu-0", Scope: power.Accelerator, Quantity: power.Instant, Scale: scale, Accuracy: -1}, 0.1, 0.05, 0.93}
		better := &watching{d, power.Meter{ID: "analyser/0", Device: "gpu-0", Scope: power.Accelerator, Quantity: power.Instant, Scale: scale,
			Averaging: 10 * time.Millisecond, Delay: 5 * time.Millisecond, DelayFrom: power.Specification, Accuracy: 0.004, AccuracyFrom: power.Specification}, 0.01, 0.01, 1}

		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var traces, reference []characterise.Trace
		var errs [2]error
		wg.Go(func() { traces, errs[0] = characterise.Record(ctx, sensor, 7*time.Millisecond) })
		wg.Go(func() { reference, errs[1] = characterise.Record(ctx, better, 3*time.Millisecond) })
		marks, err := characterise.Drive(ctx, characterise.Schedule{Cycles: 8, Shortest: time.Second, Seed: 1}, d.load, func() clock.Stamp { return clock.At(time.Now()) })
		stop()
		wg.Wait()
		if err != nil || errs[0] != nil || errs[1] != nil {
			t.Fatal(err, errs)
		}

		ref, err := characterise.FromTrace(reference[0])
		if err != nil {
			t.Fatal(err)
		}
		result, err := characterise.Measure(traces[0], &ref, marks, characterise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		record := New(sensor.meter, result, &ref, Circumstances{Host: "h", Date: time.Now(), Versions: map[string]string{"driver": "1"}})
		if _, err := record.Write(dir); err != nil {
			t.Fatal(err)
		}
		set, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		m, note, err := set.Apply(sensor.meter, Conditions{Now: time.Now().Add(time.Hour), Versions: map[string]string{"driver": "1"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %+v", note.Value, m)
		if (m.Period-100*time.Millisecond).Abs() > record.Period.U || (m.Averaging-50*time.Millisecond).Abs() > record.Window.U || (m.Delay-25*time.Millisecond).Abs() > record.Delay.U {
			t.Errorf("period %v, window %v, delay %v", m.Period, m.Averaging, m.Delay)
		}
		if gain := float64(m.GainPPM) / 1e6; math.Abs(gain/0.93-1) > m.Accuracy || m.Accuracy < 0.002 || m.Accuracy > 0.01 || m.AccuracyFrom != power.Measured {
			t.Errorf("gain %v ± %v, want 0.93 and the reference's 0.4 %%", gain, m.Accuracy)
		}
		if slices.Contains(record.Notes, "") {
			t.Errorf("%q", record.Notes)
		}
	})
}
