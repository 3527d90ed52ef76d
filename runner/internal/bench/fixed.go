package bench

import (
	"context"
	"fmt"
)

// Fixed is a replay at one number of agents, without a search.
type Fixed struct {
	Agents   int    `json:"agents"`
	Windows  int    `json:"windows"`            // phases, one after the other, without a pause
	Diagnose string `json:"diagnose,omitempty"` // PrefillOnly or DecodeOnly: the load is not that of agents, and no tier is judged
}

// Diagnoses.
const (
	PrefillOnly = "prefill" // recorded prompts, answers of one token: what reading costs
	DecodeOnly  = "decode"  // prompts of a few words, answers of the recorded lengths: what writing costs
)

// FixedPurpose is the purpose of the phases of a replay.
const FixedPurpose = "fixed"

// Replay runs the phases of a replay. No phase ends early: what fails is measured as long as what passes.
func Replay(ctx context.Context, f Fixed, probe Probe) error {
	for i := range f.Windows {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("replay before window %d: %w", i+1, err)
		}
		if _, err := probe(ctx, Ask{Agents: f.Agents, Purpose: FixedPurpose}); err != nil {
			return fmt.Errorf("replay, window %d: %w", i+1, err)
		}
	}
	return nil
}

// Tried counts what the windows of a replay came to for a tier.
type Tried struct {
	Agents  int `json:"agents"`
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Invalid int `json:"invalid"`
}

// concludeReplay says for each tier what the windows of a replay show. How many agents more would pass is not known, so there is no
// answer of a search and no figure.
func concludeReplay(f Fixed, tiers []Tier, phases []Phase) (results []TierResult) {
	for _, t := range tiers {
		r := TierResult{Tier: t, Fixed: &Tried{Agents: f.Agents}, Complete: len(phases) >= f.Windows, Monotone: true, Confidence: Confident, Retests: []Retest{}}
		for _, p := range phases {
			v := verdictOf(p, t.Name)
			switch v.Outcome {
			case Pass:
				r.Fixed.Passed++
			case Fail:
				r.Fixed.Failed++
			default:
				r.Fixed.Invalid++
			}
			if v.Confidence != Confident {
				r.Confidence = Undecided
			}
		}
		results = append(results, r)
	}
	return results
}
