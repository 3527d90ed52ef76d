package bench

// Metric names a per-request figure that an objective can limit: "output_speed", "e2e_speed" (tokens per second, higher is
// better), "ttft", "ttft_answer", "ttft_sched" (seconds, lower is better), "inter_token" (seconds per token), "duration" (seconds).
type Metric string

// Objective limits one percentile of one metric, e.g. "p25(output_speed) >= 60" or "p95(ttft) <= 5s".
type Objective struct {
	Metric   Metric  `json:"metric"`
	Quantile float64 `json:"quantile"` // 0.25
	Limit    float64 `json:"limit"`    // base unit: seconds or tokens per second
}

// Tier is a named set of objectives over all requests of a window pooled.
type Tier struct {
	Name       string      `json:"name"`
	Objectives []Objective `json:"objectives"`
}
