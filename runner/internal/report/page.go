package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// page is what the HTML template is filled with. Values are strings with their units wherever the page would have to choose.
type page struct {
	Result  bench.Result
	Style   template.CSS
	Policy  string
	System  string
	Compare string
	Answers []answerView
	Curve   pictureView
	Course  pictureView
	Phases  []phaseView
	Details []phaseDetail
	Counted []countedView
	Idle    []idleView
	Budgets []budgetView
	Facts   []factGroup
	Notices []notice
	Tiers   int
}

// pictureView is one picture drawn for a screen and paper, and for a phone. Both are empty where there is nothing to draw.
type pictureView struct{ Wide, Narrow template.HTML }

// The widths that pictures are drawn for, in pixels.
const (
	widePicture   = 880
	narrowPicture = 344
)

func newPage(run Run) page {
	r := run.Result
	p := page{Result: r, Style: template.CSS(pageStyle), Policy: policy(), System: systemLine(r.Run.System), Compare: comparability(r),
		Curve:  pictureView{capacityCurve(r, "curve", widePicture), capacityCurve(r, "curve-narrow", narrowPicture)},
		Course: pictureView{powerTimeline(run, "course", widePicture), powerTimeline(run, "course-narrow", narrowPicture)},
		Facts:  facts(r), Notices: notices(r, true), Tiers: len(r.Run.Tiers), Counted: counted(r), Idle: idleViews(r), Budgets: budgets(r)}
	for _, t := range r.Tiers {
		p.Answers = append(p.Answers, newAnswer(r, t))
	}
	for _, ph := range r.Phases {
		p.Phases = append(p.Phases, newPhase(r, ph))
	}
	for _, ph := range answerPhases(r) {
		p.Details = append(p.Details, newDetail(r, ph))
	}
	return p
}

// answerView is one tier's part of the headline.
type answerView struct {
	Tier, Limits  string
	Agents        string // with its unit; or what there is instead
	Support       []string
	Notes         []string
	Phase         int
	Complete      bool
	Monotone      bool
	Figures       []figureView
	Accelerator   lensView
	System        lensView
	NoPower       bool // a number of agents was found and no power was measured with it
	FirstFail     string
	Retests       string
	Confidence    string
	SpreadLowHigh string
}

// figureView is one figure in words.
type figureView struct {
	bench.Figure
	Value, Interval, Standing, Class, Devices, Nameplate, Throughput, PerAgent string
	Energies                                                                   []string
}

// Invalid reports that no number may be printed.
func (f figureView) Invalid() bool { return f.Figure.Standing == bench.InvalidValue }

// lensView is N seen per accelerator or per system; Value is empty where their number is not known.
type lensView struct{ Value, Basis, Doubt string }

func newAnswer(r bench.Result, t bench.TierResult) answerView {
	a := answerView{Tier: t.Tier.Name, Limits: limits(t.Tier), Notes: t.Notes, Phase: t.Phase, Complete: t.Complete, Monotone: t.Monotone,
		Confidence: string(t.Confidence), FirstFail: "none was found", Retests: retests(t)}
	a.SpreadLowHigh = fmt.Sprintf("%s to %s agents", count(t.SpreadLow), count(t.SpreadHigh))
	if t.FirstFail > 0 {
		a.FirstFail = plural(t.FirstFail, "agent")
	}
	a.NoPower = t.Agents > 0 && len(t.Figures) == 0
	if t.Agents == 0 {
		a.Agents = answer(t)
		return a
	}
	a.Agents, a.Support = plural(t.Agents, "agent"), support(t)
	if t.FirstFail == 0 {
		a.Agents = "at least " + a.Agents
	}
	for _, f := range t.Figures {
		a.Figures = append(a.Figures, newFigure(f))
	}
	a.Accelerator = lens(t, "accelerator", r.Run.System.Accelerators, func(f bench.Figure) float64 { return f.PerAccelerator })
	a.System = lens(t, "system", r.Run.System.Systems, func(f bench.Figure) float64 { return f.PerSystem })
	return a
}

// lens gives N per accelerator or per system: as a figure has it, else, as no power enters, from the stated number.
func lens(t bench.TierResult, unit string, stated int, of func(bench.Figure) float64) lensView {
	for _, f := range t.Figures {
		if v := of(f); v > 0 {
			n := int(math.Round(float64(t.Agents) / v))
			return lensView{Value: each(v) + " agents per " + unit, Doubt: bracketDoubt(t, f.Uncertainty), Basis: lensBasis(t, n, unit)}
		}
	}
	if stated == 0 {
		return lensView{}
	}
	bracket := "at least: no fail was found"
	if t.FirstFail > 0 {
		bracket = fmt.Sprintf("%s failed", plural(t.FirstFail, "agent"))
	}
	return lensView{Value: each(float64(t.Agents)/float64(stated)) + " agents per " + unit, Doubt: bracket, Basis: lensBasis(t, stated, unit)}
}

func lensBasis(t bench.TierResult, n int, unit string) string {
	return fmt.Sprintf("%s on %s; no power enters", plural(t.Agents, "agent"), plural(n, unit))
}

func newFigure(f bench.Figure) figureView {
	v := figureView{Figure: f, Standing: standingWords(f), Class: string(f.Standing)}
	if f.Simulated {
		v.Class = "simulated"
	}
	if f.Standing == bench.InvalidValue {
		return v
	}
	v.Value, v.Interval, v.Devices, v.Energies = bench.FormatPerMegawatt(f.AgentsPerMegawatt), doubt(f), devices(f.Devices), energies(f)
	v.PerAgent = quantity(f.WattsPerAgent, "W per agent")
	v.Throughput = quantity(f.TokensPerSecond, "output tok/s")
	if f.Nameplate > 0 {
		v.Nameplate = bench.FormatPerMegawatt(f.Nameplate) + " agents/MW"
	}
	return v
}

// retests lists the repetitions of a tier with their phases.
func retests(t bench.TierResult) string {
	s := ""
	for i, re := range t.Retests {
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%s %s (phase %d)", count(re.Agents), re.Outcome, re.Phase)
	}
	return orElse(s, "none")
}

// phaseView is one phase in the table behind every number.
type phaseView struct {
	bench.Phase
	At, Window, WindowLength, Reason, Lag, Flight, Failed string
	Watts                                                 []string
	Answers                                               string // tiers whose figures come from here
	Rows                                                  []verdictView
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
		Lag: duration(at(p.Metrics[string(bench.Lag)], 0.99)), Flight: fmt.Sprintf("%.1f (%s duty)", p.InFlight, percent(p.DutyCycle)), Failed: failureKinds(p)}
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
