package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"agentwatt/runner/internal/trajectory"
)

// printSummary prints what `runner trace inspect` found.
func printSummary(w io.Writer, file string, s trajectory.Summary) error {
	stable := "yes"
	if !s.Stable {
		stable = "NO"
	}
	tokens := "as recorded"
	if s.Estimated {
		tokens = "estimated, not from a tokenizer"
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%s\t%s\n", name, fmt.Sprintf(format, args...))
	}
	line("file", "%s", file)
	line("name", "%s", orNot(s.Name))
	line("licence", "%s", orNot(s.License))
	line("source", "%s", orNot(s.Source))
	line("origins", "%s", counted(s.Origins))
	line("sha256", "%s", s.Digest)
	line("trajectories", "%d", s.Trajectories)
	if s.Subagents > 0 {
		line("sub-agents", "%d; at most %d conversations of a trajectory at once", s.Subagents, s.AtOnce)
	}
	line("turns", "%d", s.Turns)
	line("prefix stable", "%s", stable)
	line("salt", "before the system prompt at byte %s; after it at byte %s", span(s.SaltBefore), span(s.SaltAfter))
	line("languages", "%s", counted(s.Languages))
	line("longest", "%s", s.Longest)
	line("tools called", "%s", counted(s.Calls))
	line("tool time", "%.3f s in all", s.ToolTotal)
	if s.PromptTokens.N+s.OutputTokens.N > 0 {
		line("token counts", "%s", tokens)
	}
	line("tools declared", "%s per turn; %d turns have none", span(s.Declared), s.NoTools)
	fmt.Fprintln(out)
	line("", "n\tmin\tmean\tp50\tp95\tmax")
	row := func(name string, s trajectory.Spread, digits int) {
		if s.N == 0 {
			line(name, "not recorded")
			return
		}
		line(name, "%d\t%.*f\t%.*f\t%.*f\t%.*f\t%.*f", s.N, digits, s.Min, digits, s.Mean, digits, s.P50, digits, s.P95, digits, s.Max)
	}
	row("turns per trajectory", s.TurnsEach, 0)
	row("message bytes per turn", s.MessageBytes, 0)
	row("prompt tokens", s.PromptTokens, 0)
	row("output tokens", s.OutputTokens, 0)
	row("tool seconds per call", s.ToolSeconds, 3)
	return out.Flush()
}

func orNot(s string) string {
	if s == "" {
		return "not stated"
	}
	return s
}

// span prints a range of whole numbers.
func span(s trajectory.Spread) string {
	if s.Min == s.Max {
		return fmt.Sprintf("%.0f", s.Min)
	}
	return fmt.Sprintf("%.0f to %.0f", s.Min, s.Max)
}

// counted prints names with their counts, the most frequent first.
func counted(m map[string]int) string {
	var parts []string
	for _, name := range trajectory.Names(m) {
		parts = append(parts, fmt.Sprintf("%s %d", orNot(name), m[name]))
	}
	if len(parts) == 0 {
		return "not stated"
	}
	return strings.Join(parts, ", ")
}
