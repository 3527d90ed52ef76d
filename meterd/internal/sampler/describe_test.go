package sampler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
)

func TestPublishedPeriod(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		name     string
		interval time.Duration
		declared time.Duration
		from     power.Origin
		measured time.Duration
		want     time.Duration
		wantFrom power.Origin
	}{
		{"as declared", 100 * ms, 100 * ms, power.Publication, 0, 100 * ms, power.Publication},
		{"measured wins", 100 * ms, 100 * ms, power.Publication, 20 * ms, 20 * ms, power.Measured},
		{"read less often than it refreshes", 500 * ms, 100 * ms, power.Publication, 0, 500 * ms, power.Publication},
		{"an assumption becomes a schedule", time.Second, 100 * ms, power.Assumed, 0, time.Second, power.Specification},
		{"no excuse beyond a second", 10 * time.Second, 100 * ms, power.Publication, 0, time.Second, power.Publication},
		{"slower than a second, read less often still", 10 * time.Second, 5 * time.Second, power.Measured, 0, 5 * time.Second, power.Measured},
		{"slower than its schedule", time.Second, 5 * time.Second, power.Measured, 0, 5 * time.Second, power.Measured},
		{"not known stays not known", time.Second, 0, power.Unknown, 0, 0, power.Unknown},
		{"fast schedules change nothing", 100 * ms, ms, power.Specification, 0, ms, power.Specification},
	} {
		d := description{interval: c.interval}
		m := power.Meter{ID: "m", Period: c.declared, PeriodFrom: c.from}
		d.learn(MeterTiming{Meter: m, Period: c.measured, Changes: enoughChanges})
		got := d.of([]power.Meter{m})[0]
		if got.Period != c.want || got.PeriodFrom != c.wantFrom {
			t.Errorf("%s: period %v from %v, want %v from %v", c.name, got.Period, got.PeriodFrom, c.want, c.wantFrom)
		}
	}
}

func TestAPeriodThatIsOnlyABoundIsNotLearned(t *testing.T) {
	for _, timing := range []MeterTiming{
		{Period: time.Second, Changes: 100, Bound: true}, {Period: time.Second, Changes: enoughChanges - 1}, {Changes: 100},
	} {
		var d description
		timing.Meter.ID = "m"
		d.learn(timing)
		if got := d.of([]power.Meter{{ID: "m"}})[0].Period; got != 0 {
			t.Errorf("%+v: published %v", timing, got)
		}
	}
}

// A calibration that expires changes the published meters within a minute, and only then is there a new slice.
func TestCalibrationIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expires := time.Now().Add(150 * time.Second)
		bus, s := &tape{}, newSampler(newFake(0), nil)
		s.Bus = bus
		s.Refine = func(m power.Meter) power.Meter {
			if time.Now().Before(expires) {
				m.GainPPM = 950_000
			}
			return m
		}
		if _, err := runFor(t, s, 5*time.Minute); err != nil {
			t.Fatal(err)
		}
		changes := 0
		for i, b := range bus.batches {
			calibrated := b.Meters[0].GainPPM != 0
			late := b.Samples[0].Time.Sub(s.Clock.Now().Add(-5*time.Minute)) > 181*time.Second
			if late == calibrated && b.Samples[0].Time.Sub(s.Clock.Now().Add(-5*time.Minute)) < 149*time.Second {
				t.Errorf("batch %d: calibrated %v", i, calibrated)
			}
			if i > 0 && !same(b.Meters, bus.batches[i-1].Meters) {
				changes++
			}
		}
		if changes != 1 || bus.batches[len(bus.batches)-1].Meters[0].GainPPM != 0 {
			t.Errorf("the meters changed %d times, want once, to the uncalibrated form", changes)
		}
	})
}

// stepping is a source whose value changes every period, whatever the schedule.
type stepping struct {
	fake
	period time.Duration
	began  time.Time
}

func (s *stepping) Read(_ context.Context, dst []power.Sample) ([]power.Sample, error) {
	t, within := Stamp(stampNow(), stampNow())
	return append(dst, power.Sample{Time: t, Within: within, Raw: int64(time.Since(s.began) / s.period)}), nil
}

func TestStudyMeasuresTheSensor(t *testing.T) {
	for _, c := range []struct {
		name             string
		interval, period time.Duration
		after            time.Duration // when the stream must know it
	}{
		{"fast, before the schedule", 100 * time.Millisecond, 100 * time.Millisecond, 3 * time.Second},
		{"slow, on the schedule", time.Second, 5 * time.Second, 4 * time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			src := &stepping{fake: *newFake(0), period: c.period, began: time.Now()}
			src.meters = meters(1)
			bus := &tape{}
			s := newSampler(src, bus)
			s.Interval, s.Study = c.interval, 2*time.Second
			if _, err := runFor(t, s, c.after); err != nil {
				t.Fatal(err)
			}
			m := bus.batches[len(bus.batches)-1].Meters[0]
			if m.PeriodFrom != power.Measured || m.Period < c.period*95/100 || m.Period > c.period*105/100 {
				t.Errorf("%s: period %v from %v, want %v measured", c.name, m.Period, m.PeriodFrom, c.period)
			}
			keys := map[string]bool{}
			for _, n := range notes(bus) {
				keys[n.Key] = true
			}
			for _, want := range []string{"measured_period_seconds", "fresh_share", "read_p50_seconds", "read_p99_seconds"} {
				if !keys[want] {
					t.Errorf("%s: no note %s", c.name, want)
				}
			}
		})
	}
}

// noting is a source with one note per read.
type noting struct{ fake }

func (n *noting) Notes(dst []power.Note) []power.Note {
	return append(dst, power.Note{Key: "k", Value: "v", Time: stampNow()})
}

func TestNotesTravelWithTheirReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, bus := &noting{*newFake(0)}, &tape{}
		s := newSampler(src, bus)
		if _, err := runFor(t, s, 3450*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		for i, b := range bus.batches {
			if got, want := len(b.Notes), len(b.Samples)/2; got != want {
				t.Errorf("batch %d: %d notes for %d reads", i, got, want)
			}
		}
	})
}

func TestTheSamplerSaysWhatWatchingCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &tape{}
		s := newSampler(newFake(3*time.Millisecond), bus)
		var used time.Duration
		s.Usage = func() time.Duration { used += 3 * time.Second; return used }
		if _, err := runFor(t, s, 150*time.Second); err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for _, n := range notes(bus) {
			got[n.Key] = n.Value
		}
		if got["meterd_cpu_share"] != "0.05" || !strings.HasPrefix(got["read_max_seconds"], "0.003") {
			t.Errorf("notes %v, want a processor share of 0.05 and reads of 3 ms", got)
		}
	})
}

// away is a device that can be opened only at times.
type away struct {
	here, gone bool
	refuses    bool
	tried      int
	opened     int
	fake
}

func (a *away) open(context.Context) (Source, error) {
	a.tried++
	if a.refuses {
		return nil, fmt.Errorf("log in: %w", ErrRefused)
	}
	if !a.here {
		return nil, errors.New("no answer")
	}
	a.opened++
	a.meters = meters(1)
	return a, nil
}

func (a *away) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if a.gone {
		return dst, ErrGone
	}
	return a.fake.Read(ctx, dst)
}

// A wrong password must not lock the account.
func TestKeepDoesNotHammerWhoRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := &away{fake: *newFake(0), refuses: true}
		src := Keep("bmc", time.Second, stampNow, slog.New(slog.DiscardHandler), dev.open)
		for range 3600 {
			if _, err := src.Read(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if dev.tried != 4 { // at 0, 5, 15 and 35 minutes
			t.Errorf("tried %d times in an hour, want 4", dev.tried)
		}
	})
}

func TestKeepOpensWhatWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dev := &away{fake: *newFake(0)}
		var log strings.Builder
		src := Keep("pdu", time.Second, stampNow, slog.New(slog.NewTextHandler(&log, nil)), dev.open)
		read := func(seconds int) (last []power.Sample) {
			for range seconds {
				var err error
				if last, err = src.Read(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
			return last
		}
		if got := read(10); len(got) != 0 || len(src.Meters()) != 0 {
			t.Fatalf("away: %d samples of %d meters", len(got), len(src.Meters()))
		}
		dev.here = true
		if got := read(70); len(got) != 1 || got[0].Status != power.OK {
			t.Fatalf("there: %v", got)
		}
		dev.here, dev.gone = false, true
		if got := read(10); len(got) != 1 || got[0].Status != power.Lost {
			t.Fatalf("gone: got %v, want one lost sample", got)
		}
		dev.here, dev.gone = true, false
		if got := read(70); len(got) != 1 || got[0].Status != power.OK || dev.opened != 2 {
			t.Fatalf("back: %v, opened %d times, want 2", got, dev.opened)
		}
		if n := strings.Count(log.String(), "source is away"); n != 2 {
			t.Errorf("the log says %d times that it is away, want once for each time:\n%s", n, log.String())
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
}
