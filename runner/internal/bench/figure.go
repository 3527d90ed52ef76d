package bench

import (
	"fmt"
	"math"
	"slices"

	"agentwatt/shared/power"
)

// PerMegawatt returns agents per megawatt (METHOD 1); 0 without power.
func PerMegawatt(agents float64, mean power.Power) float64 {
	if mean <= 0 {
		return 0
	}
	return agents / mean.Megawatts()
}

// Figures gives agents per megawatt, and what METHOD 1 prints beside it, for each headline scope of the phase that the
// tier's answer rests on. A figure that does not stand is listed as invalid with its reasons and without numbers.
//
// simulated says that the endpoint is. A figure with a simulated endpoint or meter is degraded at best and Simulated is set:
// it is never evidence about hardware, and no output may leave that out.
func Figures(r TierResult, phase Phase, s System, simulated bool) (list []Figure) {
	for _, p := range phase.Power {
		if p.Scope.Headline() {
			list = append(list, figure(r, phase, p, s, simulated))
		}
	}
	return list
}

func figure(r TierResult, phase Phase, p ScopePower, s System, simulated bool) Figure {
	f := Figure{Scope: p.Scope, Agents: r.Agents, Devices: p.Devices, Coverage: p.Coverage, Simulated: simulated || p.Simulated}
	f.Standing, f.Reasons = standing(r, phase, p, s)
	if f.Simulated {
		f.Reasons = append([]string{"simulated: no evidence about hardware"}, f.Reasons...)
		if f.Standing == Valid { // DESIGN: a program that filters for valid figures must never get this one
			f.Standing = Degraded
		}
	}
	if f.Standing == InvalidValue {
		return f
	}
	n := float64(r.Agents)
	f.MeanPower = p.Mean
	f.AgentsPerMegawatt = PerMegawatt(n, p.Mean)
	f.Uncertainty = p.Uncertainty
	f.Uncertainty.Bracket = bracket(r)
	expanded := f.Uncertainty.Expanded()
	f.Low, f.High = f.AgentsPerMegawatt*max(0, 1-expanded), f.AgentsPerMegawatt*(1+expanded)
	f.WattsPerAgent = p.Mean.Watts() / n
	f.PerAccelerator = per(n, float64(accelerators(p, s)))
	f.PerSystem = per(n, float64(s.Systems))
	if s.TDP > 0 && p.Scope == power.Accelerator {
		f.Nameplate = PerMegawatt(n, s.TDP*power.Power(accelerators(p, s)))
	}
	joules := p.Energy.Joules()
	t := phase.Tokens
	f.JoulesPerToken = per(joules, float64(t.Output))
	f.JoulesPerTurn = per(joules, float64(answered(phase)))
	f.JoulesPerTrajectory = per(joules, float64(phase.Trajectories))
	if t.PromptUncached <= t.Prompt/100 { // else nobody knows what was cached
		f.JoulesPerFresh = per(joules, float64(t.Prompt-t.PromptUncached-t.Cached))
		f.JoulesPerCached = per(joules, float64(t.Cached))
	}
	f.TokensPerSecond = per(float64(t.Output), phase.Window().Length().Seconds())
	return f
}

// answered counts the requests of a phase that were answered.
func answered(p Phase) int {
	n := p.Requests
	for kind, count := range p.Failures {
		if kind != Cancelled {
			n -= count
		}
	}
	return n
}

// per divides; 0 stands for "not known", which is what a quotient with nothing below is.
func per(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}

// accelerators returns the number of accelerators of the deployment: as stated, else as counted where they are metered
// one by one; 0 if neither says.
func accelerators(p ScopePower, s System) int {
	if s.Accelerators == 0 && p.Scope == power.Accelerator {
		return len(p.Devices)
	}
	return s.Accelerators
}

// bracket returns the relative standard uncertainty of N. The capacity, were agents divisible, lies somewhere between the
// largest N that passed and the smallest that failed, wider where single phases contradict each other: a rectangle of that
// width, whose standard deviation is width/√12. It is 0 where no fail was found: N is then a lower bound, not an estimate.
func bracket(r TierResult) float64 {
	if r.FirstFail == 0 || r.Agents == 0 {
		return 0
	}
	low, high := min(r.Agents, r.SpreadLow), max(r.FirstFail, r.SpreadHigh)
	return float64(high-low) / math.Sqrt(12) / float64(r.Agents)
}

// standing says whether a figure may be printed and what speaks against it.
func standing(r TierResult, phase Phase, p ScopePower, s System) (Standing, []string) {
	var invalid, degraded []string
	if r.Agents == 0 {
		invalid = append(invalid, "no number of agents met the tier")
	}
	if !p.Valid {
		invalid = append(invalid, whyInvalid(p)...)
	}
	if metered := len(p.Devices); p.Valid && p.Scope == power.Accelerator && s.Accelerators > 0 && metered != s.Accelerators {
		reason := fmt.Sprintf("%d accelerators are stated, %d are metered", s.Accelerators, metered)
		if metered < s.Accelerators {
			invalid = append(invalid, reason)
		} else {
			degraded = append(degraded, reason)
		}
	}
	if len(invalid) > 0 {
		return InvalidValue, invalid
	}
	switch {
	case r.FirstFail == 0:
		degraded = append(degraded, "no fail was found: N is a lower bound")
	case !r.Complete:
		degraded = append(degraded, "the search did not come to its end")
	}
	if !r.Monotone {
		degraded = append(degraded, "phases contradict each other")
	}
	for _, w := range p.Warnings {
		if !harmless(w.Code) {
			degraded = append(degraded, w.Detail)
		}
	}
	if len(degraded) > 0 {
		return Degraded, degraded
	}
	return Valid, nil
}

func whyInvalid(p ScopePower) (reasons []string) {
	for _, d := range p.Missing {
		reasons = append(reasons, fmt.Sprintf("device %s has no valid power over the window", d))
	}
	for _, w := range p.Warnings {
		if w.Code == power.CrossCheck || w.Code == MissingDevice || w.Code == power.NoSamples {
			reasons = append(reasons, w.Detail)
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"no device has valid power over the window"}
	}
	return reasons
}

// harmless reports doubts that the uncertainty or the coverage already carries, or that are no doubt about the number:
// they are printed with it and do not lower its standing.
func harmless(c power.Code) bool {
	return slices.Contains([]power.Code{power.Wrapped, power.AccuracyFree, power.SimulatedCode, power.ReadFailed, power.Gap, MissedTicks, NotCounted, CoarseCounter}, c)
}
