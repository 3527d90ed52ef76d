package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// number writes v for machines: shortest form that reads back, "inf" for infinity, empty for NaN.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return ""
	case math.IsInf(v, 1):
		return "inf"
	case math.IsInf(v, -1):
		return "-inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// quantity writes v for people, three significant digits and the unit. A failed request has infinite times, and a
// percentile of nothing does not exist: both are said, not left out.
func quantity(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "none"
	case math.IsInf(v, 0):
		return "∞ " + unit
	}
	return bench.FormatThree(v) + " " + unit
}

// percent writes a share with one decimal, or two significant digits below 1 %: "5.1 %", "0.012 %"; "<0.001 %" for what
// nobody needs to know better.
func percent(share float64) string {
	p := 100 * share
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return "unknown"
	case p == 0:
		return "0 %"
	case math.Abs(p) < 0.001:
		return "<0.001 %"
	case math.Abs(p) < 0.95:
		return strconv.FormatFloat(p, 'f', 1-int(math.Floor(math.Log10(math.Abs(p)))), 64) + " %"
	}
	return fmt.Sprintf("%.1f %%", p)
}

// coverage writes a share that is near 1: never rounded up to 100 %.
func coverage(share float64) string {
	if share >= 1 {
		return "100 %"
	}
	return fmt.Sprintf("%.2f %%", math.Floor(share*1e4)/100)
}

// count writes a whole number with separators: "1,840".
func count[T ~int | ~int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	sign := ""
	if s[0] == '-' {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural writes a count with its noun: "1 device", "32 devices".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// span writes a duration to a tenth of its usual grain: "10m0s", "4.2s", "1.3ms".
func span(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

// since writes a stamp's distance from the begin of the run: "12:34", "1:02:03".
func since(begin, s clock.Stamp) string {
	d := int(s.Sub(begin).Seconds())
	switch {
	case s == 0:
		return "never"
	case d < 0:
		return "-" + since(s, begin)
	case d >= 3600:
		return fmt.Sprintf("%d:%02d:%02d", d/3600, d/60%60, d%60)
	}
	return fmt.Sprintf("%d:%02d", d/60, d%60)
}

// metricName is what people call a metric.
func metricName(m bench.Metric) string {
	switch m {
	case bench.OutputSpeed:
		return "output speed"
	case bench.E2ESpeed:
		return "end-to-end speed"
	case bench.TTFT:
		return "TTFT"
	case bench.TTFTAnswer:
		return "TTFT of the answer"
	case bench.TTFTSched:
		return "TTFT since due"
	case bench.InterToken:
		return "time per token"
	case bench.Duration:
		return "request time"
	case bench.Lag:
		return "client lag"
	}
	return string(m)
}

// percentile writes a quantile as "P25" or "P99.9".
func percentile(q float64) string {
	return "P" + strconv.FormatFloat(math.Round(q*1000)/10, 'f', -1, 64)
}

// limit writes an objective for people: "P25 output speed ≥ 60 tok/s".
func limit(o bench.Objective) string {
	return fmt.Sprintf("%s %s %s", percentile(o.Quantile), metricName(o.Metric), bound(o))
}

// bound writes the limit of an objective alone: "≥ 60 tok/s".
func bound(o bench.Objective) string {
	op := "≤"
	if o.Metric.HigherIsBetter() {
		op = "≥"
	}
	return fmt.Sprintf("%s %s %s", op, strconv.FormatFloat(o.Limit, 'f', -1, 64), o.Metric.Unit())
}

// limits writes all objectives of a tier.
func limits(t bench.Tier) string {
	var list []string
	for _, o := range t.Objectives {
		list = append(list, limit(o))
	}
	return strings.Join(list, " and ")
}

// failed counts the failures of a phase. Cancelled requests are none, and those in flight when a phase ended early are not
// known to be.
func failed(p bench.Phase) (n int) {
	for kind, k := range p.Failures {
		if kind != bench.Cancelled && kind != bench.InFlight {
			n += k
		}
	}
	return n
}

// failureKinds lists the failures by kind: "1 status, 2 timeout"; "none" without any. Requests that are no failures but did
// not end are said, too.
func failureKinds(p bench.Phase) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(p.Failures)) {
		if n := p.Failures[kind]; n > 0 && kind != bench.Cancelled && kind != bench.InFlight {
			list = append(list, count(n)+" "+string(kind))
		}
	}
	s := orElse(strings.Join(list, ", "), "none")
	if n := p.Failures[bench.InFlight]; n > 0 {
		s += fmt.Sprintf(" (%s in flight at the end)", count(n))
	}
	if n := p.Failures[bench.Cancelled]; n > 0 {
		s += fmt.Sprintf(" (%s cancelled, not counted)", count(n))
	}
	return s
}

// at returns one of the percentiles that a summary holds; NaN if there is none.
func at(s bench.Summary, q float64) float64 {
	held := map[float64]float64{0.05: s.P5, 0.25: s.P25, 0.5: s.P50, 0.75: s.P75, 0.9: s.P90, 0.95: s.P95, 0.99: s.P99}
	v, ok := held[q]
	if !ok || s.N == 0 {
		return math.NaN()
	}
	return v
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
