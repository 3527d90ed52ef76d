package bench

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"agentwatt/shared/settings"
)

// Objective limits one percentile of one metric, e.g. "p25(output_speed) >= 60" or "p95(ttft) <= 5s".
type Objective struct {
	Metric   Metric  `json:"metric"`
	Quantile float64 `json:"quantile"` // 0.25; whole tenths of a percent, 0.001 to 0.999
	Limit    float64 `json:"limit"`    // base unit: seconds or tokens per second
}

// String writes the objective as ParseObjective reads it.
func (o Objective) String() string {
	op, unit := "<=", "s"
	if o.Metric.HigherIsBetter() {
		op, unit = ">=", ""
	}
	percentile := strconv.FormatFloat(math.Round(o.Quantile*1000)/10, 'f', -1, 64)
	return fmt.Sprintf("p%s(%s) %s %s%s", percentile, o.Metric, op, strconv.FormatFloat(o.Limit, 'f', -1, 64), unit)
}

// Met reports whether a value of the percentile meets the limit.
func (o Objective) Met(value float64) bool {
	if o.Metric.HigherIsBetter() {
		return value >= o.Limit
	}
	return value <= o.Limit
}

// missed reports whether v violations among n requests make the percentile miss the limit, without knowing the values.
// It is the same statement as !Met of the nearest-rank percentile.
func (o Objective) missed(v, n int) bool {
	if n == 0 {
		return false
	}
	if o.Metric.HigherIsBetter() {
		return v >= rank(o.Quantile, n) // the violations are the lowest values
	}
	return v > n-rank(o.Quantile, n) // the violations are the highest values
}

// ParseObjective reads an objective: p<percentile>(<metric>) <op> <limit>[<unit>]. The percentile is 0.1 to 99.9 with at
// most one decimal. The operator is >= for speeds and <= for times: another direction would not be a limit on the system.
// The unit is s (default) or ms for times and tok/s (default) for speeds. Errors give the column and, for an unknown
// metric, the nearest known one.
func ParseObjective(s string) (Objective, error) {
	p := objectiveParser{in: s}
	o, err := p.objective()
	if err != nil {
		return Objective{}, fmt.Errorf("objective %q: column %d: %w", s, p.mark+1, err)
	}
	return o, nil
}

// objectiveParser walks over the input. mark is where the token began that an error is about.
type objectiveParser struct {
	in       string
	at, mark int
}

func (p *objectiveParser) objective() (o Objective, err error) {
	if err = p.expect("p"); err != nil {
		return o, err
	}
	if o.Quantile, err = p.quantile(); err != nil {
		return o, err
	}
	if err = p.expect("("); err != nil {
		return o, err
	}
	if o.Metric, err = p.metric(); err != nil {
		return o, err
	}
	if err = p.expect(")"); err != nil {
		return o, err
	}
	if err = p.operator(o.Metric); err != nil {
		return o, err
	}
	if o.Limit, err = p.limit(o.Metric); err != nil {
		return o, err
	}
	if p.skip(); p.at < len(p.in) {
		return o, fmt.Errorf("unexpected %q after the limit", p.in[p.at:])
	}
	return o, nil
}

// skip moves over blanks and marks the token that follows.
func (p *objectiveParser) skip() {
	for p.at < len(p.in) && (p.in[p.at] == ' ' || p.in[p.at] == '\t') {
		p.at++
	}
	p.mark = p.at
}

// take returns the longest run of bytes of the set.
func (p *objectiveParser) take(set string) string {
	p.skip()
	for p.at < len(p.in) && strings.IndexByte(set, p.in[p.at]) >= 0 {
		p.at++
	}
	return p.in[p.mark:p.at]
}

func (p *objectiveParser) expect(token string) error {
	if p.skip(); !strings.HasPrefix(p.in[p.at:], token) {
		return fmt.Errorf("expected %q, as in p95(ttft) <= 5s", token)
	}
	p.at += len(token)
	return nil
}

const (
	digits  = "0123456789"
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

func (p *objectiveParser) quantile() (float64, error) {
	text := p.take(digits + ".")
	percent, err := strconv.ParseFloat(text, 64)
	whole, fraction, _ := strings.Cut(text, ".")
	if err != nil || whole == "" || len(fraction) > 1 || percent < 0.1 || percent > 99.9 {
		return 0, fmt.Errorf("percentile %q is not between 0.1 and 99.9 with at most one decimal", text)
	}
	return math.Round(percent*10) / 1000, nil
}

func (p *objectiveParser) metric() (Metric, error) {
	name := p.take(letters + digits + "_")
	for _, m := range Metrics() {
		if string(m) == name {
			return m, nil
		}
	}
	return "", fmt.Errorf("unknown metric %q; did you mean %q?", name, nearestMetric(name))
}

func (p *objectiveParser) operator(m Metric) error {
	want, better := "<=", "lower"
	if m.HigherIsBetter() {
		want, better = ">=", "higher"
	}
	if got := p.take("<>=!"); got != want {
		return fmt.Errorf("%s needs %s (%s is better), got %q", m, want, better, got)
	}
	return nil
}

func (p *objectiveParser) limit(m Metric) (float64, error) {
	text := p.take(digits + ".")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("limit %q is not a number", text)
	}
	number := p.mark
	switch unit := p.take(letters + "/"); {
	case unit == "", m.HigherIsBetter() && unit == "tok/s", !m.HigherIsBetter() && unit == "s":
	case !m.HigherIsBetter() && unit == "ms":
		v /= 1000
	default:
		return 0, fmt.Errorf("unit %q does not fit %s, which is in %s", unit, m, m.Unit())
	}
	if v <= 0 || math.IsInf(v, 0) {
		p.mark = number
		return 0, fmt.Errorf("limit %s is not above zero and finite", text)
	}
	return v, nil
}

// nearestMetric returns the known metric with the smallest edit distance to name.
func nearestMetric(name string) Metric {
	best, least := Metric(""), math.MaxInt
	for _, m := range Metrics() {
		if d := settings.Edits(name, string(m)); d < least {
			best, least = m, d
		}
	}
	return best
}
