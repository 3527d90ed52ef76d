package report

import (
	"fmt"
	"strings"
	"time"

	"agentwatt/runner/internal/bench"
)

// workers says who made the load and how far their clocks can be trusted; empty: the runner itself made it.
func workers(r bench.Result) string {
	var list []string
	for _, w := range r.Run.Workers {
		list = append(list, fmt.Sprintf("%s on %s (%s)", w.Name, w.Host, clockOf(r, w.Name)))
	}
	return strings.Join(list, ", ")
}

// clockOf says what the last phase knew of a worker's clock.
func clockOf(r bench.Result, name string) string {
	for i := len(r.Phases) - 1; i >= 0; i-- {
		for _, w := range r.Phases[i].Workers {
			c := w.Clock
			switch {
			case w.Name != name || c.Measurements == 0:
				continue
			case c.SameBoot:
				return "the runner's own clock"
			}
			return fmt.Sprintf("clock within %s", milliseconds(c.Error().Round(time.Microsecond).Seconds()))
		}
	}
	return "clock not measured"
}
