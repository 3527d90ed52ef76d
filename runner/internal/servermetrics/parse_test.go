package servermetrics

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
)

// values is short for what a page is expected to tell.
type values = map[bench.ServerQuantity]float64

func TestParse(t *testing.T) {
	for _, c := range []struct {
		name, text, server string
		want               values
	}{
		{"vllm with two engines", `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 3.0
vllm:num_requests_running{engine="1",model_name="m"} 4.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.75
# TYPE vllm:prefix_cache_queries_total counter
vllm:prefix_cache_queries_total{engine="0",model_name="m"} 1000.0
vllm:prefix_cache_queries_created{engine="0",model_name="m"} 1.78e+09
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{le="0.3",model_name="m"} 5.0
`, "vllm", values{bench.ServerRunning: 7, bench.ServerKV: 0.5, bench.ServerQueries: 1000}},
		{"older and newer name at once", `vllm:gpu_cache_usage_perc 0.9
vllm:kv_cache_usage_perc 0.4
`, "vllm", values{bench.ServerKV: 0.4}},
		{"older name alone", "vllm:gpu_cache_usage_perc 0.9\n", "vllm", values{bench.ServerKV: 0.9}},
		{"sglang: ranks of one engine are one, engines are several", `sglang:num_running_reqs{dp_rank="0",tp_rank="0"} 5
sglang:num_running_reqs{dp_rank="0",tp_rank="1"} 5
sglang:num_running_reqs{dp_rank="1",tp_rank="2"} 2
sglang:token_usage{dp_rank="0",tp_rank="0"} 0.5
sglang:cache_hit_rate{tp_rank="0"} 0.8
sglang:spec_accept_length{tp_rank="0"} 2.9
sglang:num_retracted_requests_total{tp_rank="0"} 6
`, "sglang", values{bench.ServerRunning: 7, bench.ServerKV: 0.5, bench.ServerHitRate: 0.8, bench.ServerAcceptLen: 2.9, bench.ServerPreemptions: 6}},
		{"trtllm", `trtllm_num_requests_running{engine_type="trtllm"} 3
trtllm_kv_cache_reused_blocks_total 30
trtllm_kv_cache_missed_blocks_total 10
`, "trtllm", values{bench.ServerRunning: 3, bench.ServerHits: 30, bench.ServerMisses: 10}},
		{"llama.cpp", `# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 4
llamacpp:requests_deferred 46
llamacpp:tokens_predicted_total 17029
`, "llamacpp", values{bench.ServerRunning: 4, bench.ServerWaiting: 46, bench.ServerGenerated: 17029}},
		{"dynamo tells those in flight", `dynamo_frontend_inflight_requests{model="m"} 12
dynamo_frontend_queued_requests{model="m"} 5
dynamo_frontend_output_tokens_total{model="m"} 900
`, "dynamo", values{bench.ServerInFlight: 12, bench.ServerWaiting: 5, bench.ServerRunning: 7, bench.ServerGenerated: 900}},
		{"a dynamo worker tells its engine's names", `dynamo_component_gpu_cache_usage_percent 0.1
vllm:kv_cache_usage_perc 0.4
`, "vllm", values{bench.ServerKV: 0.4}},
		{"what makes no sense is not told", `vllm:num_requests_running NaN
vllm:num_requests_waiting -1
vllm:kv_cache_usage_perc +Inf
vllm:generation_tokens_total 5
`, "vllm", values{bench.ServerGenerated: 5}},
		{"a share above one", "vllm:kv_cache_usage_perc 1.3\n", "vllm", values{bench.ServerKV: 1}},
		{"lines of others are not looked at", "vllm:num_requests_running 1\nother{broken 5\n", "vllm", values{bench.ServerRunning: 1}},
		{"carriage returns", "vllm:num_requests_running 1\r\n", "vllm", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse([]byte(c.text))
			if (err != nil) != (c.want == nil) {
				t.Fatal(err)
			}
			if err == nil && (got.Server != c.server || got.Simulated) {
				t.Errorf("server %q, simulated %v, want %q", got.Server, got.Simulated, c.server)
			}
			if d := cmp.Diff(c.want, got.Values); err == nil && d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      "",
		"a web page":   "<!doctype html><title>no</title>",
		"others":       "python_gc_objects_collected_total 5\n",
		"broken value": "vllm:num_requests_running many\n",
		"histogram":    "# TYPE vllm:num_requests_running histogram\nvllm:num_requests_running_sum 3\n",
	} {
		if got, err := Parse([]byte(text)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
}

func TestSimulatedSaysSo(t *testing.T) {
	got, err := Parse([]byte("agentwatt_simulated 1\nvllm:num_requests_running 1\n"))
	if err != nil || !got.Simulated {
		t.Errorf("got %+v, %v, want it simulated", got, err)
	}
}

// FuzzParse: foreign metrics neither end the program nor yield what cannot be, and what is kept means what all of it meant.
func FuzzParse(f *testing.F) {
	f.Add([]byte("# TYPE vllm:num_requests_running gauge\nvllm:num_requests_running{engine=\"0\",model_name=\"a\\\"}b\"} 3\n"))
	f.Add([]byte("sglang:token_usage{tp_rank=\"0\"} 0.5\nsglang:token_usage{tp_rank=\"0\"} 1e308\n"))
	f.Add([]byte("vllm:prompt_tokens_total 1e400\nllamacpp:prompt_tokens_total 1 1700000000\n"))
	f.Add([]byte(strings.Repeat("vllm:prompt_tokens_total{a=\"b\"} 1e308\n", 3)))
	f.Fuzz(func(t *testing.T, text []byte) {
		kept := Keep(text)
		if len(kept) > maxKept+1 || !bytes.Equal(Keep(kept), kept) {
			t.Errorf("kept %q of %q", kept, text)
		}
		got, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(kept)
		if err != nil {
			t.Fatalf("what was kept does not parse: %v", err)
		}
		if d := cmp.Diff(got, again); d != "" {
			t.Errorf("what was kept means something else:\n%s", d)
		}
		for q, v := range got.Values {
			if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
				t.Errorf("%s is %v", q, v)
			}
		}
	})
}
