package sensor

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func TestRegistryParses(t *testing.T) {
	models, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, m := range models {
		key := m.Vendor + "/" + m.Arch + "/" + m.Field + "/" + m.Drivers.String()
		if seen[key] {
			t.Errorf("%s is there twice", key)
		}
		seen[key] = true
	}
}

func TestParseRejects(t *testing.T) {
	for name, text := range map[string]string{
		"no source":   "models: [{vendor: v, arch: a, field: f}]",
		"no origin":   "models: [{vendor: v, arch: a, field: f, source: s, period: {value: 1s}}]",
		"bad origin":  "models: [{vendor: v, arch: a, field: f, source: s, period: {value: 1s, from: hearsay}}]",
		"unknown key": "models: [{vendor: v, arch: a, field: f, source: s, colour: red}]",
		"bad range":   "models: [{vendor: v, arch: a, field: f, source: s, drivers: new}]",
		"no field":    "models: [{vendor: v, arch: a, source: s}]",
	} {
		if _, err := parse([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestRange(t *testing.T) {
	for _, c := range []struct {
		from, before, version string
		want                  bool
	}{
		{"", "", "anything", true},
		{"530", "535", "530.30.02", true},
		{"530", "535", "529.99", false},
		{"530", "535", "535", false},
		{"535.54", "", "535.104", true},
		{"", "535", "470.1", true},
		{"530", "535", "", false},
		{"530", "535", "five", false},
	} {
		if got := (Range{c.from, c.before}).Includes(c.version); got != c.want {
			t.Errorf("%s..%s includes %q: got %v, want %v", c.from, c.before, c.version, got, c.want)
		}
	}
}

func TestFindAndDescribe(t *testing.T) {
	got := power.Meter{ID: "x", Quantity: power.Counter}
	Find("rapl", "any", "energy", "").Describe(&got)
	want := power.Meter{ID: "x", Quantity: power.Counter, Period: time.Millisecond, PeriodFrom: power.Specification,
		Accuracy: -1, Model: "rapl/*/energy"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	unknown := Find("nobody", "none", "nothing", "1")
	if unknown.Known() {
		t.Error("a model that is not there is known")
	}
	unknown.Describe(&got)
	if want := "nobody/none/nothing/unknown"; got.Model != want {
		t.Errorf("model: got %q, want %q", got.Model, want)
	}
}
