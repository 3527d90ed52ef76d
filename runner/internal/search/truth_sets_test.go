package search

import (
	"testing"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/simulate"
	"agentwatt/runner/internal/simulate/model"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/power"
)

// truthSet is an engine and a load whose capacity is known, and three tiers.
type truthSet struct {
	name     string
	params   simulate.Params
	sessions sessions
	tools    agent.ToolTime
	tiers    []model.Tier
	known    []int // the capacity of each: what the model says, see truthSet.levels
}

// slow returns a preset in slow motion: everything takes ten times as long at the same power, so that an hour of load
// has a tenth of the tokens.
func slow(preset string) simulate.Params {
	const factor = 10
	p, err := simulate.Preset(preset)
	if err != nil {
		panic(err)
	}
	for _, d := range []*time.Duration{&p.StepBase, &p.StepPerSequence, &p.StepPerKilotoken, &p.DraftCost} {
		*d *= factor
	}
	for _, e := range []*power.Energy{&p.StepEnergy, &p.DecodeEnergy, &p.PrefillEnergy} {
		*e *= factor
	}
	p.PrefillRate /= factor
	return p
}

// tiers returns three tiers of a speed in tokens per second and a time to first token in seconds.
func tiers(limits ...float64) (list []model.Tier) {
	for i, name := range []string{"fast", "middle", "slow"} {
		list = append(list, model.Tier{Name: name, Speed: limits[2*i], TTFT: limits[2*i+1]})
	}
	return list
}

func truthSets() []truthSet {
	tools := agent.ToolTime{Mode: agent.Sampled, Default: agent.Distribution{Median: time.Second, Sigma: 0.4, Min: 100 * time.Millisecond, Max: 5 * time.Second}}
	chat := sessions{count: 12, turns: [2]int{2, 4}, system: [2]int{1500, 1500}, more: [2]int{500, 1000}, output: [2]int{8, 14}}
	prefill := slow("prefill-bound")
	prefill.PrefillRate, prefill.PrefillBudget = 2000, 128
	cached := slow("cache-bound")
	cached.CacheTokens, cached.MaxContext = 1<<14, 1<<14
	return []truthSet{
		{"decode-bound", slow("decode-bound"), chat, tools, tiers(18.6, 5, 10.85, 5, 6.3, 5), []int{4, 9, 16}},
		{"prefill-bound", prefill, chat, tools, tiers(4, 0.8, 4, 1.36, 4, 3.2), []int{4, 8, 15}},
		{"cache-bound", cached, chat, tools, tiers(12.7, 5, 6.55, 5, 4.05, 5), []int{4, 9, 14}},
		{"speculative", slow("speculative"), chat, tools, tiers(14.45, 5, 8.95, 5, 5.85, 5), []int{4, 9, 15}},
		closedForm(),
	}
}

// closedForm is a load so simple that its capacity follows from the closed form as well: equal contexts, prompts that cost
// nothing, no tool time. All agents decode all the time but for one step of each answer.
func closedForm() truthSet {
	const prompt, output = 500, 60 // tokens; the prompt within a few
	p := slow("decode-bound")
	p.PrefillRate = 1e9
	s := truthSet{
		name: "closed form", params: p, tools: agent.ToolTime{Mode: agent.NoTools},
		sessions: sessions{count: 4, turns: [2]int{1, 1}, system: [2]int{1000, 1000}, more: [2]int{400, 400}, output: [2]int{output, output}},
	}
	var limits []float64
	for _, n := range []int{3, 7, 12} {
		floor := (simulate.DecodeSpeed(p, n, prompt+output/2) + simulate.DecodeSpeed(p, n+1, prompt+output/2)) / 2
		limits = append(limits, floor, 5)
		s.known = append(s.known, simulate.DecodeCapacity(p, floor, prompt+output/2))
	}
	s.tiers = tiers(limits...)
	return s
}

// truthProfile has the rules of METHOD 4 and 5 with short times.
func truthProfile() bench.Profile {
	return bench.Profile{
		Name: "truth", Spawn: 8, StartTurns: 3, Hold: 5 * time.Second, Settle: 10 * time.Second, MinWindow: shortestWindow,
		MinTrajectories: 30, MinPerAgent: 3, Timeout: 10 * time.Minute, Extend: 1.5, MaxAgents: 24, Step: 1, Relative: 0.02, Retests: retests,
	}
}

func (s truthSet) plan(t *testing.T) agent.Plan {
	return agent.Plan{
		Trajectories: s.sessions.make(t), Seed: 1, Run: "truth of " + s.name, StartTurns: truthProfile().StartTurns,
		Tools: s.tools,
	}
}

// levels runs the model at every number of agents up to most, and checks the capacities that the set states: no N beyond
// may meet a tier, none up to it may miss it.
func (s truthSet) levels(t *testing.T, plan agent.Plan) []model.Level {
	t.Helper()
	load := func(n int) []model.Agent {
		return modelled(plan, func(u trajectory.Turn) int { return u.Output }, n, 125*time.Millisecond)
	}
	levels := model.Levels(s.params, load, model.Window{Begin: time.Minute, End: knownWindow}, mostKnown)
	for i, tier := range s.tiers {
		if e, want := model.Capacity(levels, tier), (model.Edge{Sure: s.known[i], Most: s.known[i]}); e != want && len(levels) > s.known[i] {
			t.Errorf("tier %s: by the model every N up to %d meets it and none above %d; the set says %d", tier.Name, e.Sure, e.Most, s.known[i])
		}
	}
	return levels
}
