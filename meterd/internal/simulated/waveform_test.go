package simulated

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"agentwatt/shared/power"
)

var waves = map[string]Waveform{
	"constant":   Constant(700 * power.Watt),
	"step":       Step(90*power.Watt, 700*power.Watt, 3*time.Second),
	"step back":  Step(700*power.Watt, 90*power.Watt, -2*time.Second),
	"square":     Square(100*power.Watt, 700*power.Watt, 200*time.Millisecond),
	"sine":       Sine(400*power.Watt, 300*power.Watt, 1700*time.Millisecond),
	"wild sine":  Sine(100*power.Watt, 300*power.Watt, time.Second),
	"no cycle":   Square(1*power.Watt, 3*power.Watt, 0),
	"down first": Square(700*power.Watt, 100*power.Watt, time.Second),
}

// The one law: energy is the integral of power. It is checked against a numeric integral, before the start too.
func TestEnergyIsTheIntegralOfPower(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for name, w := range waves {
		if e := w.energy(0); math.Abs(e) > 1e-9 {
			t.Errorf("%s: energy at the start is %v, want 0", name, e)
		}
		for range 20 {
			a := r.Float64()*12 - 4
			b := a + r.Float64()*3
			const n = 20_000
			sum, h := 0.0, (b-a)/n
			for i := range n {
				p := w.power(a + (float64(i)+0.5)*h)
				if p < 0 || p > w.peak.Watts()+1e-9 {
					t.Fatalf("%s: power %v W is negative or above the peak %v", name, p, w.peak)
				}
				sum += p * h
			}
			// A jump inside one step of the midpoint rule is worth at most the peak times the step; there are up to 30.
			if got := w.energy(b) - w.energy(a); math.Abs(got-sum) > 40*h*w.peak.Watts() {
				t.Errorf("%s: energy from %v to %v is %v J, the integral %v J", name, a, b, got, sum)
			}
		}
	}
}
