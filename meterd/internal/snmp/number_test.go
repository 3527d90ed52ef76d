package snmp

import (
	"math/big"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func TestParseNumber(t *testing.T) {
	for text, want := range map[string]number{
		"0.061kW":            {61, 3, "kW"},
		"2.28kWh":            {228, 2, "kWh"},
		" 232.6 V ":          {2326, 1, "V"},
		"-12":                {-12, 0, ""},
		"+1.0 W":             {10, 1, "W"},
		"0.0%RH":             {0, 1, "%RH"},
		"000123":             {123, 0, ""},
		"999999999999999999": {999999999999999999, 0, ""},
	} {
		got, err := parseNumber(text)
		if err != nil || got != want {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "-", "kW", ".5", "5.", "1.2.3", "1,5", "1e5", "0x10", "--1", "+-1", "1 2", "١", "NaN", "1 W;", "9999999999999999999",
		strings.Repeat("1", 33),
	} {
		if got, err := parseNumber(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

func TestTextsBecomeCounts(t *testing.T) {
	watts := Reading{Unit: must(parseUnit("1 W")), Text: "kW"}
	wattHours := Reading{Unit: must(parseUnit("1 Wh")), Text: "kWh"}
	for _, c := range []struct {
		reading Reading
		text    string
		want    int64
		status  power.Status
		step    int64
	}{
		{watts, "0.061kW", 61, power.OK, 1},
		{watts, "61 W", 61, power.OK, 1},
		{watts, "1.2", 1200, power.OK, 100}, // no unit: the profile's
		{watts, "0.0615kW", 0, power.Failed, 0},
		{watts, "61 Wh", 0, power.Failed, 0}, // an energy is not a power
		{watts, "61 V", 0, power.Failed, 0},
		{watts, "-0.5kW", 0, power.Unsupported, 0},
		{watts, "-", 0, power.Unsupported, 0},
		{watts, "", 0, power.Unsupported, 0},
		{watts, "N/A", 0, power.Unsupported, 0},
		{watts, "much", 0, power.Failed, 0},
		{wattHours, "2.28kWh", 2280, power.OK, 10},
		{wattHours, "1 MWh", 1_000_000, power.OK, 1_000_000},
	} {
		got, status := c.reading.raw(value{form: text, text: c.text})
		if got != c.want || status != c.status {
			t.Errorf("%q: got %d %s, want %d %s", c.text, got, status, c.want, c.status)
		}
		if n, err := parseNumber(c.text); err == nil && c.step > 0 && n.step(c.reading.Unit, c.reading.Text) != c.step {
			t.Errorf("%q: step %d, want %d", c.text, n.step(c.reading.Unit, c.reading.Text), c.step)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestParseUnit(t *testing.T) {
	for text, want := range map[string]power.Scale{
		"W": {Num: 1_000_000, Den: 1}, "10 W": {Num: 10_000_000, Den: 1}, "0.1 kWh": {Num: 360_000_000_000, Den: 1},
		"1 Wh": {Num: 3_600_000_000, Den: 1}, "0.01 kVA": {Num: 10_000_000, Den: 1}, "0.000001 mW": {Num: 1, Den: 1000},
		"1 MWh": {Num: 3_600_000_000_000_000, Den: 1},
	} {
		got, err := parseUnit(text)
		if err != nil || got.Scale != want {
			t.Errorf("%q: got %+v, %v, want %+v", text, got.Scale, err, want)
		}
	}
	for _, text := range []string{"", "1", "0 W", "-1 W", "W W", "1 V", "10", "0.0000001 W", "99999999999 MWh"} {
		if got, err := parseUnit(text); err == nil {
			t.Errorf("%q: got %+v, want an error", text, got)
		}
	}
}

// What is parsed is exactly what was written.
func FuzzParseNumber(f *testing.F) {
	for _, s := range []string{"0.061kW", "2.28kWh", "-1", " 5 W", "1.", "999999999999999999", "0.0%RH"} {
		f.Add(s)
	}
	count := must(parseUnit("1 mW"))
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseNumber(s)
		if err != nil {
			return
		}
		digits := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), n.unit))
		want, ok := new(big.Rat).SetString(digits)
		got := new(big.Rat).SetFrac(big.NewInt(n.digits), power10(n.decimals))
		if !ok || got.Cmp(want) != 0 {
			t.Errorf("%q: got %v", s, got)
		}
		if raw, err := n.in(count, "mW"); err == nil {
			back := new(big.Rat).Mul(new(big.Rat).SetInt64(raw), ratio(count.Scale))
			if exact := got.Mul(got, ratio(units[orMilliwatt(n.unit)].scale)); back.Cmp(exact) != 0 {
				t.Errorf("%q: %d counts are not that", s, raw)
			}
		}
		_ = n.step(count, "mW")
	})
}

func orMilliwatt(unit string) string {
	if unit == "" {
		return "mW"
	}
	return unit
}

func FuzzColumn(f *testing.F) {
	for _, s := range []string{"1.3.6.1.4.1.318.1", ".2.4.1", "1.3.6.1.4.1.13742.6.5.2.3.1.4.*.5", "1.3.6.1..1", ".*", "1.3.6.1.*.*"} {
		f.Add(s, "1.2")
	}
	f.Fuzz(func(t *testing.T, s, row string) {
		c, err := parseColumn(s)
		if err != nil || !numeric(row) {
			return
		}
		oid := c.at("1.3.6.1.4.1.9", row)
		if !numeric(oid) && len(strings.Split(oid, ".")) <= mostArcs {
			t.Errorf("%q with row %q is %q, not an OID", s, row, oid)
		}
		if got, ok := c.row("1.3.6.1.4.1.9", oid); !ok || got != row {
			t.Errorf("%q: row %q comes back as %q, %v", s, row, got, ok)
		}
		if !under(oid, c.root("1.3.6.1.4.1.9")) || encodedBytes(oid) < 2 {
			t.Errorf("%q: %q is not below its own root", s, oid)
		}
	})
}

func TestCompareOIDs(t *testing.T) {
	sorted := []string{"1.3", "1.3.6.1.2.1", "1.3.6.1.4.1.9", "1.3.6.1.4.1.10", "1.3.6.1.4.1.10.0", "1.3.6.1.4.1.100", "2.1"}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := compareOIDs(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s, %s: %d", a, b, got)
			}
		}
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{
		"rack 7\x00\x1b[31m": "rack 7[31m", " a\n": "a", "B3\x00": "B3", "ü": "", strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		got := label(value{text: in})
		if diff := cmp.Diff(want, got); diff != "" || !utf8.ValidString(got) {
			t.Errorf("%q: %s", in, diff)
		}
	}
}
