package power

import (
	"math"
	"math/bits"
)

// mulDiv returns a*b/c rounded to the nearest, halves away from zero, through a 128-bit product. b must not be negative,
// c must be positive. A result that does not fit saturates.
func mulDiv(a, b, c int64) int64 {
	if a < 0 {
		return -mulDiv(-max(a, -math.MaxInt64), b, c)
	}
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	lo, carry := bits.Add64(lo, uint64(c)/2, 0)
	hi += carry
	if hi >= uint64(c) {
		return math.MaxInt64
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, math.MaxInt64))
}

// fits reports whether a*b, both not negative, is below 2^63.
func fits(a, b int64) bool {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	return hi == 0 && lo>>63 == 0
}
