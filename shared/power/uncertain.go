package power

import (
	"math"
	"time"

	"agentwatt/shared/clock"
)

// defaultAccuracy is METHOD's gain error (k = 2) of a meter whose accuracy is not known.
const defaultAccuracy = 0.05

// uncertainty returns the budget of u, each term relative to its energy at k = 1 (reference: METHOD 6, GUM). Clock and
// Bracket are the caller's to fill: see ClockTerm.
func (s *Series) uncertainty(u Use, q question, c covered) Uncertainty {
	e := float64(u.Energy)
	relative := func(x float64) float64 {
		switch {
		case x == 0:
			return 0
		case x >= e: // nothing is known, and 0 W ± something has no relative uncertainty
			return 1
		}
		return x / e
	}
	return Uncertainty{
		Gain:         s.meter.gain(),
		Quantisation: relative(s.quantisation(u)),
		Sampling:     relative(s.sampling(q) * u.Measured.Seconds()),
		Edges:        relative(math.Hypot(s.edge(q.from, u), s.edge(q.to, u))),
		Gaps:         relative(s.missing(u, c)),
	}
}

// gain returns the standard uncertainty of the meter's gain: half of its accuracy, which is at k = 2.
func (m Meter) gain() float64 {
	if m.Accuracy < 0 {
		return defaultAccuracy / 2
	}
	return m.Accuracy / 2
}

// quantisation returns the uncertainty in µJ from the size q of one step: q/√12 at each edge for a counter, q/√6 for the
// difference. For a power it is q/√12 the whole time: the rounding error of a constant load is constant.
func (s *Series) quantisation(u Use) float64 {
	q := float64(s.meter.Resolution()) * float64(s.meter.Scale.Num) / float64(s.meter.Scale.Den)
	if s.meter.Quantity == Counter {
		return q / math.Sqrt(6)
	}
	return q / math.Sqrt(12) * u.Measured.Seconds()
}

// sampling returns the uncertainty in µW of the mean of an Instant sensor that sees only Averaging of every Period:
//
//	σ / √N_eff · √(1 - seen),  N_eff = N / (1 - ρ),  seen = Averaging / Period
//
// σ is the spread of the fresh values and ρ the correlation of neighbours. What we want is the integral over this very
// window, not the mean of a process: a swing that lasts over several values (ρ near 1) is followed by them, and only what
// changes from one value to the next is left to chance. σ²(1-ρ) is half the mean square of the differences.
func (s *Series) sampling(q question) float64 {
	m := s.meter
	if m.Quantity != Instant || s.period > 0 && int64(m.Averaging/time.Microsecond) >= s.period {
		return 0
	}
	i, _ := s.locate(q.from)
	j, _ := s.locate(q.to)
	var squares float64
	n, seen := 1, int64(0)
	for k := i + 1; k <= j; k++ {
		if d := s.at[k] - s.at[k-1]; d <= s.limit {
			step := float64(s.value[k] - s.value[k-1])
			squares += step * step
			n, seen = n+1, seen+d
		}
	}
	values, unseen := float64(n), 1.0
	if s.period > 0 { // equal neighbours may have been removed as re-reads; the sensor refreshed all the same
		values = max(values, float64(seen)/float64(s.period))
		unseen -= float64(m.Averaging/time.Microsecond) / float64(s.period)
	}
	micro := float64(m.Scale.Num) / float64(m.Scale.Den)
	return micro * math.Sqrt(squares/2*unseen) / values
}

// edge returns the uncertainty in µJ from the edge at x, P·τ/√12 with the local power P. τ is where the edge can lie:
//
//   - Counter: between the two fresh values around it, as the power between them may have taken any course.
//   - Instant and Mean: between the read that gave the new value and the one before, but at most a period.
//   - Held: one period, as nothing tells when the device refreshed the value.
//
// The duration of the read comes on top. A Mean meter drops one window at the edge and takes the mean of the rest for it:
// that is wrong by up to the difference between the power there and the mean, over the window.
func (s *Series) edge(x int64, u Use) float64 {
	if len(s.at) < 2 {
		return 0
	}
	k, _ := s.locate(x)
	k = min(k+1, len(s.at)-1)
	tau := min(s.at[k]-s.before[k], s.period)
	switch s.meter.Quantity {
	case Counter:
		tau = s.at[k] - s.at[k-1]
	case Held:
		tau = max(tau, s.period)
	}
	read := 2 * max(s.within[k], s.within[k-1])
	p := s.power(x)
	e := p * math.Hypot(float64(tau), float64(read)) / float64(second) / math.Sqrt(12)
	dropped := math.Abs(p-float64(u.Mean)) * s.meter.dropped().Seconds() / math.Sqrt(3)
	return math.Hypot(e, dropped)
}

// missing returns the uncertainty in µJ from the time whose energy is not known. The device drew between nothing and its
// limit (or twice the mean, where the limit is not known) and was taken to draw the mean.
func (s *Series) missing(u Use, c covered) float64 {
	mean := float64(u.Mean)
	most := 2 * mean
	if s.meter.Limit > 0 {
		most = float64(s.meter.Limit)
	}
	return time.Duration(c.lost).Seconds() * max(mean, most-mean) / math.Sqrt(3)
}

// ClockTerm returns the relative standard uncertainty (k = 1) of the mean power over [begin, end) that comes from an
// uncertainty dt (k = 1) of the meter's clock against the interval's: |P(end) - P(begin)| · dt / E. It is 0 where there is
// no energy to relate it to.
func (s *Series) ClockTerm(begin, end clock.Stamp, dt time.Duration) float64 {
	q := s.question(begin, end)
	if s.problem != "" || len(s.at) == 0 || q.to <= q.from {
		return 0
	}
	e := float64(s.energy(q.from, q.to))
	if e <= 0 {
		return 0
	}
	return math.Abs(s.power(q.to)-s.power(q.from)) * math.Abs(dt.Seconds()) / e
}
