// Package simulate is a language-model serving engine whose capacity and power are known: the ground truth of the tests
// and the endpoint of the demo. It is never evidence about hardware, and everything it serves says so.
package simulate

import (
	"time"

	"agentwatt/shared/power"
)

// Params describe the engine. The model of one step (iteration) is
//
//	duration = StepBase + StepPerSequence*d + StepPerKilotoken*(c/1000) + p/PrefillRate
//
// with d sequences decoding, c tokens of their contexts in sum, p prompt tokens prefilled in the step (at most
// PrefillBudget, first come first served). At the end of the step every decoding sequence emits one token (more with
// speculation), and every sequence whose prompt is complete emits its first.
type Params struct {
	MaxBatch         int           // most sequences prefilling or decoding at once; the others wait in order of arrival
	StepBase         time.Duration // of an empty step
	StepPerSequence  time.Duration // per decoding sequence
	StepPerKilotoken time.Duration // per 1000 tokens of decoding context
	PrefillRate      float64       // prompt tokens per second, computed ones only
	PrefillBudget    int           // most prompt tokens prefilled in one step
	CacheTokens      int           // KV cache size in tokens; least recently used blocks not in use are evicted first
	BlockTokens      int           // tokens per block of the prefix cache; only whole blocks are reused
	Draft            int           // speculative tokens proposed per step; 0: none
	Acceptance       float64       // probability that each further proposed token is accepted
	DraftCost        time.Duration // added to a step that decodes with speculation
	MaxContext       int           // longest prompt plus output, in tokens; longer ones are refused with 400

	Devices       int           // simulated accelerators that share the load equally
	Idle          power.Power   // of one device doing nothing
	StepEnergy    power.Energy  // per step, all devices together, on top of idle
	DecodeEnergy  power.Energy  // per output token, all devices together
	PrefillEnergy power.Energy  // per computed prompt token, all devices together
	CounterPeriod time.Duration // the devices' energy counters and power readings change once per this
	Seed          uint64        // of speculation and text
}

// BytesPerToken is the simulated tokenizer: a prompt of b bytes (tools, then messages, as in the request's JSON) has
// ceil(b/BytesPerToken) tokens.
const BytesPerToken = 4
