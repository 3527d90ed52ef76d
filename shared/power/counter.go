package power

import "time"

// count turns the counts read into one that never goes back: over a wrap it goes on, over a reset it stands still, so that
// no energy comes from either. It needs the counter's period, which it infers first where the counter is slower than declared.
func (s *Series) count() {
	if len(s.at) > 1 && s.before[1] > s.at[0] {
		// The counter was read again before it first changed: when it came to its first value is not known.
		s.at, s.before, s.within, s.value = s.at[1:], s.before[1:], s.within[1:], s.value[1:]
	}
	s.period = s.pace()
	s.limit = max(3*s.period, leastGap)
	most := s.meter.bound()
	last, total := int64(0), int64(0)
	for k, raw := range s.value {
		if k > 0 {
			moved, what := s.meter.moved(last, raw, s.atMost(most, s.at[k]-s.before[k-1]+s.period))
			if total+moved < total { // beyond int64: no device ran that long
				moved, what = 0, Implausible
			}
			total += moved
			if what != "" {
				s.events = append(s.events, event{k, what})
			}
			if s.at[k]-s.at[k-1] > s.limit {
				s.events = append(s.events, event{k, Gap})
			}
		}
		last, s.value[k] = raw, total
	}
}

// moved returns by how many counts a counter moved between two readings when it can have moved by most: forward, or over
// its wrap. A counter that went back otherwise was reset; one that ran ahead faster than it can is not believed.
func (m Meter) moved(from, to, most int64) (counts int64, what Code) {
	switch {
	case to >= from && to-from <= most:
		return to - from, ""
	case to >= from:
		return 0, Implausible
	case m.Wrap > 0 && m.Wrap-from+to <= most: // from < Wrap: see mostCount
		return m.Wrap - from + to, Wrapped
	}
	return 0, Reset
}

// Resolution returns by how many raw counts the value moves at least.
func (m Meter) Resolution() int64 { return max(m.Step, 1) }

// atMost returns how many counts power p makes in d µs, and one step more for what was about to come.
func (s *Series) atMost(p Power, d int64) int64 {
	energy := mulDiv(int64(p), d, second)
	counts := mulDiv(energy, s.meter.Scale.Den, s.meter.Scale.Num)
	return max(counts+s.meter.Resolution(), counts)
}

// pace returns the time between fresh values of a counter in µs. Where nobody knows it, and where the counter moves by one
// step at a time because the count is coarse, the data says it: the median time between changes that had re-reads
// between them. Changes without are as far apart as the reads and say nothing about the meter.
func (s *Series) pace() int64 {
	declared := int64(s.meter.Period / time.Microsecond)
	known := declared > 0 || s.meter.PeriodFrom != Unknown
	var between []int64
	for k := 1; k < len(s.at); k++ {
		if s.before[k] > s.at[k-1] && (!known || s.value[k]-s.value[k-1] == s.meter.Resolution()) {
			between = append(between, s.at[k]-s.at[k-1])
		}
	}
	return max(declared, quantile(between, len(s.at)-1, 2))
}

// bound returns the most that the device can draw: a fifth above its limit, or if that is not known what nothing in its
// scope draws.
func (m Meter) bound() Power {
	if m.Limit > 0 {
		return Power(mulDiv(int64(m.Limit), 6, 5))
	}
	switch m.Scope {
	case Rack:
		return Megawatt
	case Node:
		return 100 * Kilowatt
	}
	return 10 * Kilowatt
}

// mostCount returns the largest raw value that can be. A power may for a moment exceed the limit that holds in the mean.
func (m Meter) mostCount() int64 {
	const fits = 1 << 61 // so that twice the sum of two values fits
	switch {
	case m.Quantity != Counter:
		return min(mulDiv(int64(2*min(m.bound(), fits)), m.Scale.Den, m.Scale.Num), fits)
	case m.Wrap > 0:
		return m.Wrap - 1
	}
	return unlimited
}
