package simulated

import (
	"strings"
	"testing"

	"agentwatt/shared/power"
)

const fine = `{"simulated":true,"unix_nanos":20,"period_nanos":5,"devices":[` +
	`{"id":"a","name":"A","energy_microjoules":1,"power_microwatts":2,"changed_unix_nanos":10,"limit_microwatts":3}]}`

func TestParseRefuses(t *testing.T) {
	if _, err := parse([]byte(fine)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, with, want string }{
		{`"simulated":true`, `"simulated":false`, "simulated"},
		{`"simulated":true,`, ``, "simulated"},
		{`"unix_nanos":20`, `"unix_nanos":0`, "not a time"},
		{`"period_nanos":5`, `"period_nanos":-5`, "period_nanos"},
		{`"period_nanos":5`, `"period_nanos":3600000000001`, "period_nanos"},
		{`"id":"a"`, `"id":""`, "one short word"},
		{`"id":"a"`, `"id":"a b"`, "one short word"},
		{`"id":"a"`, `"id":"a\u001b[2J"`, "one short word"},
		{`"name":"A"`, `"name":"A\n"`, "line of text"},
		{`"name":"A"`, `"name":""`, "line of text"},
		{`"energy_microjoules":1`, `"energy_microjoules":-1`, "negative"},
		{`"power_microwatts":2`, `"power_microwatts":-1`, "negative"},
		{`"energy_microjoules":1`, `"energy_microjoules":1.5`, "energy_microjoules"},
		{`"energy_microjoules":1`, `"energy_microjoules":9223372036854775808`, "energy_microjoules"},
		{`"changed_unix_nanos":10`, `"changed_unix_nanos":21`, "not in the past"},
		{`"changed_unix_nanos":10`, `"changed_unix_nanos":0`, "not in the past"},
		{`]}`, `]} {}`, "more than one"},
		{`]}`, `]`, "EOF"},
		{fine[strings.Index(fine, `{"id"`):], `]}`, "0 devices"},
	} {
		text := strings.Replace(fine, c.old, c.with, 1)
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v, want something about %q", text, err, c.want)
		}
	}
	device := fine[strings.Index(fine, `{"id"`) : len(fine)-2]
	if _, err := parse([]byte(strings.Replace(fine, device, device+","+device, 1))); err == nil {
		t.Error("two devices with one id pass")
	}
}

// Whatever is accepted makes meters and values that are fit for use and marked as simulated.
func FuzzParse(f *testing.F) {
	f.Add([]byte(fine))
	f.Add([]byte(strings.Replace(fine, `"period_nanos":5,`, ``, 1)))
	f.Add([]byte(`{"simulated":true,"devices":[]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parse(body)
		if err != nil {
			return
		}
		ids := map[string]bool{}
		for _, m := range s.meters() {
			switch {
			case !m.Simulated:
				t.Errorf("meter %q does not say that it is simulated", m.ID)
			case ids[m.ID] || m.Device == "" || m.Period < 0 || m.Limit < 0:
				t.Errorf("meter %+v is not usable", m)
			case m.Quantity == power.Mean && m.Averaging <= 0:
				t.Errorf("meter %q is a mean without its window", m.ID)
			}
			ids[m.ID] = true
		}
		for _, d := range s.Devices {
			if d.Energy < 0 || d.Power < 0 || d.Changed <= 0 || d.Changed > s.Now {
				t.Errorf("device %+v was accepted", d)
			}
		}
	})
}
