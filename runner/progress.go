package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/search"
)

// watcher shows a search while it runs: one line that is redrawn on a terminal, else a plain line every ten seconds; and
// one line per finished phase in both cases.
type watcher struct {
	out      io.Writer
	terminal bool
	width    int
	last     time.Time // last plain line
	dirty    bool      // a redrawn line stands on the terminal
}

func newWatcher(out io.Writer) *watcher {
	w := &watcher{out: out, width: 100}
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		w.terminal = true
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 20 {
			w.width = width
		}
	}
	return w
}

// show is search.Search's Watch.
func (w *watcher) show(p search.Progress) {
	switch {
	case p.Done != nil:
		w.clear()
		fmt.Fprintln(w.out, phaseLine(*p.Done, p.Simulated))
	case w.terminal:
		w.clear()
		fmt.Fprint(w.out, clip(progressLine(p), w.width-1))
		w.dirty = true
	case time.Since(w.last) >= 10*time.Second:
		w.last = time.Now()
		fmt.Fprintln(w.out, progressLine(p))
	}
}

// clear removes the redrawn line.
func (w *watcher) clear() {
	if w.dirty {
		fmt.Fprint(w.out, "\r\x1b[K")
		w.dirty = false
	}
}

func clip(s string, width int) string {
	r := []rune(s)
	return string(r[:min(len(r), max(0, width))])
}

// progressLine says what goes on now.
func progressLine(p search.Progress) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if p.Simulated {
		add("SIMULATED")
	}
	if p.Phase == 0 {
		add("%s", p.Stage)
	} else {
		add("phase %d (%s)", p.Phase, p.Purpose)
		add("%d agents", p.Agents)
		add("%s %s", p.Stage, p.Elapsed.Round(time.Second))
	}
	if p.Stage == "growing" {
		add("%d live", p.Active)
	}
	if p.Requests > 0 {
		add("%d turns", p.Requests)
		add("%d/%d trajectories", p.Trajectories, p.Need)
	}
	if p.Failures > 0 {
		add("%d failed", p.Failures)
	}
	if p.Speed > 0 {
		add("P25 %.1f tok/s", p.Speed)
	}
	if p.TTFT > 0 {
		add("P95 TTFT %s", p.TTFT.Round(time.Millisecond))
	}
	if p.Power > 0 {
		add("about %s @%s", p.Power, p.PowerScope) // a display, without coverage: it may not look like a figure
	}
	if p.Left > 0 {
		add("%s left", p.Left.Round(time.Second))
	}
	return strings.Join(parts, " · ")
}

// phaseLine says how a phase ended.
func phaseLine(p bench.Phase, simulated bool) string {
	var b strings.Builder
	if simulated {
		b.WriteString("SIMULATED ")
	}
	fmt.Fprintf(&b, "phase %2d  %5d agents  %-8s", p.Index, p.Agents, p.Purpose)
	if s, ok := p.Metrics[string(bench.OutputSpeed)]; ok {
		fmt.Fprintf(&b, "  P25 %7.1f tok/s", s.P25)
	}
	if s, ok := p.Metrics[string(bench.TTFT)]; ok {
		fmt.Fprintf(&b, "  P95 TTFT %6.2f s", s.P95)
	}
	for _, s := range p.Power {
		if s.Valid {
			fmt.Fprintf(&b, "  %s ± %.1f %% @%s", s.Mean, 100*s.Uncertainty.Expanded(), s.Scope)
			if s.Coverage < 1 {
				fmt.Fprintf(&b, ", coverage %.2f %%", 100*s.Coverage)
			}
		} else {
			fmt.Fprintf(&b, "  power @%s invalid", s.Scope)
		}
	}
	for _, v := range p.Verdicts {
		fmt.Fprintf(&b, "  %s:%s", v.Tier, v.Outcome)
	}
	if p.Reason != bench.EndStopRule {
		fmt.Fprintf(&b, "  (%s)", p.Reason)
	}
	return b.String()
}
