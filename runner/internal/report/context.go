package report

import (
	"bytes"
	"fmt"
	"strings"

	"agentwatt/runner/internal/bench"
)

// contextName is a fact that meters told and whom it is about.
func contextName(c bench.Context) string {
	who := strings.Join(c.Devices, ", ")
	if len(c.Devices) > 3 {
		who = fmt.Sprintf("%s and %d more", c.Devices[0], len(c.Devices)-1)
	}
	return strings.ReplaceAll(c.Key, "_", " ") + ", " + who
}

// contextLines bounds what the text report says; the page and result.json have all of it.
const contextLines = 16

// contextText prints what the meters told beside their samples: limits in force, throttling, events. What reading them costs and how
// their sensors behave is left to the page.
func contextText(b *bytes.Buffer, r bench.Result) {
	var lines []string
	for _, c := range r.Context {
		if !ofTheObserver(c.Key) {
			lines = append(lines, contextName(c)+": "+c.Value)
		}
	}
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", section(r, "IN FORCE, AS THE METERS TOLD"))
	for i, l := range lines {
		if i == contextLines {
			wrap(b, "  ", fmt.Sprintf("and %d more facts: see report.html", len(lines)-i))
			break
		}
		wrap(b, "  ", l)
	}
}

// ofTheObserver reports facts about the metering itself. That it was slowed down is none to leave out.
func ofTheObserver(key string) bool {
	if key == "read_interval_seconds" {
		return false
	}
	for _, prefix := range []string{"read_", "late_", "fresh_share", "measured_period", "meterd_"} {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}
