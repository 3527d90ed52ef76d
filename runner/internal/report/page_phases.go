package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"agentwatt/runner/internal/bench"
)

// phaseView is one phase in the table behind every number.
type phaseView struct {
	bench.Phase
	At, Window, WindowLength, Reason, Lag, Read, Flight, Failed string
	Watts                                                       []string
	Answers                                                     string // tiers whose figures come from here
	Rows                                                        []verdictView
}

// verdictView is one tier's verdict on a phase, with everything that it rests on.
type verdictView struct {
	bench.Verdict
	Cell, Class string
	Observed    []string
}

func newPhase(r bench.Result, p bench.Phase) phaseView {
	begin := r.Run.Started
	v := phaseView{Phase: p, At: since(begin, p.Begin), Window: "never began", Reason: string(p.Reason), Answers: answeredBy(r, p.Index),
		Lag: duration(at(p.Metrics[string(bench.Lag)], 0.99)), Read: reading(p.Reading), Flight: fmt.Sprintf("%.1f (%s duty)", p.InFlight, percent(p.DutyCycle)), Failed: failureKinds(p)}
	if w := p.Window(); w.Length() > 0 {
		v.Window = fmt.Sprintf("%s to %s", since(begin, w.Begin), since(begin, w.End))
		v.WindowLength = span(w.Length())
	}
	for _, s := range p.Power {
		if s.Scope.Headline() {
			v.Watts = append(v.Watts, scopePower(s))
		}
	}
	for _, ver := range p.Verdicts {
		row := verdictView{Verdict: ver, Cell: verdictCell(ver), Class: string(ver.Outcome)}
		for _, o := range ver.Observed {
			row.Observed = append(row.Observed, observed(o))
		}
		v.Rows = append(v.Rows, row)
	}
	return v
}

// reading writes how the client kept up with the answers.
func reading(r bench.Reading) string {
	if r.Chunks == 0 {
		return "nothing read"
	}
	s := fmt.Sprintf("%s chunks/s, %s merged", quantity(r.PerSecond, ""), percent(r.Merged))
	if r.Latest.N > 0 {
		s += fmt.Sprintf(", read at most %s late (P99)", duration(at(r.Latest, 0.99)))
	}
	if r.LateFirsts > 0 {
		s += fmt.Sprintf(", %s late", plural(r.LateFirsts, "first output"))
	}
	return s
}

// observed writes an objective as it was seen: value, interval, n.
func observed(o bench.Observed) string {
	unit := o.Objective.Metric.Unit()
	met := "missed"
	if o.Met {
		met = "met"
	}
	s := fmt.Sprintf("%s %s %s", percentile(o.Objective.Quantile), metricName(o.Objective.Metric), bare(o.Value))
	if !math.IsNaN(o.Low) && !math.IsNaN(o.High) {
		s += fmt.Sprintf(" [%s, %s]", bare(o.Low), bare(o.High))
	}
	return fmt.Sprintf("%s %s: %s %s; n = %s of %s", s, unit, bound(o.Objective), met, count(o.N), plural(o.Plays, "play"))
}

// bare writes a value whose unit follows at the end of a row.
func bare(v float64) string { return strings.TrimSpace(quantity(v, "")) }

// scopePower writes a phase's power at a scope with its coverage and uncertainty.
func scopePower(s bench.ScopePower) string {
	if !s.Valid {
		return fmt.Sprintf("@%s: not valid, no number", s.Scope)
	}
	return fmt.Sprintf("%s @%s ± %s, coverage %s", s.Mean, s.Scope, percent(s.Uncertainty.Expanded()), coverage(s.Coverage))
}

// duration writes seconds as people do; "none" without a value.
func duration(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return "none"
	case math.IsInf(seconds, 0):
		return "∞ s"
	case math.Abs(seconds) < 0.9995:
		return quantity(seconds*1000, "ms")
	}
	return quantity(seconds, "s")
}

// phaseDetail is what pooling hides in a phase that an answer rests on.
type phaseDetail struct {
	bench.Phase
	Answers string
	Spread  []spreadRow
	Worst   []bench.AgentSummary
	Context []contextRow
	Tokens  []fact
}

// spreadRow is a distribution: P5 to P99.
type spreadRow struct {
	Name   string
	N      int
	Values []string
}

// contextRow is one range of prompt lengths.
type contextRow struct{ Range, Requests, Speed, TTFT string }

// worstShown is how many of the slowest agents are named.
const worstShown = 5

func newDetail(r bench.Result, p bench.Phase) phaseDetail {
	d := phaseDetail{Phase: p, Answers: answeredBy(r, p.Index), Tokens: tokenFacts(p)}
	d.Spread = append(d.Spread, newSpread("requests: output speed, tok/s", p.Metrics[string(bench.OutputSpeed)]),
		newSpread("requests: end-to-end speed, tok/s", p.Metrics[string(bench.E2ESpeed)]), newSpread("requests: TTFT, s", p.Metrics[string(bench.TTFT)]),
		newSpread("agents: P25 output speed of each, tok/s", p.SpeedSpread), newSpread("agents: P95 TTFT of each, s", p.TTFTSpread))
	d.Worst = slices.Clone(p.Agentwise)
	slices.SortStableFunc(d.Worst, func(a, b bench.AgentSummary) int { return slower(a.SpeedP25, b.SpeedP25) })
	d.Worst = d.Worst[:min(worstShown, len(d.Worst))]
	for _, b := range p.ByContext {
		to := "to " + count(b.To)
		if b.To == 0 {
			to = "and more"
		}
		d.Context = append(d.Context, contextRow{fmt.Sprintf("%s %s tokens", count(b.From), to), count(b.Requests),
			quantity(b.SpeedP25, "tok/s"), quantity(b.TTFTP95, "s")})
	}
	return d
}

// slower orders speeds, the lowest first, those that do not exist last.
func slower(a, b float64) int {
	switch {
	case math.IsNaN(a) && math.IsNaN(b):
		return 0
	case math.IsNaN(a):
		return 1
	case math.IsNaN(b) || a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func newSpread(name string, s bench.Summary) spreadRow {
	row := spreadRow{Name: name, N: s.N}
	for _, q := range []float64{0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99} {
		row.Values = append(row.Values, bare(at(s, q)))
	}
	return row
}

// tokenFacts lists the token totals of a window.
func tokenFacts(p bench.Phase) []fact {
	t := p.Tokens
	cached := count(t.Cached) + " tokens"
	if t.CachedUnknown > 0 {
		cached += fmt.Sprintf("; not reported for %s with %s prompt tokens", plural(t.CachedUnknown, "request"), count(t.PromptUncached))
	}
	list := []fact{{"prompt", count(t.Prompt) + " tokens"}, {"of them cached", cached}, {"output", count(t.Output) + " tokens"},
		{"of them reasoning", count(t.Reasoning) + " tokens"}}
	if t.Unknown > 0 {
		list = append(list, fact{"without usage", plural(t.Unknown, "request") + ", missing above"})
	}
	return list
}
