package power

import (
	"math"
	"time"

	"agentwatt/shared/clock"
)

// Code names a kind of doubt for machines; Warning.Detail says it for people.
type Code string

// The kinds of doubt that Between can raise.
const (
	NoSamples     Code = "no-samples"     // nothing read in or around the interval
	EdgeUncovered Code = "edge-uncovered" // an edge is not bracketed by fresh values
	Gap           Code = "gap"            // a stretch without fresh values
	Reset         Code = "reset"          // a counter went backward
	Wrapped       Code = "wrap"           // a counter wrapped and was unwrapped
	ReadFailed    Code = "read-failed"    // reads without a value inside the interval
	CrossCheck    Code = "cross-check"    // counter and integrated power disagree
	AccuracyFree  Code = "accuracy"       // the meter's accuracy is not known; a default was used
	Implausible   Code = "implausible"    // a value the device cannot draw
	Stuck         Code = "stuck"          // a power value repeated for longer than a real load is that even
	BadMeter      Code = "meter"          // a declared property that makes no sense: nothing can be computed
	SimulatedCode Code = "simulated"      // no hardware behind the meter
)

// Warning is doubt that travels with a number.
type Warning struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// Error makes a Warning usable where an error is expected.
func (w Warning) Error() string { return string(w.Code) + ": " + w.Detail }

// Uncertainty is a budget of relative standard uncertainties (k = 1) of a mean power. Zero: does not contribute.
type Uncertainty struct {
	Gain         float64 `json:"gain"`         // sensor gain; fully correlated between meters of one model
	Quantisation float64 `json:"quantisation"` // size of one count
	Sampling     float64 `json:"sampling"`     // spread of part-time samples
	Edges        float64 `json:"edges"`        // where in an update period the interval's edges fall
	Clock        float64 `json:"clock"`        // error of the time base
	Gaps         float64 `json:"gaps"`         // stretches without values
	Bracket      float64 `json:"bracket"`      // of N, for agents per megawatt only
}

// terms lists the budget with its names, in a fixed order.
func (u Uncertainty) terms() []struct {
	name string
	v    float64
} {
	return []struct {
		name string
		v    float64
	}{
		{"sensor gain", u.Gain}, {"quantisation", u.Quantisation}, {"sampling", u.Sampling}, {"window edges", u.Edges},
		{"clock", u.Clock}, {"gaps", u.Gaps}, {"bracket of N", u.Bracket},
	}
}

// Expanded returns the relative expanded uncertainty, k = 2.
func (u Uncertainty) Expanded() float64 {
	var sum float64
	for _, t := range u.terms() {
		sum += t.v * t.v
	}
	return 2 * math.Sqrt(sum)
}

// Noise returns the part of the budget (k = 1) in which two meters of one device differ by chance: all but their gains and
// the clock that they share.
func (u Uncertainty) Noise() float64 {
	return math.Sqrt(u.Quantisation*u.Quantisation + u.Sampling*u.Sampling + u.Edges*u.Edges + u.Gaps*u.Gaps)
}

// Dominant names the largest term; empty if the budget is empty.
func (u Uncertainty) Dominant() string {
	name, most := "", 0.0
	for _, t := range u.terms() {
		if t.v > most {
			name, most = t.name, t.v
		}
	}
	return name
}

// Use is what one meter says about the half-open interval [Begin, End).
//
// Energy is over the measured part of the interval only and Mean is Energy / Measured, so nothing is ever extrapolated into
// Energy; what the whole interval took is Mean.Over(End - Begin), whose doubt about the rest is in the Uncertainty.
// A counter measures across a gap as long as it was not reset there, so for it Measured can exceed what Coverage says.
// A Mean meter drops one window at each edge (METHOD 6): Measured is then at most End - Begin - 2 windows, and Coverage is
// relative to that.
type Use struct {
	Meter       Meter         `json:"meter"`
	Begin       clock.Stamp   `json:"begin_unix_nanos"`
	End         clock.Stamp   `json:"end_unix_nanos"`
	Energy      Energy        `json:"energy_microjoules"` // meaningless unless Valid
	Mean        Power         `json:"mean_microwatts"`    // meaningless unless Valid
	Measured    time.Duration `json:"measured_nanos"`     // how much of the interval Energy is over
	Coverage    float64       `json:"coverage"`           // 0 to 1: part of the interval that fresh values cover
	LongestGap  time.Duration `json:"longest_gap_nanos"`  // longest stretch uncovered; 0: none
	Fresh       int           `json:"fresh_values"`       // values inside the interval that were not re-reads
	Uncertainty Uncertainty   `json:"uncertainty"`        //
	Valid       bool          `json:"valid"`              // METHOD 6: at most 1 % uncovered, no gap above 3 s, both edges covered
	Warnings    []Warning     `json:"warnings,omitempty"`
}
