package power

import (
	"math"
	"strconv"
	"time"
)

// Power is a power in microwatts.
type Power int64

// Energy is an energy in microjoules. The largest value is 2.5 GWh.
type Energy int64

// Units of Power and Energy.
const (
	Microwatt Power = 1
	Milliwatt       = 1000 * Microwatt
	Watt            = 1000 * Milliwatt
	Kilowatt        = 1000 * Watt
	Megawatt        = 1000 * Kilowatt

	Microjoule Energy = 1
	Millijoule        = 1000 * Microjoule
	Joule             = 1000 * Millijoule
	Kilojoule         = 1000 * Joule
)

// Watts returns p in watts.
func (p Power) Watts() float64 { return float64(p) / float64(Watt) }

// Megawatts returns p in megawatts.
func (p Power) Megawatts() float64 { return float64(p) / float64(Megawatt) }

// Joules returns e in joules.
func (e Energy) Joules() float64 { return float64(e) / float64(Joule) }

// Over returns the energy of power p held for d. It goes through float64 because µW·ns overflows int64 after 9 kJ.
func (p Power) Over(d time.Duration) Energy {
	return Energy(math.Round(float64(p) * d.Seconds()))
}

// Over returns the mean power of energy e spent in d; zero if d is not positive.
func (e Energy) Over(d time.Duration) Power {
	if d <= 0 {
		return 0
	}
	return Power(math.Round(float64(e) / d.Seconds()))
}

// String prints the power with the largest unit that leaves at least one digit before the point, four significant digits.
func (p Power) String() string { return scaled(float64(p), "W", -2) }

// String prints the energy like Power.String.
func (e Energy) String() string { return scaled(float64(e), "J", -2) }

// scaled prints v (in 10^(3*exp) of unit) with a metric prefix.
func scaled(v float64, unit string, exp int) string {
	prefixes := map[int]string{-2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G"}
	if v == 0 {
		return "0 " + unit
	}
	for math.Abs(v) >= 999.95 && exp < 3 {
		v /= 1000
		exp++
	}
	return strconv.FormatFloat(v, 'g', 4, 64) + " " + prefixes[exp] + unit
}
