package snmp

import (
	"fmt"
	"slices"

	"agentwatt/shared/power"
)

// mostDecimals bounds the decimals that a device may say a value has.
const mostDecimals = 9

// point describes one value of a row from what the device says now, or says why there is none.
func (s *survey) point(r *Reading, index string, beside map[string]value) (*point, string) {
	p := &point{reading: r, oid: r.OID.at(s.prefix, index), scale: r.Unit.Scale, step: 1, wrap: r.Wrap}
	v := beside[p.oid]
	if _, status := r.raw(v); status != power.OK {
		return nil, whyAbsent(v, status)
	}
	if r.Valid != nil {
		said := beside[r.Valid.OID.at(s.prefix, index)]
		switch {
		case said.form == integer && !slices.Contains(r.Valid.Is, said.n):
			return nil, "the device says that it is not available"
		case said.form == integer:
			p.valid = r.Valid.OID.at(s.prefix, index)
		}
	}
	if r.Time.set() {
		p.time = r.Time.at(s.prefix, index)
	}
	if v.wide && p.wrap == 0 && r.Unit.kind == energy {
		p.wrap = 1 << 32
	}
	if why := p.resolve(v, beside, s.prefix, index); why != "" {
		return nil, why
	}
	return p, ""
}

// resolve finds what one count stands for. It returns why that cannot be known.
func (p *point) resolve(v value, beside map[string]value, prefix, index string) string {
	r, unit := p.reading, p.reading.Unit
	if r.Text != "" {
		if n, err := parseNumber(v.text); err == nil {
			p.step = n.step(unit, r.Text)
		}
		return ""
	}
	if r.Units != nil {
		if code := beside[r.Units.OID.at(prefix, index)]; code.form == integer {
			u, ok := r.Units.Are[code.n]
			if !ok {
				return fmt.Sprintf("its unit has the number %d, which the profile does not know", code.n)
			}
			unit = u
		}
	}
	digits := int64(0)
	if d := beside[r.Digits.at(prefix, index)]; r.Digits.set() && d.form == integer {
		digits = d.n
	}
	if digits < 0 || digits > mostDecimals {
		return fmt.Sprintf("%d decimals make no sense", digits)
	}
	scale, err := times(unit.Scale, 1, int(digits))
	if err != nil {
		return err.Error()
	}
	p.scale = scale
	return ""
}

// whyAbsent says for people why a value is none.
func whyAbsent(v value, status power.Status) string {
	switch {
	case v.form == absent:
		return "no such object"
	case status == power.Unsupported && v.form == integer:
		return fmt.Sprintf("not supported (%d)", v.n)
	case status == power.Unsupported:
		return fmt.Sprintf("not supported (%q)", label(v))
	case v.form == text:
		return fmt.Sprintf("not understood (%q)", label(v))
	}
	return "not a number"
}
