package report

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// fact is a name and what it stands for.
type fact struct{ Name, Value string }

// factGroup is a table of facts.
type factGroup struct {
	Title string
	Facts []fact
}

// stamp writes a point in time; "not known" for the zero stamp.
func stamp(s clock.Stamp) string {
	if s == 0 {
		return "not known"
	}
	return s.Time().Format("2006-01-02 15:04:05 UTC")
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// facts is the identity of the experiment: what was run, by which rules, on what, and who says so.
func facts(r bench.Result) []factGroup {
	x := r.Run
	groups := []factGroup{
		{"Run", []fact{
			{"run", x.ID}, {"started", stamp(x.Started)}, {"tool", x.Tool}, {"binary SHA-256", x.Binary}, {"runner host", x.Host},
			{"endpoint", x.Endpoint}, {"model", x.Model},
		}},
		{"Load", loadFacts(x)},
		{"Method", methodFacts(r)},
		{"System, as stated", systemFacts(x.System)},
		{"Power, as asked for", powerFacts(x.Power)},
	}
	if len(x.System.Disclosure) > 0 {
		g := factGroup{Title: "Serving configuration, as disclosed"}
		for _, k := range slices.Sorted(maps.Keys(x.System.Disclosure)) {
			g.Facts = append(g.Facts, fact{k, x.System.Disclosure[k]})
		}
		groups = append(groups, g)
	}
	if len(r.Context) > 0 {
		g := factGroup{Title: "What the meters told beside their samples"}
		for _, c := range r.Context {
			g.Facts = append(g.Facts, fact{contextName(c), c.Value})
		}
		groups = append(groups, g)
	}
	for i := range groups {
		for k := range groups[i].Facts {
			groups[i].Facts[k].Value = orElse(groups[i].Facts[k].Value, "not stated")
		}
	}
	return groups
}

func loadFacts(x bench.Experiment) []fact {
	output := x.Output
	if x.OutputAsked != "" && x.OutputAsked != x.Output {
		output += " (asked for: " + x.OutputAsked + ")"
	}
	return []fact{
		{"dataset", x.Dataset}, {"dataset SHA-256", x.DatasetSum}, {"output", output}, {"output cap", plural(x.OutputCap, "token")},
		{"tool time", x.ToolTime}, {"salt", x.Salt + " the system prompt"}, {"seed", strconv.FormatUint(x.Seed, 10)},
	}
}

func methodFacts(r bench.Result) []fact {
	p := r.Run.Profile
	list := []fact{{"profile", p.Name}, {"comparability", comparability(r)}, {"tiers SHA-256", r.Run.TiersSum}}
	for _, t := range r.Run.Tiers {
		list = append(list, fact{"tier " + t.Name, limits(t)})
	}
	if len(r.Run.Workers) > 0 {
		list = append(list, fact{"workers", workers(r)})
	}
	return append(list,
		fact{"agents started", decimal(p.Spawn) + " per second, each at a turn below " + strconv.Itoa(p.StartTurns)},
		fact{"window begins", fmt.Sprintf("all N active for %s, and %s after the change of N", span(p.Hold), span(p.Settle))},
		fact{"window ends", fmt.Sprintf("at least %s, %s completed, %d per agent", span(p.MinWindow), trajectories(p.MinTrajectories), p.MinPerAgent)},
		fact{"undecided windows", fmt.Sprintf("extended up to %s times their length", decimal(p.Extend))},
		fact{"phase timeout", span(p.Timeout)},
		fact{"client", client(r.Run)},
		fact{"search", fmt.Sprintf("up to %s, resolution %s or %s, %s of the edge", plural(p.MaxAgents, "agent"), plural(p.Step, "agent"),
			percent(p.Relative), plural(p.Retests, "re-test"))})
}

func trajectories(n int) string {
	if n == 1 {
		return "1 trajectory"
	}
	return count(n) + " trajectories"
}

func systemFacts(s bench.System) []fact {
	stated := func(n int) string {
		if n == 0 {
			return ""
		}
		return count(n)
	}
	tdp := ""
	if s.TDP > 0 {
		tdp = s.TDP.String() + " per accelerator (nameplate, not measured)"
	}
	return []fact{{"system", s.Name}, {"accelerator", s.Accelerator}, {"number of accelerators", stated(s.Accelerators)},
		{"number of systems", stated(s.Systems)}, {"TDP", tdp}, {"submitted by", s.Submitter}}
}

func powerFacts(p bench.PowerPlan) []fact {
	if p.Bus == "" {
		return []fact{{"bus", "none: no power"}}
	}
	scopes := make([]string, len(p.Scopes))
	for i, s := range p.Scopes {
		scopes[i] = string(s)
	}
	idle := "not measured"
	if p.Idle > 0 {
		idle = span(p.Idle) + " before and after"
	}
	return []fact{{"bus", p.Bus}, {"scopes", orElse(strings.Join(scopes, ", "), "all that are found")},
		{"expected devices", orElse(strings.Join(p.Expected, ", "), "those seen before the first phase")}, {"idle", idle}}
}
