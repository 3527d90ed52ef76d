package characterise

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Print writes the result for people: each property with its expanded uncertainty, or why it is not known.
func (r Result) Print(w io.Writer) {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range []struct {
		name, unit string
		factor     float64
		value      Estimate
	}{
		{"period", "ms", 1e3, r.Period}, {"window", "ms", 1e3, r.Window}, {"delay", "ms", 1e3, r.Delay}, {"rise", "ms", 1e3, r.Rise},
		{"noise", "W", 1, r.Noise}, {"gain", "", 1, r.Gain}, {"offset", "W", 1, r.Offset},
	} {
		if !row.value.Known() {
			fmt.Fprintf(tab, "  %s\tnot known: %s\n", row.name, row.value.Reason)
			continue
		}
		text := fmt.Sprintf("%.4g ± %.2g %s", row.value.Value*row.factor, row.value.U*row.factor, row.unit)
		fmt.Fprintf(tab, "  %s\t%s\n", row.name, strings.TrimSpace(text))
	}
	tab.Flush()
	for _, p := range []float64{r.Idle, r.Busy} {
		if ratio, u := r.Ratio(p); ratio > 0 {
			fmt.Fprintf(w, "  at %.1f W it reads %+.2f %% ± %.2f %% (k = 2)\n", p, 100*(ratio-1), 100*u)
		}
	}
	fmt.Fprintf(w, "  %d cycles, timing against the %s\n", r.Cycles, r.Against)
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
}
