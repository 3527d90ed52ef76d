package bench

import (
	"math"
	"strconv"
	"strings"
)

// FormatPerMegawatt writes agents per megawatt as leaderboards do: three significant digits with a prefix from 10,000 on
// ("61.4 K"), whole agents with separators from 1,000 on ("2,593"), three significant digits below ("57.5").
func FormatPerMegawatt(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0) || v < 0:
		return "?"
	case v < 999.5:
		return FormatThree(v)
	case v < 9999.5:
		s := strconv.Itoa(int(math.Round(v)))
		return s[:1] + "," + s[1:]
	}
	prefix := ""
	for _, p := range []string{"K", "M", "G"} {
		if v < 999.5 {
			break
		}
		v, prefix = v/1000, p
	}
	return FormatThree(v) + " " + prefix
}

// FormatThree writes a number with three significant digits and no exponent: "57.5", "1.40", "0.0123", "1840".
func FormatThree(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 3, 64), 64)
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(rounded)))))
	s := strconv.FormatFloat(rounded, 'f', decimals, 64)
	return strings.TrimPrefix(s, "+")
}
