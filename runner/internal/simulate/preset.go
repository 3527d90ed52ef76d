package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"agentwatt/shared/power"
)

// Presets returns the names that Preset knows, in order.
func Presets() []string {
	return []string{"demo", "decode-bound", "prefill-bound", "cache-bound", "speculative"}
}

// Preset returns a named set of parameters. The error of an unknown name lists the known ones.
func Preset(name string) (Params, error) {
	p := demo()
	switch name {
	case "demo":
	case "decode-bound": // nothing but the step time of many sequences limits it
		p.PrefillRate, p.PrefillBudget = 1e6, 1<<16
		p.StepBase, p.StepPerSequence, p.StepPerKilotoken = 2*time.Millisecond, 1200*time.Microsecond, 10*time.Microsecond
	case "prefill-bound": // decoding stays quick, but prompts queue up for the first token
		p.PrefillRate, p.PrefillBudget = 2500, 32
		p.StepBase, p.StepPerSequence, p.StepPerKilotoken = 2*time.Millisecond, 20*time.Microsecond, time.Microsecond
	case "cache-bound": // few contexts fit: what is evicted is computed again, and the others wait for room
		p.CacheTokens, p.MaxContext = 1<<15, 1<<15
		p.PrefillRate, p.PrefillBudget = 20000, 512
		p.StepBase, p.StepPerSequence, p.StepPerKilotoken = 3*time.Millisecond, 200*time.Microsecond, 4*time.Microsecond
	case "speculative": // several tokens in one chunk
		p.Draft, p.Acceptance, p.DraftCost = 4, 0.7, 1500*time.Microsecond
		p.StepBase, p.StepPerSequence = 6*time.Millisecond, 2400*time.Microsecond
	default:
		return Params{}, fmt.Errorf("unknown preset %q, want one of %s", name, strings.Join(Presets(), ", "))
	}
	return p, nil
}

// demo is a small system with quick tokens, so that a search on it takes minutes: about a dozen coding agents at 60
// tokens per second each.
func demo() Params {
	return Params{
		MaxBatch:         64,
		StepBase:         3 * time.Millisecond,
		StepPerSequence:  1100 * time.Microsecond,
		StepPerKilotoken: 40 * time.Microsecond,
		PrefillRate:      100_000,
		PrefillBudget:    2048,
		CacheTokens:      1 << 21,
		BlockTokens:      32,
		MaxContext:       1 << 17,
		Devices:          2,
		Idle:             90 * power.Watt,
		StepEnergy:       900 * power.Millijoule,
		DecodeEnergy:     1000 * power.Millijoule,
		PrefillEnergy:    18 * power.Millijoule,
		CounterPeriod:    100 * time.Millisecond,
		Seed:             1,
	}
}

// ModelPrefix begins the name of every model that is simulated: what answers by such a name is no evidence about hardware.
const ModelPrefix = "simulated/"

// ModelName returns the model id that a server of the preset answers to.
func ModelName(preset string) string {
	if !slices.Contains(Presets(), preset) {
		return ModelPrefix + "engine"
	}
	return ModelPrefix + preset
}
