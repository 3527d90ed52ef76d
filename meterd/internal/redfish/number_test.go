package redfish

import (
	"errors"
	"math/big"
	"strings"
	"testing"
)

func TestCount(t *testing.T) {
	for _, c := range []struct {
		text     string
		decimals int
		want     int64
		rounded  bool
	}{
		{"0", 3, 0, false}, {"-0", 3, 0, false}, {"0.000", 3, 0, false}, {"0e9999", 3, 0, false},
		{"374", 3, 374_000, false}, {"897.4", 3, 897_400, false}, {"-12.5", 3, -12_500, false},
		{"12.870000000000001", 3, 12_870, true}, {"0.0005", 3, 1, true}, {"0.00049", 3, 0, true}, {"-0.0005", 3, -1, true},
		{"1e3", 3, 1_000_000, false}, {"1.5E+2", 0, 150, false}, {"15e-1", 0, 2, true}, {"99.9996", 3, 100_000, true},
		{"4e-1", 0, 0, true}, {"4e-9999", 9, 0, true}, {"100e-2", 0, 1, false},
		{"33000000.123456789", 9, 33_000_000_123_456_789, false}, // a float64 ends at ...792
		{"9223372036854775.807", 3, 9_223_372_036_854_775_807, false},
		{"-9223372036854775.807", 3, -9_223_372_036_854_775_807, false},
	} {
		got, rounded, err := count(c.text, c.decimals)
		if err != nil || got != c.want || rounded != c.rounded {
			t.Errorf("count(%q, %d) = %d, rounded %v, %v; want %d, %v", c.text, c.decimals, got, rounded, err, c.want, c.rounded)
		}
	}
	for text, want := range map[string]error{
		"": errNotNumber, "-": errNotNumber, "N/A": errNotNumber, "null": errNotNumber, "1.": errNotNumber, ".5": errNotNumber,
		"01": errNotNumber, "1e": errNotNumber, "1e+": errNotNumber, "0x1F": errNotNumber, "1_000": errNotNumber, "NaN": errNotNumber,
		"+1": errNotNumber, " 1": errNotNumber, "1 ": errNotNumber, "1,5": errNotNumber, strings.Repeat("1", 65): errNotNumber,
		"9223372036854775.808": errTooBig, "9223372036854775.8075": errTooBig, "1e16": errTooBig, "1e9999": errTooBig,
	} {
		if got, _, err := count(text, 3); !errors.Is(err, want) || got != 0 {
			t.Errorf("count(%q) = %d, %v; want %v", text, got, err, want)
		}
	}
}

func TestFraction(t *testing.T) {
	for text, want := range map[string]int{"6438": 0, "897.4": 1, "897.40": 1, "1e-3": 3, "1.5e1": 0, "0": 0, "0.00": 0, "?": 0} {
		if got := fraction(text); got != want {
			t.Errorf("%q shows %d decimals, want %d", text, got, want)
		}
	}
}

// Against the rational arithmetic of the standard library: whatever both take is the same to half a count.
func FuzzCount(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "33000000.123456789", "1e-400", "9223372036854775.8075", "99.9996", "1e", "0e1"} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, d uint8) {
		decimals := int(d % 10)
		n, rounded, err := count(text, decimals)
		if err != nil {
			if n != 0 {
				t.Fatalf("%q: %v, yet a value %d", text, err, n)
			}
			return
		}
		if e, _ := exponentOf(text); e > 100 {
			return // big.Rat would need megabytes
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q is no number, but counted as %d", text, n)
		}
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)))
		off := new(big.Rat).Sub(exact, new(big.Rat).SetInt64(n))
		if rounded != (off.Sign() != 0) || off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%q with %d decimals: %d, rounded %v, is off by %s", text, decimals, n, rounded, off.FloatString(6))
		}
	})
}

// exponentOf is the size of the exponent of a number.
func exponentOf(text string) (int, bool) {
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		return 0, true
	}
	e, ok := exponent(text[i:])
	return max(e, -e), ok
}
