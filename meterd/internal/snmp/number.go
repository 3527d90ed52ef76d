package snmp

import (
	"fmt"
	"math/big"
	"strings"

	"agentwatt/shared/power"
)

// Bounds of a number that a device writes as text.
const (
	mostNumberBytes = 32
	mostDigits      = 18 // fit an int64
)

// number is a decimal number with its unit, as a device writes it: 0.061kW is 61, with 3 decimals, in kW.
type number struct {
	digits   int64
	decimals int
	unit     string // empty: none
}

// parseNumber reads a number without any loss. It takes an optional sign, digits with at most one point between them, and
// a unit of letters, with blanks around and between.
func parseNumber(s string) (number, error) {
	bad := func(why string) (number, error) {
		return number{}, fmt.Errorf("read the number %.40q: %s", s, why)
	}
	if len(s) > mostNumberBytes {
		return bad("too long")
	}
	rest := strings.TrimSpace(s)
	rest, negative := strings.CutPrefix(rest, "-")
	if !negative {
		rest = strings.TrimPrefix(rest, "+")
	}
	end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(rest)
	}
	whole, fraction, pointed := strings.Cut(rest[:end], ".")
	var n number
	n.unit = strings.TrimSpace(rest[end:])
	switch {
	case whole == "" || pointed && fraction == "" || strings.Contains(fraction, "."):
		return bad("not digits")
	case len(whole)+len(fraction) > mostDigits:
		return bad("too many digits")
	case strings.ContainsFunc(n.unit, func(r rune) bool { return r != '%' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }):
		return bad("the unit is not letters")
	}
	for _, d := range whole + fraction {
		n.digits = 10*n.digits + int64(d-'0')
	}
	if negative {
		n.digits = -n.digits
	}
	n.decimals = len(fraction)
	return n, nil
}

// in returns how many counts of the given unit the number is; a number without a unit of its own is in the unit called
// plain. It must be a whole number of counts: nothing is rounded.
func (n number) in(count Unit, plain string) (int64, error) {
	name := n.unit
	if name == "" {
		name = plain
	}
	own, ok := units[name]
	if !ok || own.kind != count.kind {
		return 0, fmt.Errorf("%q is not a unit of %s", name, count.kind)
	}
	raw := new(big.Rat).SetInt64(n.digits)
	raw.Mul(raw, ratio(own.scale))
	raw.Quo(raw, ratio(count.Scale))
	raw.Quo(raw, new(big.Rat).SetInt(power10(n.decimals)))
	if !raw.IsInt() || !raw.Num().IsInt64() {
		return 0, fmt.Errorf("%d/10^%d %s is not a whole number of counts", n.digits, n.decimals, name)
	}
	return raw.Num().Int64(), nil
}

// step returns the last digit's worth in counts of the given unit, at least 1.
func (n number) step(count Unit, plain string) int64 {
	steps, err := number{digits: 1, decimals: n.decimals, unit: n.unit}.in(count, plain)
	if err != nil {
		return 1
	}
	return max(steps, 1)
}

func ratio(s power.Scale) *big.Rat { return big.NewRat(s.Num, s.Den) }

func power10(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
