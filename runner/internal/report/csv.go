package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"

	"agentwatt/runner/internal/bench"
)

// CSV writes one row per phase, tier and metered scope. A column that does not apply is empty, never 0.
func CSV(w io.Writer, r bench.Result) error {
	out := csv.NewWriter(w)
	rows := [][]string{{
		"simulated", "phase", "agents", "purpose", "end_reason", "window_seconds", "requests", "trajectories", "failures", "single_chunk",
		"output_speed_p25_tokens_per_second", "ttft_p95_seconds", "e2e_speed_p25_tokens_per_second", "lag_p99_seconds",
		"tier", "outcome", "confidence", "scope", "power_valid", "mean_power_watts", "power_coverage", "power_uncertainty_k2",
	}}
	for _, p := range r.Phases {
		for _, v := range p.Verdicts {
			head := append(phaseCells(r, p), v.Tier, string(v.Outcome), string(v.Confidence))
			if len(p.Power) == 0 {
				rows = append(rows, append(head, "", "", "", "", ""))
			}
			for _, s := range p.Power {
				rows = append(rows, append(head[:len(head):len(head)], powerCells(s)...))
			}
		}
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	return nil
}

func phaseCells(r bench.Result, p bench.Phase) []string {
	return []string{
		strconv.FormatBool(r.Simulated), strconv.Itoa(p.Index), strconv.Itoa(p.Agents), p.Purpose, string(p.Reason),
		number(p.Window().Length().Seconds()), strconv.Itoa(p.Requests), strconv.Itoa(p.Trajectories), strconv.Itoa(failed(p)), strconv.Itoa(p.SingleChunk),
		metric(p, bench.OutputSpeed, 0.25), metric(p, bench.TTFT, 0.95), metric(p, bench.E2ESpeed, 0.25), metric(p, bench.Lag, 0.99),
	}
}

// metric returns one of the percentiles that a phase's summaries hold; empty if there is none.
func metric(p bench.Phase, m bench.Metric, q float64) string {
	return number(at(p.Metrics[string(m)], q))
}

func powerCells(s bench.ScopePower) []string {
	if !s.Valid {
		return []string{string(s.Scope), "false", "", "", ""}
	}
	return []string{string(s.Scope), "true", number(s.Mean.Watts()), number(s.Coverage), number(s.Uncertainty.Expanded())}
}
