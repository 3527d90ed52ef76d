package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// tierState is what the phases so far say about one tier.
type tierState struct {
	tier   Tier
	trials map[int]*trials // by N
	pass   int             // largest N that passed every time; 0: none
	fail   int             // smallest N above pass that ever failed; 0: none
	order  []Retest        // every judged phase, in order
	stuck  int             // N of the phase that was useless twice; 0: none
	why    string          // of stuck
}

// trials counts the phases at one N.
type trials struct {
	passes, fails int
	undecided     bool  // at least one judged phase was
	useless       int   // phases in a row that were asked for and came out invalid or unjudged
	phases        []int // indices of the judged ones
}

// learn takes in one phase. asked: the phase was run for this tier.
func (s *tierState) learn(p Phase, v Verdict, asked bool) {
	t := s.trials[p.Agents]
	if t == nil {
		t = &trials{}
		s.trials[p.Agents] = t
	}
	switch v.Outcome {
	case Pass:
		t.passes++
	case Fail:
		t.fails++
	default:
		if asked {
			if t.useless++; t.useless > 1 {
				s.stuck, s.why = p.Agents, strings.Join(v.Reasons, "; ")
			}
		}
		return
	}
	t.useless = 0
	t.undecided = t.undecided || v.Confidence == Undecided
	t.phases = append(t.phases, p.Index)
	s.order = append(s.order, Retest{Phase: p.Index, Agents: p.Agents, Outcome: v.Outcome})
	s.pass, s.fail = s.edge()
}

// edge returns the bracket: the largest N that passed every time it was tried, and the smallest N above it that ever
// failed. Zero stands for none.
func (s *tierState) edge() (pass, fail int) {
	for n, t := range s.trials {
		if t.passes > 0 && t.fails == 0 {
			pass = max(pass, n)
		}
	}
	for n, t := range s.trials {
		if t.fails > 0 && n > pass && (fail == 0 || n < fail) {
			fail = n
		}
	}
	return pass, fail
}

// wants returns the N that the tier needs next and why; 0 if it is done or stuck.
func (s *tierState) wants(b Bounds) (n int, purpose string) {
	pass, fail := s.pass, s.fail
	switch {
	case s.stuck > 0:
		return 0, ""
	case fail == 0 && pass < b.Max:
		return min(b.Max, nextPower(pass)), Ramp
	case fail > 0 && fail-pass > b.resolution(pass):
		return pass + (fail-pass)/2, Bisect
	case pass > 0 && s.trials[pass].passes < 1+b.Retests:
		return pass, EdgeTest
	case fail > 0 && b.Retests > 0 && s.trials[fail].passes+s.trials[fail].fails < 2:
		return fail, EdgeTest
	}
	return 0, ""
}

// nextPower returns the smallest power of two above n; the ramp begins at 1.
func nextPower(n int) int {
	p := 1
	for p <= n {
		p *= 2
	}
	return p
}

// needs reports whether a phase at n tells the tier something that it still has to know.
func (s *tierState) needs(b Bounds, n int) bool {
	wanted, purpose := s.wants(b)
	switch {
	case wanted == 0:
		return false
	case purpose == EdgeTest:
		return n == s.pass || n == s.fail
	}
	return n > s.pass && (s.fail == 0 || n < s.fail)
}

// Conclude says for each tier what the phases show. It needs nothing but their verdicts, so the answer of a search can be
// checked from its phases. Figures are added by Figures.
//
// The answer is the largest N that passed every time it was tried. Where phases contradict each other, because one N came
// out both ways or a smaller N failed where a larger one passed, the tier is not monotone: the notes name the phases, and
// SpreadLow and SpreadHigh say between which N the single phases would have put the answer.
func Conclude(b Bounds, tiers []Tier, phases []Phase) []TierResult {
	var results []TierResult
	for _, s := range replay(b, tiers, phases) {
		results = append(results, s.result(b))
	}
	return results
}

func (s *tierState) result(b Bounds) TierResult {
	pass, fail := s.pass, s.fail
	wanted, _ := s.wants(b)
	r := TierResult{Tier: s.tier, Agents: pass, FirstFail: fail, Confidence: Confident, Retests: []Retest{}}
	r.Complete = wanted == 0 && s.stuck == 0
	seen := map[int]bool{}
	for _, t := range s.order {
		if seen[t.Agents] {
			r.Retests = append(r.Retests, t)
		}
		seen[t.Agents] = true
	}
	for _, n := range []int{pass, fail} {
		if t := s.trials[n]; t != nil && t.undecided {
			r.Confidence = Undecided
		}
	}
	if len(s.order) == 0 {
		r.Confidence = Undecided
	}
	if pass > 0 {
		r.Phase = s.trials[pass].phases[len(s.trials[pass].phases)-1]
	}
	r.SpreadLow, r.SpreadHigh = s.spread()
	r.Monotone = r.SpreadLow == pass && r.SpreadHigh == pass && !s.contradicted()
	r.Notes = s.notes(b, r)
	return r
}

// spread returns the smallest and the largest answer that single phases support: the largest N that passed below every
// failure, and the largest N that ever passed.
func (s *tierState) spread() (low, high int) {
	lowestFail := 0
	for n, t := range s.trials {
		if t.fails > 0 && (lowestFail == 0 || n < lowestFail) {
			lowestFail = n
		}
	}
	for n, t := range s.trials {
		if t.passes == 0 {
			continue
		}
		high = max(high, n)
		if lowestFail == 0 || n < lowestFail {
			low = max(low, n)
		}
	}
	return low, high
}

// contradicted reports whether one N came out both ways.
func (s *tierState) contradicted() bool {
	for _, t := range s.trials {
		if t.passes > 0 && t.fails > 0 {
			return true
		}
	}
	return false
}

func (s *tierState) notes(b Bounds, r TierResult) (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if s.stuck > 0 {
		add("the search stopped: the phase at %d agents was invalid twice: %s", s.stuck, s.why)
	} else if !r.Complete {
		add("the search did not come to its end")
	}
	if r.FirstFail == 0 && r.Agents >= b.Max {
		add("no fail was found up to the limit of %d agents: the capacity is at least that", b.Max)
	}
	for _, n := range slices.Sorted(maps.Keys(s.trials)) {
		t := s.trials[n]
		switch {
		case t.passes > 0 && t.fails > 0:
			add("not monotone: %d agents passed %d and failed %d times (phases %s)", n, t.passes, t.fails, list(t.phases))
		case t.fails > 0 && n < r.Agents:
			add("not monotone: %d agents failed (phases %s) although %d passed", n, list(t.phases), r.Agents)
		}
	}
	return notes
}

// list writes numbers with commas.
func list(numbers []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(numbers), " ", ", "), "[]")
}
