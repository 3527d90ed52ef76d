package simulated

import (
	"math"
	"time"

	"agentwatt/shared/power"
)

// Waveform is a power over time whose energy is known in closed form. The zero Waveform is a constant 0.
type Waveform struct {
	power  func(t float64) float64 // watts at t seconds after the start; defined before the start too
	energy func(t float64) float64 // its integral from 0 to t, in joules
	peak   power.Power             // never exceeded
}

// Constant is always p.
func Constant(p power.Power) Waveform { return Step(p, p, 0) }

// Step is before until at after the start, and after from then on.
func Step(before, after power.Power, at time.Duration) Waveform {
	low, high, edge := before.Watts(), after.Watts(), at.Seconds()
	return Waveform{
		power: func(t float64) float64 {
			if t < edge {
				return low
			}
			return high
		},
		energy: func(t float64) float64 {
			return low*min(t, edge) + high*max(t-edge, 0) - (low*min(0, edge) + high*max(-edge, 0))
		},
		peak: max(before, after),
	}
}

// Square is low for the first half of every cycle and high for the second. A cycle that is not positive is taken as 1 s.
func Square(low, high power.Power, cycle time.Duration) Waveform {
	l, h, c := low.Watts(), high.Watts(), seconds(cycle)
	return Waveform{
		power: func(t float64) float64 {
			if x := t / c; x-math.Floor(x) < 0.5 {
				return l
			}
			return h
		},
		energy: func(t float64) float64 {
			n := math.Floor(t / c)
			in := t - n*c
			return n*c*(l+h)/2 + l*min(in, c/2) + h*max(in-c/2, 0)
		},
		peak: max(low, high),
	}
}

// Sine is mean + swing*sin(2π t/cycle). A cycle that is not positive is taken as 1 s; a swing above mean as mean, because
// power is never negative.
func Sine(mean, swing power.Power, cycle time.Duration) Waveform {
	swing = min(swing, mean)
	m, a, w := mean.Watts(), swing.Watts(), 2*math.Pi/seconds(cycle)
	return Waveform{
		power:  func(t float64) float64 { return m + a*math.Sin(w*t) },
		energy: func(t float64) float64 { return m*t + a/w*(1-math.Cos(w*t)) },
		peak:   mean + max(swing, -swing),
	}
}

func seconds(cycle time.Duration) float64 {
	if cycle <= 0 {
		return 1
	}
	return cycle.Seconds()
}
