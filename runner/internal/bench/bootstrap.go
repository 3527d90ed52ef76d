package bench

import (
	"cmp"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// The bootstrap's resamples, and which of their ordered estimates bound the 95 % interval.
const (
	resamples   = 1000
	lowEstimate = resamples / 40 // 2.5 % lie below
)

// interval returns the 95 % percentile-bootstrap interval of quantile q, and the number of plays it rests on. Whole
// trajectory plays are drawn with replacement, not requests: the turns of one play share its context, its cache and its
// place in the queue, and an interval that took them for independent would be too narrow (METHOD 4).
//
// The values are sorted once. A resample is a weight per play, its quantile a walk over the sorted values from the nearer
// end until their weights reach the rank.
func interval(values []float64, plays []play, q float64, seed uint64) (low, high float64, clusters int) {
	if len(values) == 0 {
		return math.NaN(), math.NaN(), 0
	}
	sorted, sizes := clusterValues(values, plays)
	rng := rand.NewPCG(seed, math.Float64bits(q))
	weights := make([]int32, len(sizes))
	estimates := make([]float64, resamples)
	for i := range estimates {
		clear(weights)
		total := 0
		for range sizes {
			c, _ := bits.Mul64(rng.Uint64(), uint64(len(sizes))) // a play; the bias is below 2^-40
			weights[c]++
			total += sizes[c]
		}
		estimates[i] = weightedQuantile(sorted, weights, total, q)
	}
	slices.Sort(estimates)
	return estimates[lowEstimate], estimates[resamples-1-lowEstimate], len(sizes)
}

// clusterValue is a value and the index of its play.
type clusterValue struct {
	value   float64
	cluster int32
}

// clusterValues sorts the values and numbers their plays by first appearance. sizes holds the number of values of each play.
func clusterValues(values []float64, plays []play) (sorted []clusterValue, sizes []int) {
	index := make(map[play]int32)
	sorted = make([]clusterValue, len(values))
	for i, v := range values {
		c, ok := index[plays[i]]
		if !ok {
			c = int32(len(sizes))
			index[plays[i]] = c
			sizes = append(sizes, 0)
		}
		sizes[c]++
		sorted[i] = clusterValue{v, c}
	}
	slices.SortFunc(sorted, func(a, b clusterValue) int { return cmp.Compare(a.value, b.value) })
	return sorted, sizes
}

// weightedQuantile returns the nearest-rank quantile of values that each count weights[cluster] times, total in all.
func weightedQuantile(sorted []clusterValue, weights []int32, total int, q float64) float64 {
	k := rank(q, total)
	if q <= 0.5 {
		sum := 0
		for i := range sorted {
			if sum += int(weights[sorted[i].cluster]); sum >= k {
				return sorted[i].value
			}
		}
	}
	sum := total // weight of the values at and below i
	for i := len(sorted) - 1; i > 0; i-- {
		if sum -= int(weights[sorted[i].cluster]); sum < k {
			return sorted[i].value
		}
	}
	return sorted[0].value
}
