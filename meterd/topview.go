package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"agentwatt/shared/power"
)

// screen prints the board as a table for a terminal. Everything simulated says so at the start of its own line, where a
// narrow window cannot cut it off.
func screen(w io.Writer, url string, now time.Time, rows []row, gaps []string) {
	simulated := slices.ContainsFunc(rows, func(r row) bool { return r.simulated })
	fmt.Fprintf(w, "%smeterd top  %s  %s\n\n", mark(simulated), now.Format(time.TimeOnly), url)
	if len(rows) == 0 {
		fmt.Fprintln(w, "no values yet")
		return
	}
	several := hosts(rows) > 1
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "SCOPE\tDEVICE\tNAME\tPOWER\tFROM\tAGE")
	for _, r := range rows {
		device := short(r.device, 24)
		if several {
			device = r.host + ":" + device
		}
		fmt.Fprintf(tab, "%s%s\t%s\t%s\t%s\t%s\t%s\n",
			mark(r.simulated), r.scope, device, short(r.name, 24), r.figure(), r.quantity, ageText(r.age))
	}
	tab.Flush()
	fmt.Fprintln(w)
	for _, t := range totals(rows) {
		fmt.Fprintf(w, "%s%s: %s\n", mark(t.simulated), t.scope, t)
	}
	for _, g := range gaps {
		fmt.Fprintln(w, g)
	}
}

// plain prints the board as one line per device, scope and gap, each of which stands for itself in a log.
func plain(w io.Writer, now time.Time, rows []row, gaps []string) {
	stamp := now.UTC().Format(time.RFC3339)
	if len(rows) == 0 {
		fmt.Fprintf(w, "%s no values yet\n", stamp)
	}
	for _, r := range rows {
		fmt.Fprintf(w, "%s %s%s %s %s: %s, %s, age %s\n",
			stamp, mark(r.simulated), r.scope, r.host, r.device, r.figure(), r.quantity, ageText(r.age))
	}
	for _, t := range totals(rows) {
		fmt.Fprintf(w, "%s %s%s sum: %s\n", stamp, mark(t.simulated), t.scope, t)
	}
	for _, g := range gaps {
		fmt.Fprintf(w, "%s %s\n", stamp, g)
	}
}

// mark stands before everything that no hardware stands behind.
func mark(simulated bool) string {
	if simulated {
		return "SIMULATED "
	}
	return ""
}

// figure is the present power of a row, or why there is none.
func (r row) figure() string {
	switch {
	case r.state != power.OK:
		return r.state.String()
	case !r.known:
		return "not yet"
	case !r.present():
		return "stale"
	}
	return watts(r.watts)
}

// String prints the sum and what it is a sum of.
func (t total) String() string {
	if t.counted == 0 {
		return fmt.Sprintf("no present value of %d devices", t.devices)
	}
	if t.counted < t.devices {
		return fmt.Sprintf("%s from %d of %d devices, INCOMPLETE", watts(t.watts), t.counted, t.devices)
	}
	return fmt.Sprintf("%s from %d of %d devices", watts(t.watts), t.counted, t.devices)
}

// gapLines says for each source what was lost since the watch began; nothing for a source without a gap.
func (b *board) gapLines() []string {
	var out []string
	for key, f := range b.feeds {
		var parts []string
		if n := f.before + f.missed - f.start; n > 0 {
			parts = append(parts, fmt.Sprintf("%d ticks missed", n))
		}
		if f.lost > 0 {
			parts = append(parts, fmt.Sprintf("%d batches lost", f.lost))
		}
		if f.restarts > 0 {
			parts = append(parts, fmt.Sprintf("%d restarts", f.restarts))
		}
		if len(parts) > 0 {
			out = append(out, fmt.Sprintf("gaps: %s on %s: %s", key.source, key.host, strings.Join(parts, ", ")))
		}
	}
	slices.Sort(out)
	for _, l := range b.losses {
		out = append(out, "gaps: "+l)
	}
	return out
}

func hosts(rows []row) int {
	names := map[string]bool{}
	for _, r := range rows {
		names[r.host] = true
	}
	return len(names)
}

// watts prints a power with one decimal, so that a column of them lines up.
func watts(p power.Power) string { return fmt.Sprintf("%.1f W", p.Watts()) }

func ageText(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// short keeps both ends of s, which tell UUIDs apart, within n characters.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	head := n / 2
	return string(r[:head]) + "…" + string(r[len(r)-(n-head-1):])
}
