package report

import (
	"fmt"
	"html/template"
	"math"

	"agentwatt/runner/internal/bench"
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
	Server  pictureView
	Served  []serverView
	Watched string // how the server was watched
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
		Server: pictureView{serverTimeline(run, "server", widePicture), serverTimeline(run, "server-narrow", narrowPicture)},
		Served: serverViews(r), Watched: serverWords(r.Server),
		Facts: facts(r), Notices: notices(r, true), Tiers: len(r.Run.Tiers), Counted: counted(r), Idle: idleViews(r), Budgets: budgets(r)}
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
	Replayed      bool // there was no search
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
type lensView struct {
	Value, Basis, Doubt string
	Simulated           bool
}

func newAnswer(r bench.Result, t bench.TierResult) answerView {
	a := answerView{Tier: t.Tier.Name, Limits: limits(t.Tier), Notes: t.Notes, Phase: t.Phase, Complete: t.Complete, Monotone: t.Monotone,
		Confidence: string(t.Confidence), FirstFail: "none was found", Retests: retests(t)}
	a.SpreadLowHigh = fmt.Sprintf("%s to %s agents", count(t.SpreadLow), count(t.SpreadHigh))
	if t.FirstFail > 0 {
		a.FirstFail = plural(t.FirstFail, "agent")
	}
	if t.Fixed != nil {
		a.Replayed, a.FirstFail = true, "not searched for"
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
	a.Accelerator.Simulated, a.System.Simulated = r.Simulated, r.Simulated
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
