package report

import "math"

// axis maps values to a coordinate. from and to are the coordinates of low and high.
type axis struct {
	low, high float64
	log       bool
	from, to  float64
}

// logFrom is the ratio of the largest to the smallest value from which an axis is logarithmic.
const logFrom = 30

// valueAxis returns an axis that shows all finite values: from zero, or logarithmic where they differ by more than logFrom.
func valueAxis(values []float64, from, to float64) axis {
	low, high := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 && !math.IsInf(v, 1) {
			low, high = min(low, v), max(high, v)
		}
	}
	low, high = max(low, high/1e9), min(high, 1e300) // a wider axis shows nothing
	switch {
	case high == 0:
		return axis{0, 1, false, from, to}
	case high/low > logFrom:
		return axis{low / 1.5, high * 1.5, true, from, to}
	}
	return axis{0, high * 1.12, false, from, to}
}

// at returns the coordinate of v. What is outside the axis, infinity included, sits at its end; NaN stays NaN.
func (a axis) at(v float64) float64 {
	if math.IsNaN(v) {
		return v
	}
	v = min(max(v, a.low), a.high)
	share := (v - a.low) / (a.high - a.low)
	if a.log {
		share = math.Log(v/a.low) / math.Log(a.high/a.low)
	}
	return a.from + share*(a.to-a.from)
}

// ticks returns about n round values on the axis.
func (a axis) ticks(n int) (list []float64) {
	if a.log {
		return a.logTicks(n)
	}
	step := roundStep((a.high - a.low) / float64(max(1, n)))
	for k := math.Ceil(a.low / step); k*step <= a.high*(1+1e-9); k++ {
		list = append(list, k*step)
	}
	return list
}

// logTicks takes 1, 2 and 5 of each decade, or only powers of ten where those are too many.
func (a axis) logTicks(n int) (list []float64) {
	for _, digits := range [][]float64{{1, 2, 5}, {1, 3}, {1}} {
		list = nil
		for e := math.Floor(math.Log10(a.low)); e <= math.Log10(a.high); e++ {
			for _, d := range digits {
				if v := d * math.Pow(10, e); v >= a.low && v <= a.high {
					list = append(list, v)
				}
			}
		}
		if len(list) <= n+1 {
			return list
		}
	}
	return list
}

// roundStep returns the smallest of 1, 2, 5 times a power of ten that is not below v.
func roundStep(v float64) float64 {
	if !(v > 0) || math.IsInf(v, 1) {
		return 1
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if m*p >= v*(1-1e-9) {
			return m * p
		}
	}
	return 10 * p
}
