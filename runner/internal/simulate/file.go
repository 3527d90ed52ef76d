package simulate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/goccy/go-yaml"

	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

// paramsText is Params as it stands in a file, units spelled out.
type paramsText struct {
	MaxBatch         int           `yaml:"max_batch"`
	StepBase         time.Duration `yaml:"step_base"`
	StepPerSequence  time.Duration `yaml:"step_per_sequence"`
	StepPerKilotoken time.Duration `yaml:"step_per_kilotoken"`
	PrefillRate      float64       `yaml:"prefill_tokens_per_second"`
	PrefillBudget    int           `yaml:"prefill_budget_tokens"`
	CacheTokens      int           `yaml:"cache_tokens"`
	BlockTokens      int           `yaml:"block_tokens"`
	Draft            int           `yaml:"draft_tokens"`
	Acceptance       float64       `yaml:"acceptance"`
	DraftCost        time.Duration `yaml:"draft_cost"`
	MaxContext       int           `yaml:"max_context_tokens"`
	Devices          int           `yaml:"devices"`
	Idle             float64       `yaml:"idle_watts"`
	StepEnergy       float64       `yaml:"step_energy_joules"`
	DecodeEnergy     float64       `yaml:"decode_energy_joules"`
	PrefillEnergy    float64       `yaml:"prefill_energy_joules"`
	CounterPeriod    time.Duration `yaml:"counter_period"`
	Seed             uint64        `yaml:"seed"`
}

func textOf(p Params) paramsText {
	return paramsText{p.MaxBatch, p.StepBase, p.StepPerSequence, p.StepPerKilotoken, p.PrefillRate, p.PrefillBudget,
		p.CacheTokens, p.BlockTokens, p.Draft, p.Acceptance, p.DraftCost, p.MaxContext, p.Devices,
		p.Idle.Watts(), p.StepEnergy.Joules(), p.DecodeEnergy.Joules(), p.PrefillEnergy.Joules(), p.CounterPeriod, p.Seed}
}

func (t paramsText) params() (Params, error) {
	p := Params{MaxBatch: t.MaxBatch, StepBase: t.StepBase, StepPerSequence: t.StepPerSequence, StepPerKilotoken: t.StepPerKilotoken,
		PrefillRate: t.PrefillRate, PrefillBudget: t.PrefillBudget, CacheTokens: t.CacheTokens, BlockTokens: t.BlockTokens,
		Draft: t.Draft, Acceptance: t.Acceptance, DraftCost: t.DraftCost, MaxContext: t.MaxContext,
		Devices: t.Devices, CounterPeriod: t.CounterPeriod, Seed: t.Seed}
	var errs []error
	micro := func(name string, v float64) int64 {
		if !(v >= 0 && v <= 1e9) { // NaN is not
			errs = append(errs, fmt.Errorf("%s is %v, want 0 to 1e9", name, v))
			return 0
		}
		return int64(math.Round(v * 1e6))
	}
	p.Idle = power.Power(micro("idle_watts", t.Idle))
	p.StepEnergy = power.Energy(micro("step_energy_joules", t.StepEnergy))
	p.DecodeEnergy = power.Energy(micro("decode_energy_joules", t.DecodeEnergy))
	p.PrefillEnergy = power.Energy(micro("prefill_energy_joules", t.PrefillEnergy))
	return p, errors.Join(errs...)
}

// ParseParams reads parameters as strict YAML over base: what the file does not name stays. name is the file's, for
// errors. The result is not validated yet, so that several files can build one engine.
func ParseParams(data []byte, name string, base Params) (Params, error) {
	t := textOf(base)
	if err := settings.Decode(data, name, &t); err != nil {
		return Params{}, err
	}
	p, err := t.params()
	if err != nil {
		return Params{}, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// AppendYAML appends the parameters as a file that ParseParams reads.
func (p Params) AppendYAML(dst []byte) ([]byte, error) {
	text, err := yaml.Marshal(textOf(p))
	return append(dst, text...), err
}
