package simulate

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func TestParamsFileSaysWhatItReads(t *testing.T) {
	for _, name := range Presets() {
		want, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := want.Validate(); err != nil {
			t.Errorf("preset %s: %v", name, err)
		}
		text, err := want.AppendYAML(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseParams(text, "p.yaml", Params{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("preset %s after writing and reading:\n%s", name, d)
		}
	}
	if _, err := Preset("nope"); err == nil || !strings.Contains(err.Error(), "speculative") {
		t.Errorf("unknown preset: %v", err)
	}
}

func TestParseParams(t *testing.T) {
	base := plain()
	changed := base
	changed.StepBase, changed.Idle, changed.MaxBatch = 7500*time.Microsecond, 81250*power.Milliwatt, 3
	tests := []struct {
		text, err string
		want      Params
	}{
		{"", "", base},
		{"# nothing to say\n", "", base},
		{"step_base: 7.5ms\nidle_watts: 81.25\nmax_batch: 3\n", "", changed},
		{"max_batch: 3\nbatch: 4\n", `p.yaml:2:1: unknown field "batch"`, Params{}},
		{"max_batch: many\n", "p.yaml:1:12: ", Params{}},
		{"max_batch: 3\nmax_batch: 4\n", "p.yaml:2:1: ", Params{}},
		{"step_base: 5\n  bad\n", "p.yaml:", Params{}},
		{"idle_watts: -1\n", "p.yaml: idle_watts is -1", Params{}},
		{"idle_watts: .nan\n", "p.yaml: idle_watts is NaN", Params{}},
	}
	for _, tt := range tests {
		got, err := ParseParams([]byte(tt.text), "p.yaml", base)
		if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.err)) {
			t.Errorf("%q: error %v, want %s", tt.text, err, tt.err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%q: %s", tt.text, d)
		}
	}
}

func TestValidateNamesWhatIsWrong(t *testing.T) {
	tests := []struct {
		change func(*Params)
		want   string
	}{
		{func(p *Params) { *p = Params{} }, "max_batch"},
		{func(p *Params) { p.BlockTokens = 0 }, "block_tokens is 0"},
		{func(p *Params) { p.CacheTokens = p.MaxContext - 1 }, "cannot hold one context"},
		{func(p *Params) { p.Acceptance = 1.5 }, "acceptance is 1.5"},
		{func(p *Params) { p.PrefillRate = 0 }, "prefill_tokens_per_second is 0"},
		{func(p *Params) { p.Idle = 4 * power.Megawatt }, "idle_watts"},
		{func(p *Params) { p.DecodeEnergy = -1 }, "decode_energy_joules"},
		{func(p *Params) { p.StepBase = 0 }, "step_base is 0s"},
	}
	for _, tt := range tests {
		p := plain()
		tt.change(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want one about %q", err, tt.want)
		}
	}
	if err := plain().Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzParseParams(f *testing.F) {
	f.Add("max_batch: 3\nstep_base: 5ms\n")
	f.Add("idle_watts: 1e300\nseed: -1\n")
	f.Add("{")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParseParams([]byte(text), "p.yaml", plain())
		if err != nil || p.Validate() != nil {
			return
		}
		p.StepTime(p.MaxBatch, p.MaxContext, p.PrefillBudget)
		if PeakPower(p) < p.Idle {
			t.Errorf("%q: the peak is below idle", text)
		}
	})
}
