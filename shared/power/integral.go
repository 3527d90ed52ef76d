package power

import (
	"math"
	"time"
)

// mostDen bounds Scale.Den so that Den times 2·10^6 fits.
const mostDen = math.MaxInt64 / (2 * second)

// trapezoid sums up the integral of a power that is read at points.
//
// The sums are exact and modulo 2^64: differences of them are right as long as the stretch itself fits, see area.
func (s *Series) trapezoid() {
	s.sum = make([]int64, len(s.at))
	s.gaps()
	trapezoid(s.at, s.value, s.sum, s.limit)
}

// hold sums up the integral of a power that stays until its next value.
func (s *Series) hold() {
	s.sum = make([]int64, len(s.at))
	s.gaps()
	hold(s.at, s.value, s.sum, s.limit)
}

// gaps notes the gaps between fresh values, and the largest value.
func (s *Series) gaps() {
	for k, v := range s.value {
		s.largest = max(s.largest, v)
		if k > 0 && s.at[k]-s.at[k-1] > s.limit {
			s.events = append(s.events, event{k, Gap})
		}
	}
}

// trapezoid sets sum[k] to twice the integral of value over at from at[0] to at[k], without stretches longer than limit.
func trapezoid(at, value, sum []int64, limit int64) {
	if len(at) == 0 {
		return
	}
	value, sum = value[:len(at)], sum[:len(at)]
	t, v, total := at[0], value[0], int64(0)
	for k, u := range at {
		w := value[k]
		if d := u - t; d <= limit {
			total += d * (v + w)
		}
		sum[k], t, v = total, u, w
	}
}

// hold is like trapezoid for values that stay until the next.
func hold(at, value, sum []int64, limit int64) {
	if len(at) == 0 {
		return
	}
	value, sum = value[:len(at)], sum[:len(at)]
	t, v, total := at[0], value[0], int64(0)
	for k, u := range at {
		if d := u - t; d <= limit {
			total += d * 2 * v
		}
		sum[k], t, v = total, u, value[k]
	}
}

// energy returns the energy in µJ between the readings' times from and to, in ns, without what lies outside the readings,
// over gaps (power) or over resets (counter). from must not be after to.
func (s *Series) energy(from, to int64) int64 {
	i, inFrom := s.locate(from)
	j, inTo := s.locate(to)
	if s.meter.Quantity == Counter {
		return s.counted(j, inTo) - s.counted(i, inFrom)
	}
	return max(0, s.area(i, j)+int64(math.Round(s.part(j, inTo)-s.part(i, inFrom))))
}

// locate returns the last fresh value not after x, in ns, and how long after it x is, in ns. Times before the first or
// after the last value are moved there.
func (s *Series) locate(x int64) (k int, after int64) {
	micros := x / int64(time.Microsecond)
	switch n := len(s.at); {
	case micros < s.at[0]:
		return 0, 0
	case micros >= s.at[n-1]:
		return n - 1, 0
	}
	k = s.find(micros)
	return k, x - s.at[k]*int64(time.Microsecond)
}

// counted returns a counter's energy in µJ, interpolated `after` ns after its fresh value k. It is a function of the time
// alone, rounded once, so energies of adjacent intervals add up to the microjoule.
func (s *Series) counted(k int, after int64) int64 {
	e := mulDiv(s.value[k], s.meter.Scale.Num, s.meter.Scale.Den)
	if after == 0 {
		return e
	}
	next := mulDiv(s.value[k+1], s.meter.Scale.Num, s.meter.Scale.Den)
	return e + mulDiv(next-e, after, (s.at[k+1]-s.at[k])*int64(time.Microsecond))
}

// area returns the energy of a power in µJ between the fresh values i and j. A stretch too long for 64 bits is halved.
func (s *Series) area(i, j int) int64 {
	d := s.at[j] - s.at[i]
	if fits(d, 2*s.largest) {
		return mulDiv(s.sum[j]-s.sum[i], s.meter.Scale.Num, s.meter.Scale.Den*2*second)
	}
	if j > i+1 {
		middle := i + (j-i)/2
		return s.area(i, middle) + s.area(middle, j)
	}
	return int64(math.Round(s.part(i, d*int64(time.Microsecond))))
}

// part returns the energy of a power in µJ in the first `after` ns after its fresh value k.
func (s *Series) part(k int, after int64) float64 {
	if after == 0 || s.at[k+1]-s.at[k] > s.limit {
		return 0
	}
	v := float64(s.value[k])
	if s.meter.Quantity != Held {
		whole := float64((s.at[k+1] - s.at[k]) * int64(time.Microsecond))
		v += float64(s.value[k+1]-s.value[k]) * float64(after) / whole / 2
	}
	return v * float64(s.meter.Scale.Num) / float64(s.meter.Scale.Den) * float64(after) / float64(time.Second)
}

// power returns the power in µW at x, in ns, on the readings' axis: of a counter the mean between the fresh values around x.
func (s *Series) power(x int64) float64 {
	k, after := s.locate(x)
	micro := float64(s.meter.Scale.Num) / float64(s.meter.Scale.Den)
	if s.meter.Quantity == Counter {
		if k = min(k, len(s.at)-2); k < 0 {
			return 0
		}
		return float64(s.value[k+1]-s.value[k]) * micro / (float64(s.at[k+1]-s.at[k]) / float64(second))
	}
	v := float64(s.value[k])
	if after > 0 && s.meter.Quantity != Held {
		v += float64(s.value[k+1]-s.value[k]) * float64(after) / float64((s.at[k+1]-s.at[k])*int64(time.Microsecond))
	}
	return v * micro
}
