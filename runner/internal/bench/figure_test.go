package bench

import (
	"math"
	"slices"
	"strings"
	"testing"

	"agentwatt/shared/power"
)

func TestFormatPerMegawatt(t *testing.T) {
	tests := []struct {
		v    float64
		want string
	}{
		{61354, "61.4 K"}, {61366, "61.4 K"}, {21053, "21.1 K"}, {2592.6, "2,593"}, {2594, "2,594"}, {3551, "3,551"}, {9999.4, "9,999"},
		{9999.6, "10.0 K"}, {10000, "10.0 K"}, {999999, "1.00 M"}, {1234567, "1.23 M"}, {999.7, "1,000"}, {999.4, "999"}, {57.5, "57.5"},
		{1.4, "1.40"}, {0.01234, "0.0123"}, {0, "0"}, {math.NaN(), "?"}, {math.Inf(1), "?"}, {-1, "?"},
	}
	for _, tt := range tests {
		if got := FormatPerMegawatt(tt.v); got != tt.want {
			t.Errorf("%v: got %q, want %q", tt.v, got, tt.want)
		}
	}
	for v, want := range map[float64]string{57.5: "57.5", 1840: "1840", 9.996: "10.0", 99.96: "100", 0.9996: "1.00", -2.345: "-2.35", 0: "0"} {
		if got := FormatThree(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

// metered is a phase with power and the answer that rests on it.
func metered(devices int, mean power.Power) (TierResult, Phase) {
	p := ScopePower{Scope: power.Accelerator, Mean: mean, Energy: mean.Over(testWindow.Length()), Coverage: 1, Valid: true, Uncertainty: power.Uncertainty{Gain: 0.025}}
	for range devices {
		p.Devices = append(p.Devices, "GPU")
	}
	phase := Phase{PhaseFacts: testFacts(), Requests: 1000, Failures: map[Failure]int{FailStatus: 10, Cancelled: 3}, Trajectories: 50, Power: []ScopePower{p}}
	phase.Tokens = Tokens{Prompt: 3_000_000, Cached: 2_000_000, Output: 500_000}
	return TierResult{Agents: 100, FirstFail: 101, SpreadLow: 100, SpreadHigh: 100, Complete: true, Monotone: true, Phase: 1}, phase
}

// METHOD 1's check of scale, from published results.
func TestScaleCheck(t *testing.T) {
	r, phase := metered(32, 32*937*power.Watt)
	r.Agents, r.FirstFail, r.SpreadLow, r.SpreadHigh = 1840, 1841, 1840, 1840
	f := Figures(r, phase, System{Accelerators: 32, Systems: 1}, false)[0]
	if got := FormatPerMegawatt(f.AgentsPerMegawatt) + " agents/MW @" + string(f.Scope); got != "61.4 K agents/MW @accelerator" {
		t.Errorf("got %s", got)
	}
	if got := FormatThree(f.PerAccelerator) + " per accelerator"; got != "57.5 per accelerator" {
		t.Errorf("got %s", got)
	}
	if got := FormatPerMegawatt(PerMegawatt(1.4, 540*power.Watt)); got != "2,593" {
		t.Errorf("1.4 at 540 W: got %s", got)
	}
}

func TestFigureNumbers(t *testing.T) {
	r, phase := metered(8, 5*power.Kilowatt)
	f := Figures(r, phase, System{Accelerators: 8, Systems: 2, TDP: 700 * power.Watt}, false)[0]
	want := map[string][2]float64{
		"agents/MW":         {f.AgentsPerMegawatt, 20_000},
		"per accelerator":   {f.PerAccelerator, 12.5},
		"per system":        {f.PerSystem, 50},
		"W per agent":       {f.WattsPerAgent, 50},
		"J per token":       {f.JoulesPerToken, 1},
		"J per turn":        {f.JoulesPerTurn, 500_000. / 990},
		"J per trajectory":  {f.JoulesPerTrajectory, 10_000},
		"J per fresh":       {f.JoulesPerFresh, 0.5},
		"J per cached":      {f.JoulesPerCached, 0.25},
		"tokens per second": {f.TokensPerSecond, 5000},
		"nameplate":         {f.Nameplate, 100 / 0.0056},
		"bracket":           {f.Uncertainty.Bracket, 0.01 / math.Sqrt(12)},
		"low":               {f.Low, 20_000 * (1 - f.Uncertainty.Expanded())},
		"high":              {f.High, 20_000 * (1 + f.Uncertainty.Expanded())},
	}
	for name, v := range want {
		if math.Abs(v[0]-v[1]) > 1e-9*v[1] {
			t.Errorf("%s: got %v, want %v", name, v[0], v[1])
		}
	}
	if f.Standing != Valid || len(f.Reasons) > 0 || f.Simulated {
		t.Errorf("standing %s, %q, simulated %v", f.Standing, f.Reasons, f.Simulated)
	}
	if e := f.Uncertainty.Expanded(); math.Abs(e-2*math.Hypot(0.025, 0.01/math.Sqrt(12))) > 1e-12 {
		t.Errorf("expanded uncertainty %v", e)
	}
}

func TestStandings(t *testing.T) {
	tests := []struct {
		name   string
		change func(*TierResult, *Phase)
		want   Standing
		reason string
	}{
		{"all well", func(*TierResult, *Phase) {}, Valid, ""},
		{"none passed", func(r *TierResult, _ *Phase) { r.Agents = 0 }, InvalidValue, "no number of agents met the tier"},
		{"device missing", func(_ *TierResult, p *Phase) { p.Power[0].Valid, p.Power[0].Missing = false, []string{"GPU-3"} }, InvalidValue, "GPU-3"},
		{"fewer metered than stated", func(_ *TierResult, p *Phase) { p.Power[0].Devices = p.Power[0].Devices[1:] }, InvalidValue, "8 accelerators are stated, 7 are metered"},
		{"more metered than stated", func(_ *TierResult, p *Phase) { p.Power[0].Devices = append(p.Power[0].Devices, "x") }, Degraded, "9 are metered"},
		{"not finished", func(r *TierResult, _ *Phase) { r.Complete = false }, Degraded, "did not come to its end"},
		{"no fail", func(r *TierResult, _ *Phase) { r.FirstFail = 0 }, Degraded, "lower bound"},
		{"contradiction", func(r *TierResult, _ *Phase) { r.Monotone = false }, Degraded, "contradict"},
		{"clock", func(_ *TierResult, p *Phase) {
			p.Power[0].Warnings = []power.Warning{{Code: ClockFree, Detail: "clock of host x"}}
		}, Degraded, "clock of host x"},
		{"reset", func(_ *TierResult, p *Phase) {
			p.Power[0].Warnings = []power.Warning{{Code: power.Reset, Detail: "backward"}}
		}, Degraded, "backward"},
		{"default accuracy", func(_ *TierResult, p *Phase) { p.Power[0].Warnings = []power.Warning{{Code: power.AccuracyFree}} }, Valid, ""},
	}
	for _, tt := range tests {
		r, phase := metered(8, 5*power.Kilowatt)
		tt.change(&r, &phase)
		f := Figures(r, phase, System{Accelerators: 8}, false)[0]
		reasons := strings.Join(f.Reasons, "; ")
		if f.Standing != tt.want || !strings.Contains(reasons, tt.reason) || tt.reason == "" && reasons != "" {
			t.Errorf("%s: got %s, %q; want %s, %q", tt.name, f.Standing, reasons, tt.want, tt.reason)
		}
		if (f.AgentsPerMegawatt == 0) != (tt.want == InvalidValue) || f.Standing == InvalidValue && (f.High != 0 || f.MeanPower != 0 || f.WattsPerAgent != 0) {
			t.Errorf("%s: an invalid figure has a number, or a standing one has none: %+v", tt.name, f)
		}
	}
}

func TestFiguresMarkSimulation(t *testing.T) {
	for _, tt := range []struct{ endpoint, meter bool }{{true, false}, {false, true}, {true, true}} {
		r, phase := metered(8, 5*power.Kilowatt)
		phase.Power[0].Simulated = tt.meter
		if f := Figures(r, phase, System{}, tt.endpoint)[0]; !f.Simulated {
			t.Errorf("%+v: not marked", tt)
		}
	}
}

func TestFiguresOnlyOfHeadlineScopes(t *testing.T) {
	r, phase := metered(1, power.Kilowatt)
	for _, s := range []power.Scope{power.CPU, power.Memory, power.Component, power.Node} {
		p := phase.Power[0]
		p.Scope = s
		phase.Power = append(phase.Power, p)
	}
	var got []power.Scope
	for _, f := range Figures(r, phase, System{}, false) {
		got = append(got, f.Scope)
	}
	if !slices.Equal(got, []power.Scope{power.Accelerator, power.Node}) {
		t.Errorf("got %v", got)
	}
}

func TestBracketOfN(t *testing.T) {
	tests := []struct {
		r    TierResult
		want float64
	}{
		{TierResult{Agents: 100, FirstFail: 101, SpreadLow: 100, SpreadHigh: 100}, 1},
		{TierResult{Agents: 100, FirstFail: 103, SpreadLow: 100, SpreadHigh: 100}, 3},
		{TierResult{Agents: 100, FirstFail: 101, SpreadLow: 90, SpreadHigh: 104}, 14},
		{TierResult{Agents: 100, SpreadLow: 100, SpreadHigh: 100}, 0},
		{TierResult{FirstFail: 1}, 0},
	}
	for _, tt := range tests {
		if got := bracket(tt.r) * math.Sqrt(12) * 100; math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%+v: %v agents wide, want %v", tt.r, got, tt.want)
		}
	}
}
