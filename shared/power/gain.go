package power

import "math/big"

// Gains that a calibration may find, in ppm. A meter that is wrong by more than half is not to be corrected but repaired, or
// its unit was misread.
const (
	million   = 1_000_000
	leastGain = million / 2
	mostGain  = million * 3 / 2
)

// corrected returns m with its gain worked into the scale: a count is worth Num/Den divided by GainPPM/10^6. Whoever reads the
// corrected meter must not correct again, so its GainPPM is 0. Where the exact fraction does not fit, its low bits go, on both
// sides: at most 2^-40 of the value for any scale that a real meter has.
func (m Meter) corrected() Meter {
	if m.GainPPM < leastGain || m.GainPPM > mostGain || m.Scale.Num <= 0 || m.Scale.Den <= 0 {
		return m
	}
	num := new(big.Int).Mul(big.NewInt(m.Scale.Num), big.NewInt(million))
	den := new(big.Int).Mul(big.NewInt(m.Scale.Den), big.NewInt(m.GainPPM))
	exact := new(big.Rat).SetFrac(num, den) // in lowest terms
	num, den = new(big.Int).Set(exact.Num()), new(big.Int).Set(exact.Denom())
	for !num.IsInt64() || den.Cmp(big.NewInt(mostDen)) > 0 {
		num.Rsh(num, 1)
		den.Rsh(den, 1)
	}
	m.Scale, m.GainPPM = Scale{num.Int64(), den.Int64()}, 0 // a side that is 0 now is a problem, as for any meter
	return m
}
