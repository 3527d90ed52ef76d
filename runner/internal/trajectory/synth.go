package trajectory

import (
	"fmt"
	"strings"
)

// SynthOptions say what Synth makes.
type SynthOptions struct {
	Seed         uint64
	Trajectories int    // 0: what the profile has
	Profile      string // AgentPerf (also if empty) or Demo
}

// The profiles of Synth.
const (
	AgentPerf = "agentperf" // the shape of METHOD 2: inputs of 1K to 131K tokens, 27K in the mean
	Demo      = "demo"      // short sessions with short answers: a search over them takes seconds
)

// bytesPerToken is the estimate behind every token count of a generated data set. The simulated engine counts the same way.
const bytesPerToken = 4

// profile is the shape of a generated data set. Sizes are in tokens, estimated.
type profile struct {
	trajectories int
	rules        int       // sentences in the system prompt
	files        quantiles // of the made-up repository
	task         quantiles // the user's request
	turns        quantiles // per trajectory; fewer where the context is full
	output       quantiles // of one answer: reasoning, text and tool calls
	result       quantiles // of one tool result, before growth
	growth       quantiles // per trajectory, percent: some sessions read much, some little
	context      int       // longest input
	quick, slow  quantiles // milliseconds of tools that look at files, and of those that run programs
}

// profileOf returns the profile of that name; ok is false if there is none.
//
// The outputs are those of METHOD 2 (median about 150, P95 about 2K). Turns and growth were then chosen so that the mean
// input is about 27K with about 38 turns per trajectory, as the public set has (agentperf.md 1.2). TestSynthShape holds them.
func profileOf(name string) (p profile, ok bool) {
	switch name {
	case AgentPerf, "":
		return profile{
			trajectories: 100, rules: 100,
			files:   quantiles{{0, 8}, {500, 18}, {1000, 40}},
			task:    quantiles{{0, 60}, {500, 400}, {900, 1500}, {1000, 5000}},
			turns:   quantiles{{0, 4}, {100, 16}, {250, 24}, {500, 34}, {750, 46}, {900, 60}, {970, 90}, {1000, 200}},
			output:  quantiles{{0, 24}, {100, 50}, {250, 85}, {500, 150}, {750, 370}, {900, 1050}, {950, 2000}, {990, 4000}, {1000, 8000}},
			result:  quantiles{{0, 10}, {250, 90}, {500, 260}, {750, 600}, {900, 1300}, {1000, 3000}},
			growth:  quantiles{{0, 40}, {500, 125}, {1000, 230}},
			context: 131072,
			quick:   quantiles{{0, 100}, {500, 600}, {900, 1200}, {1000, 2000}},
			slow:    quantiles{{0, 200}, {500, 1500}, {900, 3500}, {1000, 5000}},
		}, true
	case Demo:
		return profile{
			trajectories: 40, rules: 9,
			files:   quantiles{{0, 5}, {1000, 9}},
			task:    quantiles{{0, 100}, {1000, 300}},
			turns:   quantiles{{0, 4}, {1000, 8}},
			output:  quantiles{{0, 24}, {500, 36}, {1000, 58}},
			result:  quantiles{{0, 100}, {500, 350}, {1000, 1000}},
			growth:  quantiles{{0, 60}, {1000, 140}},
			context: 6000,
			quick:   quantiles{{0, 100}, {1000, 200}},
			slow:    quantiles{{0, 150}, {1000, 300}},
		}, true
	}
	return profile{}, false
}

// Synth generates a data set. Equal options give equal bytes, on every machine. Its token counts are estimates, at 4 bytes per token
// of the request's JSON; the source line of the data set says so. Nil: there is no such profile.
func Synth(o SynthOptions) *Dataset {
	p, ok := profileOf(o.Profile)
	if !ok {
		return nil
	}
	if o.Profile == "" {
		o.Profile = AgentPerf
	}
	if o.Trajectories <= 0 {
		o.Trajectories = p.trajectories
	}
	d := &Dataset{
		Name:    "synth-" + o.Profile,
		License: "Apache-2.0",
		Source: fmt.Sprintf("generated: profile %s, seed %d, %d trajectories; token counts are estimated at %d bytes per token",
			o.Profile, o.Seed, o.Trajectories, bytesPerToken),
	}
	system := "You are a coding agent. " + strings.Join(rules()[:min(p.rules, len(rules()))], " ")
	tools := synthTools(o.Profile == Demo)
	for i, lang := range deal(newDice(o.Seed, 0), o.Trajectories) {
		s := newScene(newDice(o.Seed, uint64(i)+1), p, lang)
		d.Trajectories = append(d.Trajectories, s.play(fmt.Sprintf("synth-%04d", i), system, tools))
	}
	d.seal()
	return d
}

// deal gives each of n trajectories its language: every language once, in random order, as far as n goes; then by weight.
func deal(d dice, n int) []language {
	all := languages()
	sum := 0
	for _, l := range all {
		sum += l.weight
	}
	hand := make([]language, 0, n)
	deck := languages()
	for len(hand) < n {
		if len(deck) > 0 {
			i := d.below(len(deck))
			hand = append(hand, deck[i])
			deck = append(deck[:i], deck[i+1:]...)
			continue
		}
		u := d.below(sum)
		i := 0
		for ; u >= all[i].weight; i++ {
			u -= all[i].weight
		}
		hand = append(hand, all[i])
	}
	return hand
}
