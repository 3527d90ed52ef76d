package power

import (
	"math"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

// A counter that is written in micro-kWh and moves by a tenth of a kWh is as coarse as one that counts tenths of a kWh.
func TestStepIsTheResolution(t *testing.T) {
	const begin = clock.Stamp(1_790_000_000_000_000_000)
	coarse := Meter{ID: "m", Scope: Rack, Quantity: Counter, Scale: Scale{360_000_000_000, 1}, Accuracy: 0.01,
		Period: time.Second, PeriodFrom: Specification} // which is how often it looks, not how often it can be seen to move
	fine := coarse
	fine.Scale, fine.Step = Scale{3_600_000, 1}, 100_000
	read := func(perStep int64) (samples []Sample) {
		for i := range int64(7200) {
			steps := i * 12_000 / 360_000 // 12 kW, once a second
			samples = append(samples, Sample{Time: begin.Add(time.Duration(i) * time.Second), Raw: 1000 + steps*perStep})
		}
		return samples
	}
	a := Between(coarse, read(1), begin.Add(600*time.Second), begin.Add(6600*time.Second))
	b := Between(fine, read(100_000), begin.Add(600*time.Second), begin.Add(6600*time.Second))
	if !a.Valid || !b.Valid || a.Energy != b.Energy || a.Uncertainty != b.Uncertainty {
		t.Errorf("counted in steps: %v ± %+v, valid %v\ncounted finer: %v ± %+v, valid %v", a.Energy, a.Uncertainty, a.Valid, b.Energy, b.Uncertainty, b.Valid)
	}
	if want := 360_000 / math.Sqrt(6) / 72e6; math.Abs(b.Uncertainty.Quantisation/want-1) > 0.02 {
		t.Errorf("quantisation %v, want %v", b.Uncertainty.Quantisation, want)
	}
}
