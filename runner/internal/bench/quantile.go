package bench

import (
	"math"
	"slices"
)

// rank returns the 1-based nearest rank of quantile q among n values: the smallest k with k/n >= q, at least 1.
//
// This is the conservative side for both directions: P95 of TTFT is the smallest x with at least 95 % of the values <= x,
// and P25 of speed, taken from below likewise, is the smallest x with at least 25 % of the values <= x, so that at least
// 75 % of the requests are at least that fast. Quantiles are whole tenths of a percent, and the
// arithmetic is in integers: 0.07*100 is more than 7 in floating point.
func rank(q float64, n int) int {
	permille := int(math.Round(q * 1000))
	return max(1, (permille*n+999)/1000)
}

// Quantile returns the nearest-rank quantile q of values, NaN if there are none. Values may hold infinities, not NaN.
func Quantile(values []float64, q float64) float64 { return Quantiles(values, q)[0] }

// Quantiles returns the nearest-rank quantiles qs of values, exact, without changing or sorting them; NaN for each if
// there are none. Values may hold infinities, not NaN.
//
// It is a radix select on the bits of the floats: all quantiles share one pass that counts and one that gathers the few
// buckets they fall in, so the cost hardly grows with their number.
func Quantiles(values []float64, qs ...float64) []float64 {
	out := make([]float64, len(qs))
	if len(values) == 0 {
		for i := range out {
			out[i] = math.NaN()
		}
		return out
	}
	ranks := make([]int, len(qs))
	for i, q := range qs {
		ranks[i] = rank(q, len(values)) - 1
	}
	if len(values) < smallEnoughToSort {
		sorted := slices.Clone(values)
		slices.Sort(sorted)
		for i, k := range ranks {
			out[i] = sorted[k]
		}
		return out
	}
	for i, key := range selectFloats(values, ranks) {
		out[i] = unkey(key)
	}
	return out
}
