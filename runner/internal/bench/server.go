package bench

import (
	"maps"
	"slices"

	"agentwatt/shared/clock"
)

// ServerQuantity is something that an inference server tells about itself, whatever it calls it.
type ServerQuantity string

// What servers tell. Gauges are as of the read; counters only grow, and begin again at 0 when the server restarts.
const (
	ServerRunning     ServerQuantity = "requests_running"            // gauge: in the batch
	ServerWaiting     ServerQuantity = "requests_waiting"            // gauge: in the queue
	ServerInFlight    ServerQuantity = "requests_in_flight"          // gauge: both together, of servers that tell no running ones
	ServerKV          ServerQuantity = "kv_cache_usage"              // gauge, 0 to 1
	ServerHitRate     ServerQuantity = "prefix_cache_hit_rate"       // gauge, 0 to 1, of servers that count no hits
	ServerHits        ServerQuantity = "prefix_cache_hits"           // counter, tokens or blocks
	ServerMisses      ServerQuantity = "prefix_cache_misses"         // counter, in the unit of the hits
	ServerQueries     ServerQuantity = "prefix_cache_queries"        // counter, in the unit of the hits
	ServerPreemptions ServerQuantity = "preemptions"                 // counter: requests thrown out of the batch for want of room
	ServerAcceptance  ServerQuantity = "speculative_acceptance"      // gauge, 0 to 1, of servers that count no tokens
	ServerAcceptLen   ServerQuantity = "speculative_accept_length"   // gauge: tokens per step and sequence
	ServerAccepted    ServerQuantity = "speculative_accepted_tokens" // counter
	ServerDrafted     ServerQuantity = "speculative_draft_tokens"    // counter
	ServerGenerated   ServerQuantity = "generation_tokens"           // counter
	ServerPrompted    ServerQuantity = "prompt_tokens"               // counter
)

// ServerSample is one read of a server's metrics. What the server did not tell has no value.
type ServerSample struct {
	Time      clock.Stamp // middle of the read
	Server    string      // whose names they are: "vllm", "sglang", ...
	Simulated bool        // the server says that it is simulated
	Values    map[ServerQuantity]float64
}

// ServerPlan says where the server's metrics are read.
type ServerPlan struct {
	URL  string `json:"url,omitempty"`  // without credentials; empty: nowhere
	None string `json:"none,omitempty"` // why there are none
}

// ServerEvidence is what was read of the server's metrics.
type ServerEvidence struct {
	Samples []ServerSample // by time
	Failed  int            // reads that brought nothing
	Failure string         // why, of the first
}

// ServerMetrics sums up how the server was watched. It judges nothing.
type ServerMetrics struct {
	ServerPlan
	Servers []string `json:"servers,omitempty"` // whose names were found
	Reads   int      `json:"reads"`             // that brought values
	Failed  int      `json:"failed_reads"`
	Failure string   `json:"first_failure,omitempty"`
}

// serverMetrics describes the evidence; nil where nothing is known of it, as in runs of older versions.
func (e Evidence) serverMetrics() *ServerMetrics {
	s := e.Server
	if e.Experiment.Server == (ServerPlan{}) {
		return nil
	}
	m := &ServerMetrics{ServerPlan: e.Experiment.Server, Reads: len(s.Samples), Failed: s.Failed, Failure: s.Failure}
	names := map[string]bool{}
	for _, x := range s.Samples {
		names[x.Server] = true
	}
	m.Servers = slices.Sorted(maps.Keys(names))
	return m
}

// Derived values of a window, beside the means and maxima of gauges.
const (
	ServerGenerationRate = "generation_tokens_per_second"
	ServerPromptRate     = "prompt_tokens_per_second"
)

// ServerWindow is what a server told in the window of a phase: NAME_mean and NAME_max of gauges; hit rate and acceptance, from
// the counters where there are any; preemptions; token rates. What was not told has no value.
type ServerWindow struct {
	Reads  int                `json:"reads"`
	Values map[string]float64 `json:"values"`
}

// window sums up the samples in a window; nil if there are none.
func (s ServerEvidence) window(w Window) *ServerWindow {
	var in []ServerSample
	for _, x := range s.Samples {
		if w.Begin <= x.Time && x.Time < w.End {
			in = append(in, x)
		}
	}
	if len(in) == 0 {
		return nil
	}
	out := &ServerWindow{Reads: len(in), Values: map[string]float64{}}
	for _, q := range []ServerQuantity{ServerRunning, ServerWaiting, ServerKV} {
		if mean, most, ok := gauge(in, q); ok {
			out.Values[string(q)+"_mean"], out.Values[string(q)+"_max"] = mean, most
		}
	}
	put := func(name string, v float64, ok bool) {
		if ok {
			out.Values[name] = v
		}
	}
	rate, ok := HitRate(in)
	put(string(ServerHitRate), rate, ok)
	rate, ok = Acceptance(in)
	put(string(ServerAcceptance), rate, ok)
	length, _, ok := gauge(in, ServerAcceptLen)
	put(string(ServerAcceptLen), length, ok)
	n, _, ok := Increase(in, ServerPreemptions)
	put(string(ServerPreemptions), n, ok)
	for name, q := range map[string]ServerQuantity{ServerGenerationRate: ServerGenerated, ServerPromptRate: ServerPrompted} {
		n, seconds, ok := Increase(in, q)
		if ok {
			put(name, n/seconds, true)
		}
	}
	return out
}

// gauge returns mean and maximum of what was told; ok is false where nothing was.
func gauge(samples []ServerSample, q ServerQuantity) (mean, most float64, ok bool) {
	n := 0
	for _, s := range samples {
		if v, told := s.Values[q]; told {
			mean += v
			most = max(most, v)
			n++
		}
	}
	if n == 0 {
		return 0, 0, false
	}
	return mean / float64(n), most, true
}

// Increase returns by how much a counter grew from the first to the last sample that has it, and the seconds between them. A
// counter that is smaller than before began again at 0. ok is false where fewer than two samples have it.
func Increase(samples []ServerSample, q ServerQuantity) (total, seconds float64, ok bool) {
	var first, last clock.Stamp
	before := 0.0
	for _, s := range samples {
		v, told := s.Values[q]
		switch {
		case !told:
			continue
		case first == 0:
			first = s.Time
		case v < before:
			total += v
		default:
			total += v - before
		}
		before, last = v, s.Time
	}
	seconds = last.Sub(first).Seconds()
	return total, seconds, seconds > 0
}

// HitRate returns the share of what was looked up in the prefix cache that was found, over the samples: from the counters
// where the server has any, else the mean of what it tells. ok is false where nothing was looked up.
func HitRate(samples []ServerSample) (rate float64, ok bool) {
	hits, _, counted := Increase(samples, ServerHits)
	asked, _, told := Increase(samples, ServerQueries)
	if !told {
		var misses float64
		misses, _, told = Increase(samples, ServerMisses)
		asked = hits + misses
	}
	if counted && told {
		return min(hits/max(asked, 1), 1), asked > 0
	}
	rate, _, ok = gauge(samples, ServerHitRate)
	return rate, ok
}

// Acceptance returns the share of speculated tokens that were accepted, as HitRate does.
func Acceptance(samples []ServerSample) (rate float64, ok bool) {
	accepted, _, counted := Increase(samples, ServerAccepted)
	drafted, _, told := Increase(samples, ServerDrafted)
	if counted && told {
		return min(accepted/max(drafted, 1), 1), drafted > 0
	}
	rate, _, ok = gauge(samples, ServerAcceptance)
	return rate, ok
}
