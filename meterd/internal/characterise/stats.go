package characterise

import (
	"math"
	"slices"
)

// meanOf returns the mean and the standard deviation of a sample.
func meanOf(xs []float64) (mean, sd float64) {
	if len(xs) == 0 {
		return 0, 0
	}
	for _, x := range xs {
		mean += x
	}
	mean /= float64(len(xs))
	if len(xs) < 2 {
		return mean, 0
	}
	for _, x := range xs {
		sd += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(sd / float64(len(xs)-1))
}

// medianOf returns the median; 0 of nothing.
func medianOf(xs []float64) float64 {
	if len(xs) == 0 {
		return 0
	}
	xs = slices.Sorted(slices.Values(xs))
	return (xs[(len(xs)-1)/2] + xs[len(xs)/2]) / 2
}

// effective returns how many independent values a series of neighbours is worth: n (1-ρ)/(1+ρ) with the correlation ρ of
// neighbours, at least 2 where there are 2.
func effective(xs []float64) float64 {
	n := float64(len(xs))
	mean, sd := meanOf(xs)
	if len(xs) < 3 || sd == 0 {
		return n
	}
	var c float64
	for i := 1; i < len(xs); i++ {
		c += (xs[i] - mean) * (xs[i-1] - mean)
	}
	rho := min(max(c/(sd*sd*(n-1)), 0), 0.99)
	return max(n*(1-rho)/(1+rho), 2)
}

// student returns the quantile of Student's t for a coverage of 95.45 %, that of k = 2 of a normal distribution, for ν
// degrees of freedom (GUM, table G.2, and Cornish and Fisher's expansion above 10).
func student(nu float64) float64 {
	table := [...]float64{math.Inf(1), 13.97, 4.53, 3.31, 2.87, 2.65, 2.52, 2.43, 2.37, 2.32, 2.28}
	if nu < 1 {
		nu = 1
	}
	if i := int(nu); i < len(table)-1 {
		return table[i] + (nu-float64(i))*(table[i+1]-table[i])
	}
	const z = 2.0
	return z + (z*z*z+z)/(4*nu) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*nu*nu)
}

// ofMean returns the standard uncertainty of the mean of independent xs such that twice it covers 95 %, few as they are.
func ofMean(xs []float64) float64 {
	if len(xs) < 2 {
		return math.Inf(1)
	}
	_, sd := meanOf(xs)
	return sd / math.Sqrt(float64(len(xs))) * student(float64(len(xs)-1)) / 2
}
