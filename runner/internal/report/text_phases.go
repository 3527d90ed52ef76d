package report

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// phaseText writes the phases as one table. Where it would be wider than a page, it keeps the first scope only, and then
// writes tiers and verdicts short; everything is in report.html.
func phaseText(b *bytes.Buffer, r bench.Result) {
	fmt.Fprintf(b, "\n%s\n", section(r, "PHASES"))
	if len(r.Phases) == 0 {
		b.WriteString("  none was completed\n")
		return
	}
	all := scopesOf(r)
	scopes := all
	table := phaseTable(r, scopes, false)
	if wide(table) {
		scopes = all[:min(1, len(all))]
		table = phaseTable(r, scopes, false)
	}
	tight := wide(table)
	if tight {
		table = phaseTable(r, scopes, true)
	}
	b.WriteString(table)
	if strings.Contains(table, "?") {
		b.WriteString("  ? undecided: the 95 % interval straddles the limit\n")
	}
	for _, s := range scopes {
		if doubt := wattsDoubt(r, s); doubt != "" {
			wrap(b, "  ", doubt)
		}
	}
	if tight {
		wrap(b, "  ", "P pass, F fail, ! invalid, - not judged; "+tierNumbers(r.Run.Tiers))
	}
	if n := len(all) - len(scopes); n > 0 {
		wrap(b, "  ", fmt.Sprintf("power @%s only; %s more in report.html", scopes[0], plural(n, "scope")))
	}
}

func tierNumbers(tiers []bench.Tier) string {
	var names []string
	for i, t := range tiers {
		names = append(names, fmt.Sprintf("T%d %s", i+1, t.Name))
	}
	return strings.Join(names, ", ")
}

func wide(table string) bool {
	for line := range strings.Lines(table) {
		if len([]rune(line)) > textWide+1 {
			return true
		}
	}
	return false
}

// phaseTable lays the phases out; tight gives tiers by number and verdicts by letter.
func phaseTable(r bench.Result, scopes []power.Scope, tight bool) string {
	var b bytes.Buffer
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells []string) { fmt.Fprintln(t, strings.Join(cells, "\t")+"\t") }
	above := []string{"", "", "", "", "", "", "P25", "P95"}
	below := []string{"phase", "agents", "why", "window", "turns", "failed", "tok/s", "TTFT s"}
	for _, s := range scopes {
		above, below = append(above, "mean W"), append(below, "@"+string(s))
	}
	for i, tier := range r.Run.Tiers {
		name := clean(tier.Name)
		if tight {
			name = "T" + strconv.Itoa(i+1)
		}
		above, below = append(above, ""), append(below, name)
	}
	row(above)
	row(below)
	for _, p := range r.Phases {
		row(phaseLine(p, scopes, tight))
	}
	t.Flush() // into memory: cannot fail
	var lines strings.Builder
	for line := range strings.Lines(b.String()) {
		lines.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return lines.String()
}

func phaseLine(p bench.Phase, scopes []power.Scope, tight bool) []string {
	cells := []string{strconv.Itoa(p.Index), count(p.Agents), clean(p.Purpose), span(p.Window().Length()), count(p.Requests), count(failed(p)),
		plain(p, bench.OutputSpeed, 0.25), plain(p, bench.TTFT, 0.95)}
	for _, s := range scopes {
		cells = append(cells, wattsAt(p, s))
	}
	for _, v := range p.Verdicts {
		cell := verdictCell(v)
		if tight {
			cell = strings.NewReplacer("pass", "P", "fail", "F", "invalid", "!", "unjudged", "-").Replace(cell)
		}
		cells = append(cells, cell)
	}
	return cells
}

// wattsDoubt says what the watts of a scope in the table are worth: the worst of its phases. Empty if none has watts.
func wattsDoubt(r bench.Result, scope power.Scope) string {
	valid, least, most := 0, 1.0, 0.0
	for _, p := range r.Phases {
		for _, s := range p.Power {
			if s.Scope == scope && s.Valid {
				valid++
				least, most = min(least, s.Coverage), max(most, s.Uncertainty.Expanded())
			}
		}
	}
	if valid == 0 {
		return ""
	}
	return fmt.Sprintf("mean W @%s: each within ± %s (k = 2), coverage %s or more", scope, percent(most), coverage(least))
}

// plain writes a percentile of a phase whose unit stands in the column's head; "-" if there is none.
func plain(p bench.Phase, m bench.Metric, q float64) string {
	if s := bare(at(p.Metrics[string(m)], q)); s != "none" {
		return s
	}
	return "-"
}

// verdictCell writes an outcome, with a question mark where the interval does not agree.
func verdictCell(v bench.Verdict) string {
	s := orElse(string(v.Outcome), "-")
	if v.Confidence == bench.Undecided && (v.Outcome == bench.Pass || v.Outcome == bench.Fail) {
		s += "?"
	}
	return s
}

// wattsAt writes a phase's mean power in watts at a scope; "-" if it is not valid.
func wattsAt(p bench.Phase, scope power.Scope) string {
	for _, s := range p.Power {
		if s.Scope == scope && s.Valid {
			return strconv.FormatFloat(s.Mean.Watts(), 'f', 1, 64)
		}
	}
	return "-"
}
