package simulate

import (
	"math"
	"time"

	"agentwatt/shared/power"
)

// TokensPerStep returns the mean output tokens of one decoding sequence in one step: 1 without speculation, else
// (1-a^(k+1))/(1-a) with k proposed tokens, each accepted with probability a as long as all before it were.
// It holds away from the end of an output, where the requested length cuts the last step short.
func TokensPerStep(p Params) float64 {
	if p.Acceptance == 1 {
		return float64(p.Draft + 1)
	}
	return (1 - math.Pow(p.Acceptance, float64(p.Draft+1))) / (1 - p.Acceptance)
}

// decodeTime returns the seconds of a step that only decodes n sequences of context tokens each.
func decodeTime(p Params, n int, context float64) float64 {
	t := p.StepBase.Seconds() + float64(n)*(p.StepPerSequence.Seconds()+p.StepPerKilotoken.Seconds()*context/1000)
	if p.Draft > 0 && n > 0 {
		t += p.DraftCost.Seconds()
	}
	return t
}

// DecodeSpeed returns the output tokens per second of each of n sequences that decode together:
//
//	TokensPerStep / (StepBase + n*(StepPerSequence + StepPerKilotoken*context/1000) + DraftCost)
//
// Condition: all n decode in every step (n <= MaxBatch, all fit the cache, nobody prefills). context is their mean
// context in tokens; because the step time is linear in it, an output of L tokens that begins after a prompt of P has
// exactly the speed of context = P + L/2 from its first token to its last, up to the truncation of each step to 1 ns.
func DecodeSpeed(p Params, n int, context float64) float64 {
	return TokensPerStep(p) / decodeTime(p, n, context)
}

// DecodeCapacity returns the most sequences of context tokens each that can decode together at floor tokens per second
// each or more; 0 where even one cannot. It is DecodeSpeed solved for n, limited by MaxBatch and by the cache:
//
//	n = floor((TokensPerStep/floor - StepBase - DraftCost) / (StepPerSequence + StepPerKilotoken*context/1000))
func DecodeCapacity(p Params, floor float64, context int) int {
	n := min(p.MaxBatch, p.capacity()/max(1, p.blocks(context)))
	room := TokensPerStep(p)/floor - decodeTime(p, 1, 0) + p.StepPerSequence.Seconds()
	each := p.StepPerSequence.Seconds() + p.StepPerKilotoken.Seconds()*float64(context)/1000
	if room < 0 {
		return 0
	}
	if each == 0 {
		return n
	}
	// The tolerance is that of float64, so that a floor computed by DecodeSpeed gives its n back.
	return int(math.Min(float64(n), room/each*(1+1e-12)))
}

// PrefillTime returns how long an engine with nothing else to do takes for tokens prompt tokens that are not in the
// cache, to the first output token. It is exact.
func PrefillTime(p Params, tokens int) time.Duration {
	full := tokens / p.PrefillBudget
	d := p.StepTime(0, 0, p.PrefillBudget) * time.Duration(full)
	if rest := tokens % p.PrefillBudget; rest > 0 {
		d += p.StepTime(0, 0, rest)
	}
	return d
}

// PowerAt returns the power of all devices together while n sequences of context tokens each decode together, under the
// condition of DecodeSpeed:
//
//	Devices*Idle + (StepEnergy + DecodeEnergy*n*TokensPerStep) / step time
//
// and Devices*Idle for n = 0.
func PowerAt(p Params, n int, context float64) power.Power {
	idle := p.Idle * power.Power(p.Devices)
	if n == 0 {
		return idle
	}
	work := float64(p.StepEnergy) + float64(p.DecodeEnergy)*float64(n)*TokensPerStep(p)
	return idle + power.Power(math.Round(work/decodeTime(p, n, context)))
}

// PeakPower returns a bound on the power of one device that no step exceeds, rounded up to a watt. A step's power above
// idle is a quotient of two functions linear in its sequences and tokens, so it is largest in a corner of what a step can be.
func PeakPower(p Params) power.Power {
	peak := 0.0
	corner := func(decoding, first, prefilled int) {
		work := p.StepWork(decoding*(p.Draft+1)+first, prefilled)
		peak = max(peak, float64(work)/p.StepTime(decoding, 0, prefilled).Seconds())
	}
	first := min(p.MaxBatch, p.PrefillBudget) // sequences whose prompt ends in the step: a prompt token each, at the least
	corner(p.MaxBatch, 0, 0)
	corner(p.MaxBatch, 0, p.PrefillBudget)
	corner(p.MaxBatch-first, first, first)
	corner(p.MaxBatch-first, first, p.PrefillBudget)
	corner(0, 0, 0)
	corner(0, first, first)
	corner(0, first, p.PrefillBudget)
	corner(0, 0, p.PrefillBudget)
	watts := math.Ceil(peak / float64(p.Devices) / float64(power.Watt))
	return p.Idle + power.Power(watts)*power.Watt
}
