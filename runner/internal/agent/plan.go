// Package agent is the load: one live closed loop per agent (send a turn, drain the answer, wait the tool time, send the
// next), and a fleet of them that grows and shrinks at trajectory boundaries without a drain (METHOD 2 and 5).
package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"time"

	"agentwatt/runner/internal/trajectory"
)

// Plan says what every agent will play. All of it follows from the seed, so that a run can be repeated, except the salts,
// which follow from the run's id, so that a repeated run finds nothing of the first one in a server's cache.
type Plan struct {
	Trajectories []*trajectory.Trajectory // at least one
	Seed         uint64                   //
	Run          string                   // id of this run, unique; the source of the salts
	StartTurns   int                      // an agent's first play begins at a seeded turn below this; 0 or 1: at the first
	SaltAfter    bool                     // salt after the system prompt instead of before it
	Tools        ToolTime                 //
}

// Streams of random numbers that must not depend on each other.
const (
	streamOrder = iota + 1
	streamStart
	streamTool
)

func (p Plan) rng(stream, agent, play, turn int) *rand.Rand {
	return rand.New(rand.NewPCG(p.Seed, uint64(stream)<<60|uint64(agent)<<36|uint64(play)<<14|uint64(turn)))
}

// Assigned returns the index of the trajectory of an agent's play. Each agent goes through seeded permutations of the
// whole set, so that it repeats a trajectory only after all the others.
func (p Plan) Assigned(agent, play int) int {
	n := len(p.Trajectories)
	return p.rng(streamOrder, agent, play/n, 0).Perm(n)[play%n]
}

// StartTurn returns the seeded turn at which the first play of a newly spawned agent begins, so that contexts are not in
// step. Later plays begin at turn 0.
func (p Plan) StartTurn(agent, play int) int {
	most := min(p.StartTurns, len(p.Trajectories[p.Assigned(agent, play)].Turns))
	if most <= 1 {
		return 0
	}
	return p.rng(streamStart, agent, play, 0).IntN(most)
}

// Play returns an agent's play with its salt.
func (p Plan) Play(agent, play int) trajectory.Play {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d/%d", p.Run, agent, play))
	return trajectory.Play{
		Trajectory: p.Trajectories[p.Assigned(agent, play)],
		Salt:       "[agentwatt " + hex.EncodeToString(sum[:12]) + "] ",
		After:      p.SaltAfter,
	}
}

// Wait returns the tool time planned after turn k of a conversation of a play, and the tool it stands for (the longest, if
// several ran). The last turn is followed by nothing.
func (p Plan) Wait(agent, play, conversation, k int) (time.Duration, string) {
	turns := p.Trajectories[p.Assigned(agent, play)].Conversation(conversation).Turns
	if k == len(turns)-1 {
		return 0, ""
	}
	p.Seed += uint64(conversation) * 0x9e3779b97f4a7c15 // tool times of conversations do not depend on each other
	return p.Tools.after(turns[k], p.rng(streamTool, agent, play, k))
}
