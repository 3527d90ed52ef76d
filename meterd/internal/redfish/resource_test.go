package redfish

import (
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Whatever a document says, a value is a number that is written in it, or there is none, with a reason.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"PowerWatts": {"Reading": 6438, "ApparentVA": 6300, "PowerFactor": 0.93}, "EnergykWh": {"Reading": "56438.25"}}`))
	f.Add([]byte(`{"Reading": 31.6, "ReadingTime": "2019-12-25T04:14:33+06:00", "SensingInterval": "PT3S", "Accuracy": null}`))
	f.Add([]byte(`{"RailPowerWatts": [{"Reading": 1}, null, 3, "x"], "PowerControl": [{"PowerConsumedWatts": 344}], "EnergyJoules": 5}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			return
		}
		s := &Source{now: func() clock.Stamp { return 1 }}
		s.layout.Store(&layout{meters: make([]power.Meter, 1)})
		offered := r.offers(watts, energy, joules, input, output, rail, consumed)
		for _, p := range append(offered, point{kind: watts, own: true}, point{kind: rail, index: 99}) {
			x := power.Sample{Time: 1000}
			s.fill(&x, &p, r)
			n, _ := r.value(p)
			if x.Status != power.OK && x.Raw != 0 || x.Status == power.OK && n.text == "" || x.Device%1000 != 0 {
				t.Fatalf("%q: %+v from %q", b, x, n.text)
			}
		}
	})
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"PT1S": time.Second, "PT0.25S": 250 * time.Millisecond, "PT1M30S": 90 * time.Second, "PT20M": 20 * time.Minute,
		"P1D": 24 * time.Hour, "PT1H": time.Hour,
		"": 0, "P": 0, "PT": 0, "PT0S": 0, "PTS": 0, "PT1": 0, "1S": 0, "PT-1S": 0, "PT1S1S": 0, "PT1.S2": 0, "P2D": 0, "P1Y": 0, "PT1e9S": 0,
		"PT99999999999999999999999999999999S": 0, "P1DT": 24 * time.Hour, "PT1ST1M": 0, "PT1..2S": 0,
	} {
		if got, ok := parseDuration(text); got != want || ok != (want != 0) {
			t.Errorf("%q is %v, %v; want %v", text, got, ok, want)
		}
	}
}

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{
		"2019-12-25T04:14:33+06:00": "2019-12-24T22:14:33Z", "2026-03-01T12:00:00.1234567Z": "2026-03-01T12:00:00.123456Z",
		"": "", "1970-01-01T00:00:12Z": "", "2026-03-01T12:00:00": "", "yesterday": "", "9999-12-31T23:59:59Z": "",
	} {
		got, ok := parseTime(text)
		if ok != (want != "") || ok && got.Time().Format(time.RFC3339Nano) != want {
			t.Errorf("%q is %v, %v; want %q", text, got.Time(), ok, want)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, s := range []string{"PT1.5S", "P1DT2H3M4S", "2019-12-25T04:14:33+06:00", "PT", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, ok := parseDuration(s); ok && (d <= 0 || d > longestSpan || d%time.Microsecond != 0) || !ok && d != 0 {
			t.Fatalf("%q is %v, %v", s, d, ok)
		}
		if at, ok := parseTime(s); ok && (at <= 0 || at%1000 != 0) || !ok && at != 0 {
			t.Fatalf("%q is %v, %v", s, at, ok)
		}
	})
}
