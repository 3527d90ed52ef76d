package power

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// The limits of METHOD 6 for a counter and the integrated power of one device.
const (
	crossWarn    = 0.02
	crossInvalid = 0.05
)

// CheckCounter compares what two meters of one device say about one interval: its energy counter and its power, integrated, or
// another counter. ratio is the other over the counter, of the means, as the parts measured may differ. invalid is true above 5 %
// difference, w is not nil above 2 %; what coarse counts and unlucky edges alone explain (Uncertainty.Noise of both, k = 2) is no
// difference. Without two valid uses there is nothing to compare: ratio is then 0 and w nil.
func CheckCounter(counter, power Use) (ratio float64, w *Warning, invalid bool) {
	if !counter.Valid || !power.Valid || counter.Mean == 0 && power.Mean == 0 {
		return 0, nil, false
	}
	ratio = float64(power.Mean) / float64(counter.Mean)
	off := math.Abs(float64(power.Mean-counter.Mean)) / float64(counter.Mean)
	if counter.Mean == 0 {
		ratio, off = 0, math.Inf(1)
	}
	noise := 2 * math.Hypot(counter.Uncertainty.Noise(), power.Uncertainty.Noise())
	if off > max(crossWarn, noise) {
		w = &Warning{CrossCheck, fmt.Sprintf("%s says %v, %s says %v", power.Meter.ID, power.Mean, counter.Meter.ID, counter.Mean)}
	}
	return ratio, w, off > max(crossInvalid, noise)
}

// Sum adds up the uses of the devices of one scope over one interval, each device once. It takes them as they are: whether
// all are there and valid is for the caller to see to.
//
// mean is the sum of the means. energy is what the whole interval took, each use's energy scaled from its measured part to
// the interval. coverage is the worst. With w the share of a use in the mean, the relative terms combine to
//
//	gain   √( Σ over models ( Σ over the model's meters w·gain )² )   meters of one model are wrong together
//	clock  Σ w·clock                                                 meters of one host share its clock
//	other  √( Σ (w·term)² )                                          independent
func Sum(uses []Use) (mean Power, energy Energy, u Uncertainty, coverage float64) {
	if len(uses) == 0 {
		return 0, 0, Uncertainty{}, 0
	}
	coverage = 1
	for _, x := range uses {
		mean += x.Mean
		energy += x.Whole()
		coverage = min(coverage, x.Coverage)
	}
	if mean <= 0 {
		return mean, energy, Uncertainty{}, coverage
	}
	gain := make(map[string]float64)
	for _, x := range uses {
		w, t := float64(x.Mean)/float64(mean), x.Uncertainty
		gain[x.Meter.Model] += w * t.Gain
		u.Quantisation = math.Hypot(u.Quantisation, w*t.Quantisation)
		u.Sampling = math.Hypot(u.Sampling, w*t.Sampling)
		u.Edges = math.Hypot(u.Edges, w*t.Edges)
		u.Clock += w * t.Clock
		u.Gaps = math.Hypot(u.Gaps, w*t.Gaps)
		u.Bracket = math.Hypot(u.Bracket, w*t.Bracket)
	}
	for _, model := range slices.Sorted(maps.Keys(gain)) { // in order: the same digits every time
		u.Gain = math.Hypot(u.Gain, gain[model])
	}
	return mean, energy, u, coverage
}

// Whole returns the energy of the whole interval: Energy, scaled up from the measured part to the interval where they differ.
func (u Use) Whole() Energy {
	if u.Measured <= 0 || u.Measured == u.End.Sub(u.Begin) {
		return u.Energy
	}
	return Energy(mulDiv(int64(u.Energy), int64(u.End.Sub(u.Begin)), int64(u.Measured)))
}
