package bench

import (
	"context"
	"errors"
	"fmt"
)

// Bounds are the rules of a capacity search. Agents are whole.
type Bounds struct {
	Max      int     // most agents ever tried
	Step     int     // resolution in agents, at least 1
	Relative float64 // resolution relative to N; the larger of both counts
	Retests  int     // of the largest N that passed, after the bisection; N+step gets one
}

func (b Bounds) check() error {
	switch {
	case b.Max < 1:
		return errors.New("max_agents must be at least 1")
	case b.Step < 1:
		return errors.New("step must be at least 1")
	case !(b.Relative >= 0 && b.Relative < 1):
		return errors.New("relative_step must be at least 0 and below 1")
	case b.Retests < 0:
		return errors.New("retests must not be negative")
	}
	return nil
}

// resolution returns how close a fail must be to a pass at n.
func (b Bounds) resolution(n int) int { return max(b.Step, int(b.Relative*float64(n))) }

// Ask is a phase that the search wants.
type Ask struct {
	Agents  int
	Purpose string
	Tiers   []Tier // those that need its verdict: a failure certain for all of these may end it early
}

// The purposes of a phase in a search.
const (
	Ramp     = "ramp"
	Bisect   = "bisect"
	EdgeTest = "re-test"
)

// Probe runs one phase and evaluates it for all tiers of the search, not only those that ask. An error ends the search;
// an interrupted phase is returned with it.
type Probe func(ctx context.Context, ask Ask) (Phase, error)

// Answer is what a search found, as far as it came.
type Answer struct {
	Tiers    []TierResult // without figures
	Phases   []Phase      // in the order they were run
	Complete bool         // the search came to its end for every tier
}

// Search finds the largest number of agents that passes, for all tiers at once: an exponential ramp until every tier has
// failed, a bisection for each until pass and fail are adjacent within the resolution, then re-tests of the edges
// (METHOD 5). Tiers share phases. What to do next and what is concluded are pure functions of the phases so far (Next,
// Conclude), so a search is continued, or checked, from its phases alone: pass those already run as done.
//
// A phase that is invalid for a tier that asked for it is repeated once; if it is invalid again the search stops for that
// tier, which the answer and the error say. An error of probe, such as a cancelled context, stops the search; the answer
// then holds what was found.
func Search(ctx context.Context, b Bounds, tiers []Tier, done []Phase, probe Probe) (Answer, error) {
	if err := b.check(); err != nil {
		return Answer{}, fmt.Errorf("search: %w", err)
	}
	phases := append([]Phase(nil), done...)
	for {
		ask, ok := Next(b, tiers, phases)
		if !ok {
			answer := conclude(b, tiers, phases)
			return answer, stuckError(b, tiers, phases)
		}
		if err := ctx.Err(); err != nil {
			return conclude(b, tiers, phases), fmt.Errorf("search before %d agents: %w", ask.Agents, err)
		}
		phase, err := probe(ctx, ask)
		if phase.Index != 0 {
			phases = append(phases, phase)
		}
		if err != nil {
			return conclude(b, tiers, phases), fmt.Errorf("search at %d agents: %w", ask.Agents, err)
		}
	}
}

func conclude(b Bounds, tiers []Tier, phases []Phase) Answer {
	results := Conclude(b, tiers, phases)
	complete := true
	for _, r := range results {
		complete = complete && r.Complete
	}
	return Answer{Tiers: results, Phases: phases, Complete: complete}
}

// stuckError names the phases that were invalid twice.
func stuckError(b Bounds, tiers []Tier, phases []Phase) error {
	var errs []error
	for _, s := range replay(b, tiers, phases) {
		if s.stuck > 0 {
			errs = append(errs, fmt.Errorf("tier %q: the phase at %d agents was invalid twice: %s", s.tier.Name, s.stuck, s.why))
		}
	}
	return errors.Join(errs...)
}

// Next returns the phase that a search with these phases behind it wants, or ok false if there is nothing left to do.
//
// Ramps come first, smallest N first, since every tier learns from them; then bisections and re-tests in the order of the
// tiers. All tiers for which N decides anything share the phase.
func Next(b Bounds, tiers []Tier, phases []Phase) (ask Ask, ok bool) {
	return next(b, replay(b, tiers, phases))
}

func next(b Bounds, states []*tierState) (ask Ask, ok bool) {
	for _, s := range states {
		n, purpose := s.wants(b)
		better := !ok || purpose == Ramp && (ask.Purpose != Ramp || n < ask.Agents)
		if n > 0 && better {
			ask, ok = Ask{Agents: n, Purpose: purpose}, true
		}
	}
	for _, s := range states {
		if ok && s.needs(b, ask.Agents) {
			ask.Tiers = append(ask.Tiers, s.tier)
		}
	}
	return ask, ok
}

// replay follows the search through its phases.
func replay(b Bounds, tiers []Tier, phases []Phase) []*tierState {
	states := make([]*tierState, len(tiers))
	for i, t := range tiers {
		states[i] = &tierState{tier: t, trials: map[int]*trials{}}
	}
	for _, p := range phases {
		if p.Reason == EndInterrupted {
			continue
		}
		ask, asking := next(b, states)
		for i, s := range states {
			asked := asking && ask.Agents == p.Agents && s.needs(b, p.Agents)
			s.learn(p, verdictOf(p, tiers[i].Name), asked)
		}
	}
	return states
}

// verdictOf finds a tier's verdict in a phase; a phase that did not judge the tier says nothing about it.
func verdictOf(p Phase, tier string) Verdict {
	for _, v := range p.Verdicts {
		if v.Tier == tier {
			return v
		}
	}
	return Verdict{Tier: tier, Outcome: Unjudged}
}
