package snmp

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/power"
)

// golden says what recorded devices measure, decoded by hand from the vendors' MIBs (../shared/data/pdu/SOURCES.txt).
// Watts and watt-hours of the whole, and of some parts.
var golden = []struct {
	walk, profile, model string
	want                 map[string]string // the end of a meter's ID -> value, scope
}{
	{"apc_ap8853", "apc-rpdu2", "AP8853", map[string]string{
		"unit-1/power": "1140 W rack", "unit-1/energy": "3512800 Wh rack", "phase-1/power": "1140 W component"}},
	{"apc_ap8959eu3", "apc-rpdu2", "AP8959EU3", map[string]string{
		"unit-1/power": "270 W rack", "unit-1/energy": "1967700 Wh rack", "phase-1/power": "250 W component"}},
	{"apc-epdu_epdu1132m", "apc-easy", "", map[string]string{"unit-1/power": "61 W rack", "unit-1/energy": "2280 Wh rack"}},
	{"cyberpower_pdu81005", "cyberpower-epdu", "PDU81005", map[string]string{
		"phase-1/power": "216 W rack", "bank-2/power": "216 W component", "outlet-5/power": "82 W component",
		"outlet-5/energy": "3100 Wh component"}},
	{"eatonpdu_2", "eaton-epdu", "EMA114-10", map[string]string{
		"inlet-1/power": "1584 W rack", "inlet-1/energy": "8185493 Wh rack", "phase-1.1/power": "1589 W component",
		"phase-1.1/energy": "8185553 Wh component"}},
	{"enlogic-pdu_v2", "enlogic", "EN1814", map[string]string{
		"inlet/power": "1120 W rack", "inlet/energy": "52777600 Wh rack", "phase-1/power": "521 W component",
		"phase-2/power": "599 W component", "phase-3/power": "0 W component"}},
	{"panduit", "panduit-g5", "P42D04M", map[string]string{"inlet/power": "956 W rack", "inlet/energy": "7405276 Wh rack"}},
	{"raritan-pdu", "raritan-px1", "Dominion PX", map[string]string{"inlet-1/power": "580 W rack", "inlet-1/energy": "0 Wh rack"}},
	{"raritan-pdu_px3.subset", "raritan-px2", "PX3-5493U-K2", map[string]string{
		"inlet-1/power": "1665 W rack", "inlet-1/energy": "74057676 Wh rack", "outlet-1/power": "143 W component",
		"outlet-2/power": "207 W component", "outlet-3/power": "169 W component", "outlet-4/power": "0 W component"}},
	{"sentry3_3phase", "servertech-sentry3", "CS-24V4-P32MA", map[string]string{
		"unit/power": "279 W rack", "cord-1.1/power": "147 W component", "cord-1.2/power": "53 W component",
		"cord-1.3/power": "78 W component"}},
	{"sentry4_switched8i", "servertech-sentry4", "Sentry Switched PDU", map[string]string{
		"a/cord-1/power": "806 W rack", "a/cord-1/energy": "3472000 Wh rack", "unit-2/cord-1/power": "856 W rack",
		"unit-2/cord-1/energy": "3700800 Wh rack"}},
	{"vertiv-pdu_mg02e4w1", "vertiv-v5", "MG02E4W1-42ITB3-3PS56B2A10-S", map[string]string{
		"unit-1/power": "1017 W rack", "unit-1/energy": "8483906 Wh rack", "phase-1/power": "198 W component",
		"phase-2/power": "436 W component", "phase-3/power": "382 W component", "phase-1/energy": "2353700 Wh component"}},
}

func TestRecordedDevices(t *testing.T) {
	for _, g := range golden {
		t.Run(g.walk, func(t *testing.T) {
			r := serve(t, read(t, sourcetest.Data(t, "../../..", "pdu/"+g.walk+".snmprec")))
			s := open(t, r)
			if got := s.layout.profile.Name + " " + s.layout.identity.model; got != g.profile+" "+g.model {
				t.Errorf("got %q, want %q", got, g.profile+" "+g.model)
			}
			checkGolden(t, s, g.want)
		})
	}
}

// checkGolden reads once and compares what the table names. Whatever is the whole must be in the table.
func checkGolden(t *testing.T, s *Source, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for id, v := range shown(t, s) {
		for end := range want {
			if strings.HasSuffix(id, end) {
				got[end] = v
				v = ""
			}
		}
		if strings.HasSuffix(v, "rack") {
			t.Errorf("%s is %s, but not in the table", id, v)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// shown reads once and writes each value for people, by the meter's ID.
func shown(t *testing.T, s *Source) map[string]string {
	t.Helper()
	samples, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, x := range samples {
		m := s.Meters()[x.Meter]
		v := x.Status.String()
		if x.Status == power.OK {
			v = amount(m, x.Raw)
		}
		out[m.ID] = v + " " + string(m.Scope)
	}
	return out
}

// amount is a raw count in watts or watt-hours, exactly.
func amount(m power.Meter, raw int64) string {
	unit, per := "W", int64(power.Watt)
	if m.Quantity == power.Counter {
		unit, per = "Wh", wattHour
	}
	n := new(big.Rat).SetInt64(raw)
	n.Mul(n, big.NewRat(m.Scale.Num, m.Scale.Den))
	return n.Quo(n, new(big.Rat).SetInt64(per)).RatString() + " " + unit
}

func TestDevicesWithoutPower(t *testing.T) {
	r := serve(t, read(t, sourcetest.Data(t, "../../..", "pdu/sentry3_switched.snmprec")))
	_, err := Open(t.Context(), r.options())
	if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), "measures no power") {
		t.Errorf("got %v, want: not available, because it measures no power", err)
	}
}

// Each joule once: of one unit of one PDU, the meters of the rack's scope must not hold one another.
func TestTheWholeIsNotSummedWithItsParts(t *testing.T) {
	for _, g := range golden {
		s := open(t, serve(t, read(t, sourcetest.Data(t, "../../..", "pdu/"+g.walk+".snmprec"))))
		levels := map[string]string{}
		for _, r := range s.layout.rows {
			if !r.whole {
				continue
			}
			if have, ok := levels[r.chain]; ok && have != r.level.Level {
				t.Errorf("%s: unit %q has both %ss and %ss as its whole", g.walk, r.chain, have, r.level.Level)
			}
			levels[r.chain] = r.level.Level
		}
		for _, m := range s.Meters() {
			if part := !strings.Contains(fmt.Sprint(levels), levelOf(s, m)); part != (m.Scope == power.Component) {
				t.Errorf("%s: %s has scope %s", g.walk, m.ID, m.Scope)
			}
		}
	}
}

func levelOf(s *Source, m power.Meter) string {
	for _, r := range s.layout.rows {
		if s.layout.device(s.options.Name)+"/"+r.name == m.Device {
			if r.whole {
				return r.level.Level
			}
			return "part of another"
		}
	}
	return "no level"
}
