package simulate

import (
	"fmt"
	"net/http"
	"strconv"
)

// metric is one value in Prometheus' text format.
type metric struct {
	name, kind, help string
	value            float64
}

// metrics answers GET /metrics: what the engine really does, under the names that vLLM uses, so that what reads those can be
// tested. It says first that it is simulated.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprintln(w, "# SIMULATED: no hardware and no model stand behind these numbers.")
	for _, m := range vllmMetrics(s.Truth().Totals, s.p) {
		labels := ""
		if m.name != "agentwatt_simulated" {
			labels = fmt.Sprintf(`{engine="0",model_name=%q}`, s.options.Model)
		}
		fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n%s%s %s\n", m.name, m.help, m.name, m.kind, m.name, labels, strconv.FormatFloat(m.value, 'g', -1, 64))
	}
}

// vllmMetrics gives the engine's account the names of vLLM. The engine never preempts: what it admits it has room for.
func vllmMetrics(t Totals, p Params) []metric {
	list := []metric{
		{"agentwatt_simulated", "gauge", "1: this server is a simulation.", 1},
		{"vllm:num_requests_running", "gauge", "Requests prefilling or decoding.", float64(t.Running)},
		{"vllm:num_requests_waiting", "gauge", "Requests in the queue.", float64(t.Waiting)},
		{"vllm:kv_cache_usage_perc", "gauge", "Share of the cache's blocks that requests hold, 0 to 1.", float64(t.Held) / float64(max(1, p.capacity()))},
		{"vllm:prefix_cache_queries_total", "counter", "Prompt tokens of the requests admitted.", float64(t.Asked)},
		{"vllm:prefix_cache_hits_total", "counter", "Of them, those found in the cache.", float64(t.Reused)},
		{"vllm:num_preemptions_total", "counter", "Requests thrown out of the batch.", 0},
		{"vllm:prompt_tokens_total", "counter", "Prompt tokens of the requests admitted.", float64(t.Asked)},
		{"vllm:generation_tokens_total", "counter", "Output tokens of completed steps.", float64(t.Tokens)},
	}
	if p.Draft > 0 {
		list = append(list,
			metric{"vllm:spec_decode_num_draft_tokens_total", "counter", "Tokens proposed.", float64(t.Drafted)},
			metric{"vllm:spec_decode_num_accepted_tokens_total", "counter", "Of them, those that became output.", float64(t.Accepted)})
	}
	return list
}
