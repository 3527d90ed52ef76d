package snmp

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

// kind is what a unit measures.
type kind string

const (
	realPower     kind = "power"
	energy        kind = "energy"
	apparentPower kind = "apparent power"
)

// base is a unit's name in a profile or in what a device writes.
type base struct {
	kind  kind
	scale power.Scale // to microwatts, microjoules, or microvoltamperes
}

const wattHour = int64(3600 * power.Joule)

var units = map[string]base{
	"mW": {realPower, power.Scale{Num: 1000, Den: 1}},
	"W":  {realPower, power.Scale{Num: 1_000_000, Den: 1}},
	"kW": {realPower, power.Scale{Num: 1_000_000_000, Den: 1}},

	"Wh":  {energy, power.Scale{Num: wattHour, Den: 1}},
	"kWh": {energy, power.Scale{Num: 1000 * wattHour, Den: 1}},
	"MWh": {energy, power.Scale{Num: 1_000_000 * wattHour, Den: 1}},

	"VA":  {apparentPower, power.Scale{Num: 1_000_000, Den: 1}},
	"kVA": {apparentPower, power.Scale{Num: 1_000_000_000, Den: 1}},
}

// Unit is what one raw count stands for, written "10 W" or "0.1 kWh" in a profile.
type Unit struct {
	Text  string // as written
	Scale power.Scale
	kind  kind
}

// parseUnit reads a unit; without a number it is one of it.
func parseUnit(text string) (Unit, error) {
	amount := text
	if text != "" && (text[0] < '0' || text[0] > '9') {
		amount = "1 " + text
	}
	n, err := parseNumber(amount)
	if err != nil {
		return Unit{}, err
	}
	b, ok := units[n.unit]
	if !ok || n.digits <= 0 || n.decimals > 6 {
		return Unit{}, fmt.Errorf("%q is not a unit such as 10 W, 0.1 kWh or 1 VA", text)
	}
	s, err := times(b.scale, n.digits, n.decimals)
	return Unit{Text: text, Scale: s, kind: b.kind}, err
}

// times returns n * 10^-decimals counts of s in lowest terms.
func times(s power.Scale, n int64, decimals int) (power.Scale, error) {
	r := ratio(s)
	r.Mul(r, new(big.Rat).SetInt64(n))
	r.Quo(r, new(big.Rat).SetInt(power10(decimals)))
	if !r.Num().IsInt64() || !r.Denom().IsInt64() || r.Sign() <= 0 {
		return power.Scale{}, fmt.Errorf("%d/10^%d counts do not fit", n, decimals)
	}
	return power.Scale{Num: r.Num().Int64(), Den: r.Denom().Int64()}, nil
}

// UnmarshalYAML reads a unit.
func (u *Unit) UnmarshalYAML(n ast.Node) (err error) {
	*u, err = parseUnit(strings.TrimSpace(n.GetToken().Value))
	return settings.At(n, err)
}
