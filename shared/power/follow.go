package power

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"agentwatt/shared/clock"
)

// Follower reads one meter's samples as they come and finds what a Series finds in all of them at once: fresh values, and the
// energy between each and the next. It needs the last fresh value only, so it can go on for ever. Samples must come in order.
//
// It differs from a Series in one thing: how often a meter is refreshed whose period nobody declared, a Series infers from all
// samples, a Follower from those so far.
type Follower struct {
	meter   Meter // with its calibration worked into the scale
	broken  bool  // the declaration makes no sense: no sample can be used
	most    int64 // the largest raw value that can be
	divisor int64 // of a count (Counter) or of twice a count times a µs (others), for µJ
	period  int64 // between fresh values, in µs
	state   FollowerState
}

// FollowerState is all that a Follower remembers, in whole numbers, so that it can be stored and go on elsewhere. Times are in
// µs since the Unix epoch.
type FollowerState struct {
	Last     int64   // last read with a value; 0: none yet
	At       int64   // last fresh value: when it was first seen,
	Before   int64   // the read before that,
	Within   int64   // half of the read's duration,
	Value    int64   // and the raw count
	Starting bool    // Counter: that is the first value
	Rest     int64   // what rounding to whole µJ has left so far, in parts of the divisor
	Recent   []int64 // where the period is inferred: the last times between changes; 0: one that says nothing of it
}

// mostRecent bounds FollowerState.Recent.
const mostRecent = 32

// Reading says what a sample was worth.
type Reading uint8

// What Take makes of a sample.
const (
	Again      Reading = iota // the value that is known already
	Fresh                     // a fresh value
	Absent                    // no value: see Status
	Impossible                // a value that cannot be, or a second one at one time
	Late                      // from before what was read already, so left out
)

// Stretch is the time between two fresh values of a meter, on the time axis of its device: readings less Delay and, of a mean,
// less half of its window. What lies between two stretches, or is not Known, has no energy: nothing is extrapolated.
type Stretch struct {
	Begin, End clock.Stamp   //
	Energy     Energy        // drawn in between; 0 unless Known
	From, To   Power         // the power goes from here to there in a straight line; equal but for Instant and Mean
	Known      bool          // the energy is known
	Covered    bool          // and so is its course: no gap
	Gap        bool          // longer than max(3 periods, 0.5 s)
	Reset      bool          // the counter went backward, or ran ahead faster than it can
	Blur       time.Duration // a cut inside is uncertain by this long: times the power there, over √12, for an energy at k = 1
	Chance     float64       // µJ, k = 1: what a part-time sensor did not see
}

// Follow returns a Follower of a meter. A zero state is a new beginning; any other must be of the same meter.
func Follow(m Meter, state FollowerState) *Follower {
	f := &Follower{meter: m.corrected(), state: state}
	f.broken = m.problem() != "" || f.meter.problem() != ""
	if f.broken {
		return f
	}
	f.state.Recent = slices.Clone(state.Recent)
	f.most = m.mostCount()
	f.divisor = f.meter.Scale.Den
	if m.Quantity != Counter {
		f.divisor *= 2 * second
	}
	if state.At == 0 {
		f.state.Rest = f.divisor / 2 // so that sums are rounded to the nearest
	}
	f.infer()
	return f
}

// State returns what is to be remembered.
func (f *Follower) State() FollowerState {
	s := f.state
	s.Recent = slices.Clone(s.Recent)
	return s
}

// Shift returns how long before its reading a value describes the device.
func (f *Follower) Shift() time.Duration { return f.meter.shift() }

// Limit returns the time between fresh values above which METHOD 6 speaks of a gap.
func (f *Follower) Limit() time.Duration { return micros(max(3*f.period, leastGap)) }

// Take reads a sample. A stretch ends with a Fresh value; where none does, because it is the first, End is 0.
func (f *Follower) Take(x Sample) (Stretch, Reading) {
	if f.meter.Buffered && x.Device != 0 {
		x.Time = x.Device
	}
	s, at := &f.state, int64(x.Time)/int64(time.Microsecond)
	again := int64(unlimited)
	if f.meter.Quantity != Counter {
		again = f.period + f.period/2
	}
	switch {
	case at <= 0:
		return Stretch{}, Late
	case x.Status != OK:
		return Stretch{}, Absent
	case f.broken || x.Raw < 0 || x.Raw > f.most:
		return Stretch{}, Impossible
	case s.Last == 0:
		s.Last = at
	case at < s.Last:
		return Stretch{}, Late
	case at == s.Last && x.Raw != s.Value:
		return Stretch{}, Impossible
	case at == s.Last:
		return Stretch{}, Again
	case x.Raw == s.Value && at-s.At < again && at-s.Last < again/2:
		s.Last = at
		return Stretch{}, Again
	}
	return f.fresh(at, int64(x.Within/time.Microsecond), x.Raw), Fresh
}

// fresh takes a fresh value and returns the stretch that it ends.
func (f *Follower) fresh(at, within, raw int64) (st Stretch) {
	old := f.state
	f.state.At, f.state.Before, f.state.Within, f.state.Value, f.state.Last = at, old.Last, within, raw, at
	f.state.Starting = old.At == 0
	switch {
	case old.At == 0:
		return st
	case old.Starting && f.meter.Quantity == Counter && old.Last > old.At:
		return st // read again before it first changed: when it came to its first value is not known
	}
	f.learn(old, raw)
	d := at - old.At
	shift := f.meter.shift()
	st = Stretch{Begin: stamp(old.At).Add(-shift), End: stamp(at).Add(-shift), Gap: d > int64(f.Limit()/time.Microsecond)}
	if f.meter.Quantity == Counter {
		f.counted(&st, old, raw)
	} else {
		f.integrated(&st, old, raw)
	}
	st.Blur = f.blur(old, within)
	return st
}

// counted fills in what a counter says about the time from old to now.
func (f *Follower) counted(st *Stretch, old FollowerState, raw int64) {
	d := f.state.At - old.At
	series := Series{meter: f.meter} // for its bound only
	moved, what := f.meter.moved(old.Value, raw, series.atMost(f.meter.bound(), f.state.At-old.Before+f.period))
	st.Reset = what == Reset || what == Implausible
	st.Known, st.Covered = !st.Reset, !st.Reset && !st.Gap
	st.Energy = f.microjoules(uint64(moved), 1)
	st.From = st.Energy.Over(micros(d))
	st.To = st.From
}

// integrated fills in what a power says about the time from old to now.
func (f *Follower) integrated(st *Stretch, old FollowerState, raw int64) {
	st.Known, st.Covered = !st.Gap, !st.Gap
	if st.Gap {
		return
	}
	begin, end := old.Value, raw
	if f.meter.Quantity == Held {
		end = begin
	}
	d := f.state.At - old.At
	st.Energy = f.microjoules(uint64(d), uint64(begin)+uint64(end))
	st.From = Power(mulDiv(begin, f.meter.Scale.Num, f.meter.Scale.Den))
	st.To = Power(mulDiv(end, f.meter.Scale.Num, f.meter.Scale.Den))
	st.Chance = f.chance(d, raw-old.Value)
}

// microjoules returns a·b counts in µJ, rounded so that the sum of all that it returns is that of the exact values.
func (f *Follower) microjoules(a, b uint64) Energy {
	hi, n := bits.Mul64(a, b)
	if hi != 0 {
		return math.MaxInt64
	}
	hi, lo := bits.Mul64(n, uint64(f.meter.Scale.Num))
	lo, carry := bits.Add64(lo, uint64(f.state.Rest), 0)
	hi += carry
	if hi >= uint64(f.divisor) {
		return math.MaxInt64
	}
	q, rest := bits.Div64(hi, lo, uint64(f.divisor))
	f.state.Rest = int64(rest)
	return Energy(min(q, math.MaxInt64))
}

// chance is the share of one stretch in Series.sampling, as an energy: the squares of all add up.
func (f *Follower) chance(d, step int64) float64 {
	averaging := int64(f.meter.Averaging / time.Microsecond)
	if f.meter.Quantity != Instant || f.period > 0 && averaging >= f.period {
		return 0
	}
	unseen := 1.0
	if f.period > 0 {
		unseen -= float64(averaging) / float64(f.period)
		d = min(d, f.period)
	}
	micro := float64(f.meter.Scale.Num) / float64(f.meter.Scale.Den)
	return math.Abs(float64(step)) * micro * math.Sqrt(unseen/2) * micros(d).Seconds()
}

// blur is the width in time of an edge that lies between old and now: see Series.edge.
func (f *Follower) blur(old FollowerState, within int64) time.Duration {
	tau := min(f.state.At-f.state.Before, f.period)
	switch f.meter.Quantity {
	case Counter:
		tau = f.state.At - old.At
	case Held:
		tau = f.period
	}
	return micros(int64(math.Round(math.Hypot(float64(tau), float64(2*max(within, old.Within))))))
}

// learn notes the time from one change to the next, where the period is to be inferred from it: see refresh and Series.pace.
func (f *Follower) learn(old FollowerState, raw int64) {
	m := &f.meter
	known := m.Period > 0 || m.PeriodFrom != Unknown
	if raw == old.Value || known && m.Quantity != Counter {
		return
	}
	d := int64(0)
	if old.Last > old.At && (!known || raw-old.Value == m.Resolution()) {
		d = f.state.At - old.At
	}
	if s := &f.state; d > 0 || len(s.Recent) > 0 {
		if len(s.Recent) == mostRecent {
			s.Recent = slices.Delete(s.Recent, 0, 1)
		}
		s.Recent = append(s.Recent, d)
		f.infer()
	}
}

// infer sets the period: what is declared, or what the recent changes say.
func (f *Follower) infer() {
	f.period = int64(f.meter.Period / time.Microsecond)
	if len(f.state.Recent) == 0 {
		return
	}
	between := slices.DeleteFunc(slices.Clone(f.state.Recent), func(d int64) bool { return d == 0 })
	part := 4
	if f.meter.Quantity == Counter {
		part = 2
	}
	f.period = max(f.period, quantile(between, len(f.state.Recent), part))
}

// Until returns the energy of a stretch from its beginning to x inside it. It is a function of the time alone, so the energies of
// adjacent parts add up to the microjoule.
func (s Stretch) Until(x clock.Stamp) Energy {
	whole, part := int64(s.End-s.Begin), int64(x-s.Begin)
	switch {
	case part <= 0:
		return 0
	case part >= whole:
		return s.Energy
	case s.From == s.To:
		return Energy(mulDiv(int64(s.Energy), part, whole))
	}
	// The mean power up to x over that of the whole, times the time.
	f := float64(part) / float64(whole)
	mean := float64(s.From) + float64(s.To-s.From)*f/2
	return Energy(math.Round(float64(s.Energy) * f * mean / (float64(s.From) + float64(s.To-s.From)/2)))
}

// At returns the power at x inside a stretch.
func (s Stretch) At(x clock.Stamp) Power {
	if s.From == s.To || s.End <= s.Begin {
		return s.From
	}
	return s.From + Power(math.Round(float64(s.To-s.From)*float64(x-s.Begin)/float64(s.End-s.Begin)))
}

// Budget returns the uncertainty of an energy that a Follower's stretches add up to: measured of it is known, lost is time
// without energy beside it. edges are the uncertainties of where it begins and ends and chance is that of its stretches, in µJ at
// k = 1. Clock and Bracket are left out.
func (m Meter) Budget(e Energy, measured, lost time.Duration, edges, chance float64) Uncertainty {
	s := Series{meter: m.corrected()}
	if m.problem() != "" || s.meter.problem() != "" {
		return Uncertainty{}
	}
	u := Use{Energy: e, Measured: measured, Mean: e.Over(measured)}
	relative := func(x float64) float64 {
		if x == 0 {
			return 0
		}
		return min(1, x/max(float64(e), 1))
	}
	return Uncertainty{
		Gain: m.gain(), Quantisation: relative(s.quantisation(u)), Sampling: relative(chance),
		Edges: relative(edges), Gaps: relative(s.missing(u, covered{lost: int64(lost)})),
	}
}
