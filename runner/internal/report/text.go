package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"agentwatt/runner/internal/bench"
)

// textWide is the widest line of the text report, as far as names that cannot be broken allow.
const textWide = 100

// Text writes the result for people: the answer first, then what it rests on, then every doubt.
func Text(w io.Writer, r bench.Result) error {
	var b bytes.Buffer
	heading(&b, r)
	for _, t := range r.Tiers {
		tierText(&b, r, t)
	}
	phaseText(&b, r)
	idleText(&b, r)
	contextText(&b, r)
	noticeText(&b, r)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write text report: %w", err)
	}
	return nil
}

func heading(b *bytes.Buffer, r bench.Result) {
	if r.Simulated {
		wrap(b, "", "SIMULATED: no hardware was measured. Nothing below is evidence about any system.")
		b.WriteString("\n")
	}
	x := r.Run
	wrap(b, "", fmt.Sprintf("%s at %s", x.Model, x.Endpoint))
	if s := systemLine(x.System); s != "" {
		wrap(b, "system   ", s)
	}
	method := "profile " + x.Profile.Name + ", " + comparability(r)
	if !r.Complete {
		method += ", INCOMPLETE"
	}
	wrap(b, "method   ", method)
	wrap(b, "client   ", client(x))
	if len(x.Workers) > 0 {
		wrap(b, "workers  ", workers(r))
	}
	if s := r.Server; s != nil && s.Reads > 0 {
		wrap(b, "server   ", serverWords(s))
	}
	wrap(b, "load     ", fmt.Sprintf("%s, output %s, tool time %s, salt %s the system prompt, seed %d", x.Dataset, x.Output, x.ToolTime, x.Salt, x.Seed))
}

func tierText(b *bytes.Buffer, r bench.Result, t bench.TierResult) {
	b.WriteString("\n")
	wrap(b, "", section(r, strings.ToUpper(t.Tier.Name)+"  "+limits(t.Tier)))
	wrap(b, "  ", answer(t))
	for _, f := range t.Figures {
		figureText(b, t, f)
	}
	if t.Agents > 0 && len(t.Figures) == 0 {
		wrap(b, "  ", "agents/MW cannot be given: no power was measured in this window")
	}
}

// figureText writes one figure; every number in it stands beside its scope, uncertainty and coverage.
func figureText(b *bytes.Buffer, t bench.TierResult, f bench.Figure) {
	mark := ""
	if f.Simulated {
		mark = simulatedMark + " "
	}
	if f.Standing == bench.InvalidValue {
		wrap(b, "  ", fmt.Sprintf("%sno figure @%s, invalid: %s", mark, f.Scope, strings.Join(f.Reasons, "; ")))
		return
	}
	wrap(b, "  ", fmt.Sprintf("%s%s  %s", mark, perMegawatt(f), doubt(f)))
	wrap(b, "    ", fmt.Sprintf("%s; coverage %s; %s over %s", standingWords(f), coverage(f.Coverage), f.MeanPower, devices(f.Devices)))
	var lenses []string
	if f.PerAccelerator > 0 {
		lenses = append(lenses, each(f.PerAccelerator)+" per accelerator")
	}
	if f.PerSystem > 0 {
		lenses = append(lenses, each(f.PerSystem)+" per system")
	}
	if len(lenses) > 0 {
		wrap(b, "    ", fmt.Sprintf("%s  %s", strings.Join(lenses, ", "), bracketDoubt(t, f.Uncertainty)))
	}
	list := append([]string{bench.FormatThree(f.WattsPerAgent) + " W per agent"}, energies(f)...)
	wrap(b, "    ", strings.Join(append(list, bench.FormatThree(f.TokensPerSecond)+" output tok/s"), ", "))
	if f.Nameplate > 0 {
		wrap(b, "    ", fmt.Sprintf("nameplate, not measured: %s agents/MW from the stated TDP", bench.FormatPerMegawatt(f.Nameplate)))
	}
	for _, reason := range f.Reasons {
		wrap(b, "    ", fmt.Sprintf("%s: %s", f.Standing, reason))
	}
}

func idleText(b *bytes.Buffer, r bench.Result) {
	var lines []string
	for _, side := range []struct {
		name string
		list []bench.ScopePower
	}{{"before", r.IdleBefore}, {"after", r.IdleAfter}} {
		for _, s := range side.list {
			switch {
			case !s.Scope.Headline():
			case s.Valid:
				lines = append(lines, fmt.Sprintf("%-7s %s @%s ± %s (k = 2), coverage %s, %s", side.name, s.Mean, s.Scope,
					percent(s.Uncertainty.Expanded()), coverage(s.Coverage), plural(len(s.Devices), "device")))
			default:
				lines = append(lines, fmt.Sprintf("%-7s not valid @%s", side.name, s.Scope))
			}
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", section(r, "IDLE"))
	for _, l := range lines {
		wrap(b, "  ", l)
	}
}

// noticeText prints every doubt once. Those of phases that no answer rests on are in report.html and result.json.
func noticeText(b *bytes.Buffer, r bench.Result) {
	list := notices(r, false)
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", section(r, "WARNINGS"))
	seen := map[notice]bool{}
	for _, n := range list {
		if seen[n] {
			continue
		}
		seen[n] = true
		if n.Where != "" {
			n.What = n.Where + ": " + n.What
		}
		wrap(b, "- ", n.What)
	}
}

// section marks a heading of a simulated result.
func section(r bench.Result, title string) string {
	if r.Simulated {
		return title + "  [" + simulatedMark + "]"
	}
	return title
}

// wrap writes s behind first, broken at blanks to fit textWide; further lines are indented as deep as first. Control
// characters, which could steer a terminal, become question marks.
func wrap(b *bytes.Buffer, first, s string) {
	indent := strings.Repeat(" ", len([]rune(first)))
	line := first
	empty := true
	for _, word := range strings.Split(clean(s), " ") {
		if !empty && len([]rune(line))+1+len([]rune(word)) > textWide {
			fmt.Fprintln(b, strings.TrimRight(line, " "))
			line, empty = indent, true
			if word == "" {
				continue
			}
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	fmt.Fprintln(b, strings.TrimRight(line, " "))
}

// clean puts s on one line and replaces what a terminal would obey.
func clean(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}
