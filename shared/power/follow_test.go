package power

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// disturbed returns the samples of l with what a real host adds: values that are read again, failed reads, gaps, and a counter
// that goes backward.
func disturbed(r *rand.Rand, l load) []Sample {
	var out []Sample
	away, back := 0, int64(0)
	for i, x := range l.samples {
		if r.IntN(40) == 0 {
			away = r.IntN(12)
		}
		if away--; away > 0 {
			continue
		}
		if l.meter.Quantity == Counter && r.IntN(150) == 0 {
			back = x.Raw
		}
		x.Raw -= back
		out = append(out, x)
		if r.IntN(4) == 0 && i+1 < len(l.samples) {
			again := x
			again.Time += clock.Stamp(time.Duration(r.Int64N(int64(l.samples[i+1].Time - x.Time))).Truncate(time.Microsecond))
			out = append(out, again)
		}
		if r.IntN(30) == 0 {
			x.Status, x.Time = Failed, x.Time+1000
			out = append(out, x)
		}
	}
	slices.SortStableFunc(out, inOrder)
	return out
}

// follow returns the stretches of all samples, going on from a stored state now and then.
func follow(r *rand.Rand, m Meter, samples []Sample) (list []Stretch) {
	f := Follow(m, FollowerState{})
	for _, x := range samples {
		if st, what := f.Take(x); what == Fresh && st.End != 0 {
			list = append(list, st)
		}
		if r.IntN(10) == 0 {
			f = Follow(m, f.State())
		}
	}
	return list
}

// What a Follower's stretches add up to over any interval is what Between says of it, which for a Mean drops a window at each end.
func TestFollowerAgreesWithBetween(t *testing.T) {
	eachLoad(t, all, func(t *testing.T, r *rand.Rand, l load) {
		l.meter.Period = time.Duration(1+r.Int64N(120)) * ms
		l.meter.Averaging = time.Duration(r.Int64N(int64(l.meter.Period)))
		if l.meter.Quantity == Mean {
			l.meter.Averaging = 2 * time.Duration(1+r.Int64N(600)) * ms
		}
		if r.IntN(3) == 0 {
			l.meter.GainPPM = 950_000 + r.Int64N(100_000)
		}
		samples := disturbed(r, l)
		series, list := NewSeries(l.meter, samples), follow(r, l.meter, samples)
		drop := l.meter.dropped()
		for range 10 {
			a, b := l.at(r), l.at(r)
			a, b = min(a, b), max(a, b)+1
			u := series.Between(a.Add(-drop), b.Add(drop))
			var e Energy
			var known, covered time.Duration
			for _, st := range list {
				from, to := max(a, st.Begin), min(b, st.End)
				if from >= to {
					continue
				}
				e += st.Until(to) - st.Until(from)
				if st.Known {
					known += to.Sub(from)
				}
				if st.Covered {
					covered += to.Sub(from)
				}
			}
			if off := e - u.Energy; off < -3 || off > 3 {
				t.Errorf("%v to %v: %d µJ by stretches, %d by Between", a, b, e, u.Energy)
			}
			if off := known - u.Measured; u.Measured > 0 && (off < -2 || off > 2) {
				t.Errorf("%v to %v: %v known by stretches, %v by Between", a, b, known, u.Measured)
			}
			if want := float64(b.Sub(a)) * u.Coverage; u.Measured > 0 && (float64(covered)-want > 1000 || float64(covered)-want < -1000) {
				t.Errorf("%v to %v: %v covered by stretches, %v by Between", a, b, covered, time.Duration(want))
			}
		}
	})
}

// A counter that is read at 1 Hz and moves one coarse step in 20 s has no gaps, once that is known.
func TestFollowerInfersPeriod(t *testing.T) {
	m := jouleMeter()
	m.Scale, m.Period, m.PeriodFrom = Scale{3_600_000_000, 1}, time.Second, Specification
	list := follow(rand.New(rand.NewPCG(1, 1)), m, every(0, 600_000, 1000, func(ms int64) int64 { return ms / 20_000 }))
	if n := len(list); n < 20 || !list[0].Gap || list[n-1].Gap || !list[n-1].Covered {
		t.Errorf("%d stretches, the last %+v", n, list[n-1])
	}
}

func TestFollowerReadings(t *testing.T) {
	f := Follow(wattMeter(Instant), FollowerState{})
	for i, c := range []struct {
		sample Sample
		want   Reading
	}{
		{Sample{Time: after(1000), Raw: 5}, Fresh},
		{Sample{Time: after(1000), Raw: 5}, Again},
		{Sample{Time: after(1000), Raw: 6}, Impossible},
		{Sample{Time: after(900), Raw: 6}, Late},
		{Sample{Time: after(1100), Status: Lost}, Absent},
		{Sample{Time: after(1200), Raw: -1}, Impossible},
		{Sample{Time: after(1300), Raw: 7}, Fresh},
	} {
		if _, got := f.Take(c.sample); got != c.want {
			t.Errorf("sample %d: %v, want %v", i, got, c.want)
		}
	}
	if _, got := Follow(Meter{}, FollowerState{}).Take(Sample{Time: after(1), Raw: 1}); got != Impossible {
		t.Errorf("a meter that makes no sense: %v", got)
	}
}

// Of one and the same interval the budget of the stretches is that of Between, but for where it cannot know better.
func TestBudgetAgreesWithBetween(t *testing.T) {
	eachLoad(t, []Quantity{Counter, Instant, Held}, func(t *testing.T, r *rand.Rand, l load) {
		l.meter.Period, l.meter.Averaging = 100*ms, 25*ms
		list := follow(r, l.meter, l.samples)
		begin, end := list[10].Begin, list[len(list)-10].End
		u := NewSeries(l.meter, l.samples).Between(begin, end)
		var chance float64
		for _, st := range list[10 : len(list)-9] {
			chance += st.Chance * st.Chance
		}
		got := l.meter.Budget(u.Energy, u.Measured, end.Sub(begin)-u.Measured, 0, math.Sqrt(chance))
		if got.Gain != u.Uncertainty.Gain || got.Quantisation != u.Uncertainty.Quantisation || got.Gaps != u.Uncertainty.Gaps {
			t.Errorf("got %+v, want %+v", got, u.Uncertainty)
		}
		if a, b := got.Sampling, u.Uncertainty.Sampling; a < b*0.5 || a > b*2 {
			t.Errorf("sampling %v, Between says %v", a, b)
		}
	})
}
