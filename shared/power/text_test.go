package power

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUseAsJSON(t *testing.T) {
	m := jouleMeter()
	m.Device, m.Name, m.Model, m.Limit, m.Accuracy, m.AccuracyFrom = "GPU-1", "NVIDIA H200", "nvml/GH100/energy", 700*Watt, 0.05, Assumed
	u := Between(m, every(0, 3000, 100, func(ms int64) int64 { return 1000 + 500*ms }), after(1000), after(2000)).doubt(Stuck, "so it seems")
	b, err := json.Marshal(u)
	if err != nil {
		t.Fatal(err)
	}
	var back Use
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(u, back); diff != "" {
		t.Errorf("after a round trip (-before +after):\n%s", diff)
	}
	var fields struct {
		Meter map[string]any `json:"meter"`
	}
	if err := json.Unmarshal(b, &fields); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "test/energy", "device": "GPU-1", "name": "NVIDIA H200", "scope": "accelerator", "quantity": "counter",
		"scale": map[string]any{"num": 1000., "den": 1.}, "period_nanos": 1e8, "averaging_nanos": 0., "delay_nanos": 0.,
		"limit_microwatts": 7e8, "accuracy_relative": 0.05, "model": "nvml/GH100/energy",
		"period_from": "specification", "averaging_from": "unknown", "delay_from": "unknown", "accuracy_from": "assumed",
	}
	if diff := cmp.Diff(want, fields.Meter); diff != "" {
		t.Errorf("meter as JSON (-want +got):\n%s", diff)
	}
}

func TestNames(t *testing.T) {
	for q := Quantity(0); q <= Held; q++ {
		b, err := q.MarshalText()
		var back Quantity
		if err != nil || back.UnmarshalText(b) != nil || back != q || q.String() != string(b) {
			t.Errorf("quantity %d: %q, back %d, %v", q, b, back, err)
		}
	}
	for s := OK; s <= Denied; s++ {
		b, err := s.MarshalText()
		back := Status(99)
		if err != nil || back.UnmarshalText(b) != nil || back != s || s.String() != string(b) {
			t.Errorf("status %d: %q, back %d, %v", s, b, back, err)
		}
	}
	for o := Unknown; o <= Measured; o++ {
		b, err := o.MarshalText()
		back := Origin(99)
		if err != nil || back.UnmarshalText(b) != nil || back != o || o.String() != string(b) {
			t.Errorf("origin %d: %q, back %d, %v", o, b, back, err)
		}
	}
	if _, err := Quantity(77).MarshalText(); err == nil || Quantity(77).String() != "quantity(77)" {
		t.Errorf("quantity 77 is %v, error %v", Quantity(77), err)
	}
	if err := new(Status).UnmarshalText([]byte("fine")); err == nil {
		t.Error("status fine was read")
	}
}

func TestUnits(t *testing.T) {
	tests := []struct{ got, want any }{
		{(937 * Watt).String(), "937 W"}, {(30_004 * Watt).String(), "30 kW"}, {Power(0).String(), "0 W"}, {(1500 * Joule).String(), "1.5 kJ"},
		{(-2 * Megawatt).String(), "-2 MW"}, {Energy(7).String(), "7 µJ"},
		{(700 * Watt).Over(10 * time.Second), 7 * Kilojoule}, {(7 * Kilojoule).Over(10 * time.Second), 700 * Watt}, {Joule.Over(0), Power(0)},
		{(2500 * Watt).Megawatts(), 0.0025}, {(5 * Millijoule).Joules(), 0.005},
		{Accelerator.Headline(), true}, {CPU.Headline(), false},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %v, want %v", tt.got, tt.want)
		}
	}
}
