package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// saveConfig keeps the experiment as it was asked for, as a file that -c takes.
func (r *session) saveConfig() error {
	data, err := yaml.Marshal(r.config.withoutSecrets())
	if err != nil {
		return fmt.Errorf("encode config/experiment.yaml: %w", err)
	}
	return r.dir.WriteFile(filepath.Join("config", "experiment.yaml"), data)
}

// withoutSecrets leaves out what may be secret: the values of headers.
func (c config) withoutSecrets() config {
	kept := map[string]string{}
	for name := range c.Headers {
		kept[name] = "(not kept)"
	}
	c.Headers = kept
	return c
}

// How much of the assignment is written out; all of it follows from the seed and the order of the trajectories.
const (
	assignedAgents = 256
	assignedPlays  = 8
)

// assignment is config/assignment.json: which trajectories the agents play, in order, and where the first play begins.
type assignment struct {
	Seed         uint64   `json:"seed"`
	Trajectories []string `json:"trajectories"`
	Agents       [][]int  `json:"agents"`      // by agent: indices into Trajectories of the first plays
	StartTurns   []int    `json:"start_turns"` // by agent: turn at which its first play begins
}

// saveAssignment exports the assignment (METHOD 2).
func (r *session) saveAssignment() error {
	a := assignment{Seed: r.plan.Seed}
	for _, t := range r.plan.Trajectories {
		a.Trajectories = append(a.Trajectories, t.ID)
	}
	for agent := range min(assignedAgents, r.exp.Profile.MaxAgents) {
		var plays []int
		for play := range assignedPlays {
			plays = append(plays, r.plan.Assigned(agent, play))
		}
		a.Agents = append(a.Agents, plays)
		a.StartTurns = append(a.StartTurns, r.plan.StartTurn(agent, 0))
	}
	return r.save("assignment.json", a)
}

func (r *session) save(name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode config/%s: %w", name, err)
	}
	return r.dir.WriteFile(filepath.Join("config", name), append(data, '\n'))
}
