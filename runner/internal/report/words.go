package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// answer says a tier's N with its bracket and its doubts, in one line.
func answer(t bench.TierResult) string {
	switch {
	case t.Fixed != nil:
		return replayed(*t.Fixed)
	case t.Agents == 0 && !t.Complete:
		return "no answer: the search did not get there"
	case t.Agents == 0:
		return "not met, even by 1 agent"
	case t.FirstFail == 0:
		return fmt.Sprintf("at least %s; %s", plural(t.Agents, "agent"), strings.Join(support(t), "; "))
	}
	return fmt.Sprintf("%s; %s", plural(t.Agents, "agent"), strings.Join(support(t), "; "))
}

// replayed says what the windows of a replay came to.
func replayed(f bench.Tried) string {
	verdict := "neither met nor missed by"
	switch {
	case f.Passed > 0 && f.Failed == 0:
		verdict = "met by"
	case f.Failed > 0 && f.Passed == 0:
		verdict = "missed by"
	}
	return fmt.Sprintf("%s %s: of %s %d passed, %d failed, %d were invalid; the largest number was not searched for",
		verdict, plural(f.Agents, "agent"), plural(f.Passed+f.Failed+f.Invalid, "window"), f.Passed, f.Failed, f.Invalid)
}

// support lists what an answer stands on: the bracket, the re-tests, the confidence, the contradictions.
func support(t bench.TierResult) []string {
	list := []string{"no fail was found"}
	if t.FirstFail > 0 {
		list[0] = count(t.FirstFail) + " failed"
	}
	passed, tried := 0, 0
	for _, re := range t.Retests {
		if re.Agents == t.Agents {
			tried++
			if re.Outcome == bench.Pass {
				passed++
			}
		}
	}
	switch tried {
	case 0:
		list = append(list, "not re-tested")
	default:
		list = append(list, fmt.Sprintf("passed %d of %s", passed, plural(tried, "re-test")))
	}
	if t.Confidence == bench.Undecided {
		list = append(list, "undecided: a 95 % interval straddles a limit")
	} else {
		list = append(list, string(t.Confidence))
	}
	if !t.Complete {
		list = append(list, "search INCOMPLETE")
	}
	if !t.Monotone {
		list = append(list, fmt.Sprintf("NOT MONOTONE: single phases support %s to %s", count(t.SpreadLow), count(t.SpreadHigh)))
	}
	return list
}

// standingWords says a figure's standing. What is simulated never stands as evidence, whatever the rules make of it.
func standingWords(f bench.Figure) string {
	if f.Simulated {
		return "simulated, not evidence"
	}
	return string(f.Standing)
}

// perMegawatt writes a figure's value with its unit and scope: "61.4 K agents/MW @accelerator".
func perMegawatt(f bench.Figure) string {
	return fmt.Sprintf("%s agents/MW @%s", bench.FormatPerMegawatt(f.AgentsPerMegawatt), f.Scope)
}

// doubt writes a figure's expanded uncertainty with its interval and its largest term.
func doubt(f bench.Figure) string {
	return fmt.Sprintf("± %s (k = 2: %s to %s; mostly %s)", percent(f.Uncertainty.Expanded()), bench.FormatPerMegawatt(f.Low),
		bench.FormatPerMegawatt(f.High), orElse(f.Uncertainty.Dominant(), "nothing"))
}

// bracketDoubt writes the uncertainty of N alone, for the lenses that no power enters.
func bracketDoubt(t bench.TierResult, u power.Uncertainty) string {
	if t.FirstFail == 0 {
		return "at least: no fail was found"
	}
	return fmt.Sprintf("± %s (k = 2, bracket of N only)", percent(power.Uncertainty{Bracket: u.Bracket}.Expanded()))
}

// each writes agents per accelerator or per system: whole agents from 100 on, as one system holds exactly N.
func each(v float64) string {
	if v >= 100 {
		return count(int(math.Round(v)))
	}
	return bench.FormatThree(v)
}

// energies lists the energies of a figure with their units; those that are not known are left out.
func energies(f bench.Figure) (list []string) {
	for _, j := range []struct {
		v    float64
		name string
	}{
		{f.JoulesPerToken, "output token"}, {f.JoulesPerFresh, "fresh input token"}, {f.JoulesPerCached, "cached input token"},
		{f.JoulesPerTurn, "turn"}, {f.JoulesPerTrajectory, "trajectory"},
	} {
		if j.v > 0 {
			list = append(list, fmt.Sprintf("%s J per %s", bench.FormatThree(j.v), j.name))
		}
	}
	return list
}

// devices counts and names what a figure covers.
func devices(ids []string) string {
	const shown = 4
	if len(ids) <= shown {
		return fmt.Sprintf("%s (%s)", plural(len(ids), "device"), orElse(strings.Join(ids, ", "), "none"))
	}
	return fmt.Sprintf("%s (%s, ... %s)", plural(len(ids), "device"), strings.Join(ids[:shown-1], ", "), ids[len(ids)-1])
}

// systemLine describes the system under test as it was stated; empty if nothing was.
func systemLine(s bench.System) string {
	var parts []string
	if s.Name != "" {
		parts = append(parts, s.Name)
	}
	if s.Accelerators > 0 {
		parts = append(parts, count(s.Accelerators)+" × "+orElse(s.Accelerator, "accelerator"))
	} else if s.Accelerator != "" {
		parts = append(parts, s.Accelerator)
	}
	if s.Systems > 0 {
		parts = append(parts, plural(s.Systems, "system"))
	}
	if s.Submitter != "" {
		parts = append(parts, "submitted by "+s.Submitter)
	}
	return strings.Join(parts, ", ")
}

// comparability says whether the result may stand beside published ones.
func comparability(r bench.Result) string {
	if r.Comparable {
		return "comparable with results of this profile"
	}
	return "NOT comparable with published results"
}

// scopesOf lists the headline scopes that any phase has power of.
func scopesOf(r bench.Result) (list []power.Scope) {
	for _, p := range r.Phases {
		for _, s := range p.Power {
			if s.Scope.Headline() && !slices.Contains(list, s.Scope) {
				list = append(list, s.Scope)
			}
		}
	}
	return list
}

// answerPhases lists the phases that the tiers' figures come from, each once, in order.
func answerPhases(r bench.Result) (list []bench.Phase) {
	for _, p := range r.Phases {
		if answeredBy(r, p.Index) != "" {
			list = append(list, p)
		}
	}
	return list
}

// notice is a warning and where it applies.
type notice struct{ Where, What string }

// notices lists every doubt: of the result, of each phase, of its power, and of idle. all false: of the phases only those
// that an answer rests on.
func notices(r bench.Result, all bool) (list []notice) {
	for _, w := range r.Warnings {
		list = append(list, notice{"", w})
	}
	for _, t := range r.Tiers {
		for _, n := range t.Notes {
			list = append(list, notice{"tier " + t.Tier.Name, n})
		}
	}
	for _, p := range r.Phases {
		if !all && answeredBy(r, p.Index) == "" {
			continue
		}
		where := fmt.Sprintf("phase %d", p.Index)
		for _, w := range p.Warnings {
			list = append(list, notice{where, w})
		}
		list = append(list, powerNotices(where, p.Power, all)...)
	}
	list = append(list, powerNotices("idle before", r.IdleBefore, all)...)
	return append(list, powerNotices("idle after", r.IdleAfter, all)...)
}

// manyOfKind is how many warnings of one kind and scope are listed one by one.
const manyOfKind = 3

// powerNotices lists the doubts about power. In short form, further ones of one kind are counted, and component scopes,
// which no figure rests on, are left out.
func powerNotices(where string, scopes []bench.ScopePower, all bool) (list []notice) {
	for _, s := range scopes {
		if !all && !s.Scope.Headline() {
			continue
		}
		at := fmt.Sprintf("%s @%s", where, s.Scope)
		kinds := map[power.Code]int{}
		for _, w := range s.Warnings {
			if !all && w.Code == power.SimulatedCode {
				continue // the whole report says so
			}
			if kinds[w.Code]++; all || kinds[w.Code] <= manyOfKind {
				list = append(list, notice{at, w.Detail})
			}
		}
		for _, w := range s.Warnings {
			if n := kinds[w.Code] - manyOfKind; !all && n > 0 {
				list = append(list, notice{at, fmt.Sprintf("%s more of this kind (%s): see report.html", count(n), w.Code)})
				delete(kinds, w.Code)
			}
		}
	}
	return list
}

// client says what the load generator was seen to do before the run.
func client(x bench.Experiment) string {
	if n := len(x.Workers); n > 0 {
		return plural(n, "worker") + ", " + calibrated(x.Calibration)
	}
	return calibrated(x.Calibration)
}

func calibrated(c *bench.Calibration) string {
	if c == nil {
		return "not calibrated: its part in the times is not known"
	}
	for i := len(c.Steps) - 1; i >= 0; i-- {
		if s := c.Steps[i]; s.Clean {
			return fmt.Sprintf("keeps up with %s chunks/s: stamps off by %s (P99), an immediate answer's TTFT %s (P99 %s)",
				count(int(s.PerSecond)), milliseconds(s.Stamp.P99), milliseconds(s.TTFT.P50), milliseconds(s.TTFT.P99))
		}
	}
	return "does not keep up with anything"
}

// milliseconds writes a short time, given in seconds.
func milliseconds(s float64) string { return quantity(1000*s, "ms") }
