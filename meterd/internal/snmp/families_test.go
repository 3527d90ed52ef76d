package snmp

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/power"
)

// Walks written by hand (testdata/): families without a recording, and shapes of known families that no recording has.
func TestFamilies(t *testing.T) {
	for _, c := range []struct {
		walk, profile, serial string
		want                  map[string]string
	}{
		{"geist-v4", "geist-v4", "1B00000AB12C3D4E", map[string]string{
			"inlet-1/power": "2450 W rack", "inlet-1/energy": "1234000 Wh rack"}},
		{"gude", "gude-epc", "", map[string]string{"inlet-1/power": "345 W rack", "inlet-1/energy": "900123 Wh rack"}},
		{"rnx", "rnx-updu", "700123", map[string]string{
			"unit-4/power": "3300 W rack", "unit-4/energy": "600000 Wh rack",
			"unit-5/power": "3300 W component", "unit-5/energy": "600000 Wh component",
			"phase-1/power": "1000 W component", "phase-1/energy": "100000 Wh component",
			"phase-2/power": "1100 W component", "phase-2/energy": "200000 Wh component",
			"phase-3/power": "1200 W component", "phase-3/energy": "300000 Wh component",
			"outlet-6/power": "150 W component", "outlet-6/energy": "50 Wh component",
			"outlet-7/power": "0 W component", "outlet-7/energy": "60 Wh component"}},
		{"rnx-modules", "rnx-updu", "100077", map[string]string{
			"unit-0.0/power": "500 W rack", "unit-0.0/energy": "5000000000 Wh rack",
			"phase-0.1/power": "200 W component", "phase-0.1/energy": "2000000000 Wh component",
			"phase-0.2/power": "300 W component", "phase-0.2/energy": "3000000000 Wh component",
			"bank-1.0/power": "100 W component", "bank-1.0/energy": "1 Wh component",
			"bank-2.0/power": "400 W component", "bank-2.0/energy": "3 Wh component",
			"outlet-1.1/power": "100 W component", "outlet-1.1/energy": "2 Wh component"}},
		{"schleifenbauer", "schleifenbauer", "SB0012345", map[string]string{
			"inlet-1/power": "2430 W rack", "inlet-1/energy": "1800000 Wh rack",
			"phase-1/power": "800 W component", "phase-1/energy": "500000 Wh component",
			"phase-2/power": "810 W component", "phase-2/energy": "600000 Wh component",
			"phase-3/power": "820 W component", "phase-3/energy": "700000 Wh component",
			"unit-2/phase-1/power": "1500 W rack", "unit-2/phase-1/energy": "900000 Wh rack"}},
		{"cyberpower-epdu2", "cyberpower-epdu2", "CPABC2000001", map[string]string{
			"unit-1/power": "3000 W rack", "unit-1/energy": "241500 Wh rack",
			"phase-1/power": "1000 W component", "phase-2/power": "990 W component", "phase-3/power": "1010 W component"}},
		{"cyberpower-banks", "cyberpower-epdu", "", map[string]string{
			"phase-1/power": "500 W rack", "phase-1/energy": "1000 Wh rack",
			"phase-2/power": "600 W rack", "phase-2/energy": "2000 Wh rack",
			"phase-3/power": "700 W rack", "phase-3/energy": "3000 Wh rack",
			"bank-4/power": "500 W component", "bank-5/power": "600 W component", "bank-6/power": "700 W component",
			"outlet-2/power": "40 W component", "outlet-10/power": "50 W component", "outlet-11/power": "60 W component"}},
		{"apc-legacy", "apc-legacy", "ZA0000000001", map[string]string{"unit/power": "2875 W rack"}},
		{"apc-chain", "apc-rpdu2", "5A0000000001", map[string]string{
			"unit-1/power": "1000 W rack", "unit-1/energy": "100000 Wh rack",
			"unit-2/power": "2000 W rack", "unit-2/energy": "200000 Wh rack", "unit-4/power": "4000 W rack",
			"phase-1/power": "1000 W component", "phase-10/power": "2000 W component", "phase-11/power": "4000 W component"}},
		{"vertiv-delta", "vertiv-v5", "ZY00000001", map[string]string{
			"phase-1/power": "900 W rack", "phase-1/energy": "11 Wh rack",
			"phase-2/power": "800 W rack", "phase-2/energy": "22 Wh rack",
			"phase-3/power": "700 W rack", "phase-3/energy": "33 Wh rack"}},
		{"px2-chain", "raritan-px2", "PKE0000001", map[string]string{
			"inlet-1/power": "8326/5 W rack", "inlet-1/energy": "4294967290 Wh rack",
			"unit-2/inlet-1/power": "2469/20 W rack"}},
		{"sentry3-towers", "servertech-sentry3", "KAXV0000001", map[string]string{
			"unit-1/power": "1000 W rack", "unit-1/energy": "1100 Wh rack",
			"unit-2/power": "2000 W rack", "unit-2/energy": "2200 Wh rack", "unit/power": "3000 W component",
			"cord-1.1/power": "1000 W component", "cord-1.1/energy": "1100 Wh component", "cord-2.1/power": "2000 W component"}},
		{"eaton-old", "eaton-epdu", "H000000001", map[string]string{
			"phase-1.1/power": "100 W rack", "phase-1.1/energy": "1 Wh rack",
			"phase-1.2/power": "200 W rack", "phase-1.2/energy": "2 Wh rack", "phase-1.3/energy": "3 Wh rack",
			"unit-1/phase-1.1/power": "400 W rack", "unit-1/phase-1.1/energy": "4 Wh rack"}},
		{"enlogic-chain", "enlogic", "P5E0000001", map[string]string{
			"inlet/power": "100 W rack", "inlet/energy": "1000 Wh rack",
			"unit-2/inlet/power": "200 W rack", "unit-2/inlet/energy": "2000 Wh rack",
			"unit-3/inlet/power": "300 W rack", "unit-3/inlet/energy": "3000 Wh rack",
			"phase-1/power": "100 W component", "unit-3/phase-1/power": "300 W component"}},
	} {
		t.Run(c.walk, func(t *testing.T) {
			s := open(t, serve(t, read(t, "testdata/"+c.walk+".snmprec")))
			if got := s.layout.profile.Name + " " + s.layout.identity.serial; got != c.profile+" "+c.serial {
				t.Errorf("got %q, want %q", got, c.profile+" "+c.serial)
			}
			got := map[string]string{}
			for id, v := range shown(t, s) {
				got[strings.TrimPrefix(id, "snmp/pdu-a/")] = v
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMinusOneIsAbsent(t *testing.T) {
	_, err := Open(t.Context(), serve(t, read(t, "testdata/apc-minus.snmprec")).options())
	if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), "measures no power: unit-1 power: not supported (-1)") {
		t.Errorf("got %v, want: not available, with the value that says so", err)
	}
	s := open(t, serve(t, read(t, "testdata/apc-chain.snmprec")))
	if diff := cmp.Diff([]string{"unit-4 energy: not supported (-1)"}, s.Absent()); diff != "" {
		t.Error(diff)
	}
}

func TestAbsentSaysWhy(t *testing.T) {
	s := open(t, serve(t, read(t, "testdata/px2-chain.snmprec")))
	want := []string{
		"inlet-2 power: the device says that it is not available",
		"inlet-2 energy: no such object",
		"unit-2/inlet-1 energy: its unit has the number 9, which the profile does not know",
	}
	if diff := cmp.Diff(want, s.Absent()); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownRowsAreNamed(t *testing.T) {
	walk := regexp.MustCompile(`(?m)^1\.3\.6\.1\.4\.1\.3808\.1\.1\.3\.2\.3\.1\.1\.5\..*\n`).ReplaceAllString(read(t, "testdata/cyberpower-banks.snmprec"), "")
	s := open(t, serve(t, walk))
	want := "5 rows after the first phase: the device does not say whether they are more of the whole or parts of it"
	if !slices.Contains(s.Absent(), want) {
		t.Errorf("got %q, want: %s", s.Absent(), want)
	}
	var whole []string
	for _, m := range s.Meters() {
		if m.Scope == power.Rack {
			whole = append(whole, m.ID)
		}
	}
	if diff := cmp.Diff([]string{"snmp/pdu-a/phase-1/power", "snmp/pdu-a/phase-1/energy"}, whole); diff != "" {
		t.Error(diff)
	}
}

// Rows come in the order of their numbers.
func TestOrderOfRows(t *testing.T) {
	s := open(t, serve(t, read(t, "testdata/cyberpower-banks.snmprec")))
	var got []string
	for _, m := range s.Meters() {
		if strings.Contains(m.ID, "outlet") {
			got = append(got, m.ID)
		}
	}
	want := []string{"snmp/pdu-a/outlet-2/power", "snmp/pdu-a/outlet-10/power", "snmp/pdu-a/outlet-11/power"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A device that says that a value is none is believed, whatever the value.
func TestValueThatIsNotAvailable(t *testing.T) {
	r := serve(t, read(t, "testdata/gude.snmprec"))
	s := open(t, r)
	if got := statuses(step(t, r, s)); !slices.Equal(got, []string{"ok", "ok"}) {
		t.Fatalf("at first: %q", got)
	}
	r.set(t, "1.3.6.1.4.1.28507.85.1.5.1.2.1.2.1|2|0")
	samples := step(t, r, s)
	if got := statuses(samples); !slices.Equal(got, []string{"unsupported", "unsupported"}) || samples[0].Raw != 0 {
		t.Errorf("not available: %q, %d", got, samples[0].Raw)
	}
}

// The device's own time goes with the value that it belongs to; one that was never set is none.
func TestDeviceTime(t *testing.T) {
	s := open(t, serve(t, read(t, "testdata/px2-chain.snmprec")))
	samples, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, x := range samples {
		got = append(got, int64(x.Device)/1e9)
	}
	if diff := cmp.Diff([]int64{1747869708, 1747869709, 0}, got); diff != "" {
		t.Error(diff)
	}
}
