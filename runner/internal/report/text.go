package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// Text writes the result for people: the answer first, then what it rests on, then every doubt.
func Text(w io.Writer, r bench.Result) error {
	var b bytes.Buffer
	heading(&b, r)
	for _, t := range r.Tiers {
		tierText(&b, r, t)
	}
	phaseTable(&b, r)
	idleText(&b, r)
	warnings(&b, r)
	_, err := w.Write(b.Bytes())
	return err
}

func heading(b *bytes.Buffer, r bench.Result) {
	if r.Simulated {
		b.WriteString("SIMULATED: no hardware was measured. Nothing below is evidence about any system.\n\n")
	}
	x := r.Run
	fmt.Fprintf(b, "%s at %s\n", x.Model, x.Endpoint)
	if x.System.Name != "" || x.System.Accelerators > 0 {
		fmt.Fprintf(b, "system     %s\n", systemLine(x.System))
	}
	comparable := "comparable"
	if !r.Comparable {
		comparable = "not comparable with published results"
	}
	fmt.Fprintf(b, "method     profile %s, %s\n", x.Profile.Name, comparable)
	fmt.Fprintf(b, "load       %s, output %s, tool time %s, salt %s the system prompt, seed %d\n", x.Dataset, x.Output, x.ToolTime, x.Salt, x.Seed)
}

func systemLine(s bench.System) string {
	parts := []string{}
	if s.Name != "" {
		parts = append(parts, s.Name)
	}
	if s.Accelerators > 0 {
		parts = append(parts, strings.TrimSpace(fmt.Sprintf("%d accelerators %s", s.Accelerators, s.Accelerator)))
	}
	if s.Submitter != "" {
		parts = append(parts, "submitted by "+s.Submitter)
	}
	return strings.Join(parts, ", ")
}

func tierText(b *bytes.Buffer, r bench.Result, t bench.TierResult) {
	var limits []string
	for _, o := range t.Tier.Objectives {
		limits = append(limits, o.String())
	}
	fmt.Fprintf(b, "\n%s  %s\n", strings.ToUpper(t.Tier.Name), strings.Join(limits, " and "))
	fmt.Fprintf(b, "  %s\n", agentsLine(t))
	for _, f := range t.Figures {
		figureText(b, f)
	}
	if t.Agents > 0 && len(t.Figures) == 0 {
		b.WriteString("  agents/MW cannot be given: no power was measured in this window\n")
	}
	for _, n := range t.Notes {
		fmt.Fprintf(b, "  note: %s\n", n)
	}
}

// agentsLine says N with its bracket.
func agentsLine(t bench.TierResult) string {
	switch {
	case t.Agents == 0 && !t.Complete:
		return "no answer: the search did not get there"
	case t.Agents == 0:
		return "not met, even by 1 agent"
	}
	s := fmt.Sprintf("%d agents (%s", t.Agents, t.Confidence)
	if t.FirstFail > 0 {
		s += fmt.Sprintf("; %d failed", t.FirstFail)
	} else {
		s += "; more were not tried"
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
	if tried > 0 {
		s += fmt.Sprintf("; passed %d of %d re-tests", passed, tried)
	}
	if !t.Monotone {
		s += fmt.Sprintf("; NOT MONOTONE, single phases support %d to %d", t.SpreadLow, t.SpreadHigh)
	}
	return s + ")"
}

func figureText(b *bytes.Buffer, f bench.Figure) {
	mark := ""
	if f.Simulated {
		mark = "SIMULATED "
	}
	if f.Standing == bench.InvalidValue {
		fmt.Fprintf(b, "  %sno figure @%s: %s\n", mark, f.Scope, strings.Join(f.Reasons, "; "))
		return
	}
	fmt.Fprintf(b, "  %s%s agents/MW @%s  ± %.1f %% (k = 2: %s to %s; mostly %s)  %s\n", mark, bench.FormatPerMegawatt(f.AgentsPerMegawatt), f.Scope,
		100*f.Uncertainty.Expanded(), bench.FormatPerMegawatt(f.Low), bench.FormatPerMegawatt(f.High), orNothing(f.Uncertainty.Dominant()), f.Standing)
	line := []string{fmt.Sprintf("%s over %s, coverage %.2f %%", f.MeanPower, devices(f.Devices), 100*f.Coverage)}
	if f.PerAccelerator > 0 {
		line = append(line, bench.FormatThree(f.PerAccelerator)+" per accelerator")
	}
	if f.PerSystem > 0 {
		line = append(line, bench.FormatThree(f.PerSystem)+" per system")
	}
	line = append(line, bench.FormatThree(f.WattsPerAgent)+" W per agent")
	fmt.Fprintf(b, "    %s\n", strings.Join(line, "; "))
	fmt.Fprintf(b, "    %s\n", strings.Join(joules(f), "; "))
	if f.Nameplate > 0 {
		fmt.Fprintf(b, "    nameplate, not measured: %s agents/MW from the stated TDP\n", bench.FormatPerMegawatt(f.Nameplate))
	}
	for _, reason := range f.Reasons {
		fmt.Fprintf(b, "    %s: %s\n", f.Standing, reason)
	}
}

// joules lists the energies of a figure; those that are not known are left out.
func joules(f bench.Figure) (list []string) {
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
	return append(list, bench.FormatThree(f.TokensPerSecond)+" output tok/s")
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

// devices counts and names what a figure covers.
func devices(ids []string) string {
	const shown = 4
	if len(ids) <= shown {
		return fmt.Sprintf("%d devices (%s)", len(ids), strings.Join(ids, ", "))
	}
	return fmt.Sprintf("%d devices (%s, ... %s)", len(ids), strings.Join(ids[:shown-1], ", "), ids[len(ids)-1])
}

func phaseTable(b *bytes.Buffer, r bench.Result) {
	if len(r.Phases) == 0 {
		b.WriteString("\nNo phase was completed.\n")
		return
	}
	b.WriteString("\nPHASES\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "phase\tagents\twhy\twindow\tturns\tfailed\tP25 tok/s\tP95 TTFT s\tin flight\t")
	scopes := scopesOf(r)
	for _, s := range scopes {
		fmt.Fprintf(t, "W @%s\t", s)
	}
	for _, tier := range r.Run.Tiers {
		fmt.Fprintf(t, "%s\t", tier.Name)
	}
	fmt.Fprintln(t)
	for _, p := range r.Phases {
		fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.1f\t", p.Index, p.Agents, p.Purpose, p.Window().Length().Round(100*time.Millisecond),
			phaseCells(r, p)[6], phaseCells(r, p)[8], cell(metric(p, bench.OutputSpeed, 0.25)), cell(metric(p, bench.TTFT, 0.95)), p.InFlight)
		for _, s := range scopes {
			fmt.Fprintf(t, "%s\t", scopeCell(p, s))
		}
		for _, v := range p.Verdicts {
			fmt.Fprintf(t, "%s\t", verdictCell(v))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	b.WriteString("? the interval straddles the limit (undecided)\n")
}

// cell shortens a machine number to three digits.
func cell(s string) string {
	var v float64
	if _, err := fmt.Sscan(s, &v); err != nil || s == "inf" {
		return orDash(s)
	}
	return bench.FormatThree(v)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func verdictCell(v bench.Verdict) string {
	s := orDash(string(v.Outcome))
	if v.Confidence == bench.Undecided {
		s += "?"
	}
	return s
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

func scopeCell(p bench.Phase, scope power.Scope) string {
	for _, s := range p.Power {
		if s.Scope == scope && s.Valid {
			return fmt.Sprintf("%.1f", s.Mean.Watts())
		}
	}
	return "-"
}

func idleText(b *bytes.Buffer, r bench.Result) {
	for _, side := range []struct {
		name string
		list []bench.ScopePower
	}{{"before", r.IdleBefore}, {"after", r.IdleAfter}} {
		for _, s := range side.list {
			if s.Scope.Headline() && s.Valid {
				fmt.Fprintf(b, "idle %s  %s @%s ± %.1f %%\n", side.name, s.Mean, s.Scope, 100*s.Uncertainty.Expanded())
			}
		}
	}
}

// warnings prints every doubt: of the result, and of the phases that answers rest on. Those of other phases are in result.json.
func warnings(b *bytes.Buffer, r bench.Result) {
	var list []string
	list = append(list, r.Warnings...)
	for _, t := range r.Tiers {
		for _, p := range r.Phases {
			if p.Index != t.Phase {
				continue
			}
			for _, w := range p.Warnings {
				list = append(list, fmt.Sprintf("phase %d: %s", p.Index, w))
			}
			for _, s := range p.Power {
				for _, w := range s.Warnings {
					list = append(list, fmt.Sprintf("phase %d, power @%s: %s", p.Index, s.Scope, w.Detail))
				}
			}
		}
	}
	if len(list) == 0 {
		return
	}
	b.WriteString("\nWARNINGS\n")
	seen := map[string]bool{}
	for _, w := range list {
		if !seen[w] {
			seen[w] = true
			fmt.Fprintf(b, "- %s\n", w)
		}
	}
}
