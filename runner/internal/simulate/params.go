// Package simulate is a language-model serving engine whose capacity and power are known: the ground truth of the tests
// and the endpoint of the demo. It is never evidence about hardware, and everything it serves says so.
//
// The parts, from the inside out: a cache of prompt blocks, a scheduler (both pure: no clock, no goroutine), an engine
// that runs the scheduler on an absolute schedule, and a server that speaks the OpenAI protocol. docs/simulate.md
// specifies the rules exactly enough to predict every stamp.
package simulate

import (
	"errors"
	"fmt"
	"math"
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

// StepTime returns the duration of a step with decoding sequences, context tokens of theirs in sum, and prefilled
// prompt tokens. The context term is truncated to a nanosecond, the prefill term rounded.
func (p Params) StepTime(decoding, context, prefilled int) time.Duration {
	d := p.StepBase + p.StepPerSequence*time.Duration(decoding)
	d += p.StepPerKilotoken * time.Duration(context) / 1000
	d += time.Duration(math.Round(float64(prefilled) * 1e9 / p.PrefillRate))
	if p.Draft > 0 && decoding > 0 {
		d += p.DraftCost
	}
	return d
}

// StepWork returns the energy of a step above idle, all devices together.
func (p Params) StepWork(tokens, prefilled int) power.Energy {
	return p.StepEnergy + p.DecodeEnergy*power.Energy(tokens) + p.PrefillEnergy*power.Energy(prefilled)
}

// blocks returns how many cache blocks hold this many tokens.
func (p Params) blocks(tokens int) int { return (tokens + p.BlockTokens - 1) / p.BlockTokens }

// capacity returns the size of the cache in whole blocks.
func (p Params) capacity() int { return p.CacheTokens / p.BlockTokens }

// Validate reports every parameter that makes no engine.
func (p Params) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	within := func(name string, v, low, high int) {
		check(v >= low && v <= high, "%s is %d, want %d to %d", name, v, low, high)
	}
	between := func(name string, v, low, high time.Duration) {
		check(v >= low && v <= high, "%s is %v, want %v to %v", name, v, low, high)
	}
	within("max_batch", p.MaxBatch, 1, 1<<16)
	within("prefill_budget_tokens", p.PrefillBudget, 1, 1<<24)
	within("block_tokens", p.BlockTokens, 1, 1<<16)
	within("cache_tokens", p.CacheTokens, 1, 1<<31)
	within("max_context_tokens", p.MaxContext, 2, 1<<24)
	within("draft_tokens", p.Draft, 0, 64)
	within("devices", p.Devices, 1, 1<<16)
	between("step_base", p.StepBase, time.Microsecond, time.Minute)
	between("step_per_sequence", p.StepPerSequence, 0, time.Second)
	between("step_per_kilotoken", p.StepPerKilotoken, 0, time.Second)
	between("draft_cost", p.DraftCost, 0, time.Minute)
	between("counter_period", p.CounterPeriod, time.Microsecond, time.Hour)
	check(p.PrefillRate >= 1 && p.PrefillRate <= 1e12, "prefill_tokens_per_second is %v, want 1 to 1e12", p.PrefillRate)
	check(p.Acceptance >= 0 && p.Acceptance <= 1, "acceptance is %v, want 0 to 1", p.Acceptance)
	check(p.Idle >= 0 && p.Idle <= 10*power.Megawatt/power.Power(max(p.Devices, 1)), // counters last for 256 hours
		"idle_watts is %v, want 0 W to 10 MW for all devices together", p.Idle)
	energy := func(name string, e power.Energy) {
		check(e >= 0 && e <= power.Kilojoule, "%s is %v, want 0 to 1000 J", name, e.Joules())
	}
	energy("step_energy_joules", p.StepEnergy)
	energy("decode_energy_joules", p.DecodeEnergy)
	energy("prefill_energy_joules", p.PrefillEnergy)
	// Else a request that fits the context could wait for ever at the head of the line.
	check(p.BlockTokens < 1 || p.blocks(p.MaxContext) <= p.capacity(),
		"cache_tokens is %d: it cannot hold one context of %d tokens", p.CacheTokens, p.MaxContext)
	return errors.Join(errs...)
}
