package servermetrics

import "agentwatt/runner/internal/bench"

// kind says how the series of one family are put together.
type kind int

const (
	sum   kind = iota // of all engines
	mean              // over the engines
	share             // the same, of what is 0 to 1
)

// family is a name under which a server tells a quantity.
type family struct {
	name     string
	quantity bench.ServerQuantity
	kind     kind
}

// server is the names of one kind of server.
type server struct {
	name     string
	families []family
}

// servers lists who tells what under which name. The first name that is found gives a quantity its value: newer names come
// before older ones, and engines before routers in front of them, which tell the engine's names too.
var servers = []server{
	{"vllm", []family{
		{"vllm:num_requests_running", bench.ServerRunning, sum},
		{"vllm:num_requests_waiting", bench.ServerWaiting, sum},
		{"vllm:kv_cache_usage_perc", bench.ServerKV, share}, // named percent, is a share
		{"vllm:gpu_cache_usage_perc", bench.ServerKV, share},
		{"vllm:prefix_cache_queries_total", bench.ServerQueries, sum},
		{"vllm:prefix_cache_hits_total", bench.ServerHits, sum},
		{"vllm:gpu_prefix_cache_queries_total", bench.ServerQueries, sum},
		{"vllm:gpu_prefix_cache_hits_total", bench.ServerHits, sum},
		{"vllm:num_preemptions_total", bench.ServerPreemptions, sum},
		{"vllm:spec_decode_num_accepted_tokens_total", bench.ServerAccepted, sum},
		{"vllm:spec_decode_num_draft_tokens_total", bench.ServerDrafted, sum},
		{"vllm:generation_tokens_total", bench.ServerGenerated, sum},
		{"vllm:prompt_tokens_total", bench.ServerPrompted, sum},
	}},
	{"sglang", []family{
		{"sglang:num_running_reqs", bench.ServerRunning, sum},
		{"sglang:num_queue_reqs", bench.ServerWaiting, sum},
		{"sglang:token_usage", bench.ServerKV, share},
		{"sglang:cache_hit_rate", bench.ServerHitRate, share},
		{"sglang:num_retracted_requests_total", bench.ServerPreemptions, sum}, // num_retracted_reqs is of the last batch
		{"sglang:spec_accept_rate", bench.ServerAcceptance, share},
		{"sglang:spec_accept_length", bench.ServerAcceptLen, mean},
		{"sglang:generation_tokens_total", bench.ServerGenerated, sum},
		{"sglang:prompt_tokens_total", bench.ServerPrompted, sum},
	}},
	{"trtllm", []family{
		{"trtllm_num_requests_running", bench.ServerRunning, sum},
		{"trtllm_num_requests_waiting", bench.ServerWaiting, sum},
		{"trtllm_kv_cache_utilization", bench.ServerKV, share},
		{"trtllm_kv_cache_reused_blocks_total", bench.ServerHits, sum},
		{"trtllm_kv_cache_missed_blocks_total", bench.ServerMisses, sum},
		{"trtllm_kv_cache_hit_rate", bench.ServerHitRate, share},
		{"trtllm_spec_decode_num_accepted_tokens_total", bench.ServerAccepted, sum},
		{"trtllm_spec_decode_num_draft_tokens_total", bench.ServerDrafted, sum},
		{"trtllm_generation_tokens_total", bench.ServerGenerated, sum},
		{"trtllm_prompt_tokens_total", bench.ServerPrompted, sum},
	}},
	{"llamacpp", []family{
		{"llamacpp:requests_processing", bench.ServerRunning, sum},
		{"llamacpp:requests_deferred", bench.ServerWaiting, sum},
		{"llamacpp:kv_cache_usage_ratio", bench.ServerKV, share}, // gone from newer versions
		{"llamacpp:tokens_predicted_total", bench.ServerGenerated, sum},
		{"llamacpp:prompt_tokens_total", bench.ServerPrompted, sum},
	}},
	{"dynamo", []family{
		{"dynamo_frontend_inflight_requests", bench.ServerInFlight, sum},
		{"dynamo_frontend_queued_requests", bench.ServerWaiting, sum}, // no first token yet
		{"dynamo_component_gpu_cache_usage_percent", bench.ServerKV, share},
		{"dynamo_component_kvstats_gpu_cache_usage_percent", bench.ServerKV, share},
		{"dynamo_component_kvstats_gpu_prefix_cache_hit_rate", bench.ServerHitRate, share},
		{"dynamo_frontend_output_tokens_total", bench.ServerGenerated, sum},
	}},
}

// simulatedName is the gauge by which a simulated server says that it is one.
const simulatedName = "agentwatt_simulated"

// known holds every name that is kept.
var known = func() map[string]bool {
	names := map[string]bool{simulatedName: true}
	for _, s := range servers {
		for _, f := range s.families {
			names[f.name] = true
		}
	}
	return names
}()

// ranks are labels of processes that together are one engine and tell the same: of those one counts. Data-parallel engines have
// other labels (engine, dp_rank) and are put together.
var ranks = map[string]bool{"tp_rank": true, "pp_rank": true, "moe_ep_rank": true, "pid": true}
