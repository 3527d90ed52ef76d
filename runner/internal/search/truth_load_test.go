package search

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/simulate"
	"agentwatt/runner/internal/simulate/model"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// sessions describes a small data set of agent sessions.
type sessions struct {
	count        int
	turns        [2]int // fewest and most of a session
	system, more [2]int // bytes of the system prompt, and of what each turn adds to the history
	output       [2]int // recorded output tokens
}

// make writes the sessions in the native format and reads them back.
func (s sessions) make(t testing.TB) []*trajectory.Trajectory {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	between := func(b [2]int) int { return b[0] + r.IntN(b[1]-b[0]+1) }
	text := func(n int) string {
		var b strings.Builder
		for b.Len() < n {
			fmt.Fprintf(&b, "%x ", r.Uint64())
		}
		return b.String()[:n]
	}
	var file strings.Builder
	row := func(v any) {
		line, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		file.Write(append(line, '\n'))
	}
	type object = map[string]any
	row(object{"agentwatt_trajectories": 1, "name": "truth", "license": "Apache-2.0", "source": "made for a test"})
	tools := []object{{"type": "function", "function": object{"name": "bash", "description": text(300)}}}
	system := text(between(s.system))
	for i := range s.count {
		turns := between(s.turns)
		for k := range turns {
			turn := object{"trajectory": fmt.Sprint("s", i), "turn": k, "output_tokens": between(s.output)}
			added := object{"role": "user", "content": text(between(s.more))}
			if k == 0 {
				turn["messages"] = []object{{"role": "system", "content": system}, added}
				if i%4 != 3 { // some sessions have no tools
					turn["tools"] = tools
				}
			} else {
				turn["messages"] = []object{{"role": "assistant", "content": text(between(s.more) / 4)}, added}
			}
			if k < turns-1 {
				turn["calls"] = []object{{"tool": "bash", "seconds": float64(r.IntN(4)) / 4}}
			}
			row(turn)
		}
	}
	d, err := trajectory.Read(strings.NewReader(file.String()), "truth.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return d.Trajectories
}

// player plays an agent's part of a plan to the model, as the endpoint client in output mode exact sends it.
type player struct {
	plan             agent.Plan
	slot, play, turn int
	now              trajectory.Play
	limit            func(trajectory.Turn) int
}

// modelled returns the first n agents of a plan as the model sees them, spawned one every interval. Their plays follow the
// plan alone, so the model knows what will be sent without sending it.
func modelled(plan agent.Plan, limit func(trajectory.Turn) int, n int, interval time.Duration) []model.Agent {
	var list []model.Agent
	for slot := range n {
		p := &player{plan: plan, slot: slot, play: -1, limit: limit}
		p.begin(plan.StartTurn(slot, 0))
		list = append(list, model.Agent{Spawn: time.Duration(slot) * interval, Next: p.next})
	}
	return list
}

func (p *player) begin(turn int) {
	p.play++
	p.turn = turn
	p.now = p.plan.Play(p.slot, p.play)
}

func (p *player) next() (model.Request, bool) {
	r := asked(p.now, p.turn, p.limit)
	r.Wait, _ = p.plan.Wait(p.slot, p.play, 0, p.turn)
	if p.turn++; p.turn == len(p.now.Turns) {
		p.begin(0)
	}
	return r, true
}

// asked returns the request of one turn.
func asked(p trajectory.Play, k int, limit func(trajectory.Turn) int) model.Request {
	pieces, turn := p.Pieces(k), p.Turns[k]
	r := model.Request{Prompt: [][]byte{turn.Tools, pieces[0], pieces[1], pieces[2]}, Limit: limit(turn)}
	if turn.Output > 0 {
		r.Least = r.Limit
	}
	return r
}

// system is a simulated engine behind HTTP on connections in memory, with a client. It lives in a synctest bubble.
type system struct {
	server  *simulate.Server
	history *simulate.History
	start   clock.Stamp // of the engine; the model's zero
	clock   *clock.Clock
	client  *endpoint.Client
	engine  *endpoint.Engine
	pipe    *simulate.Listener
	stop    func() // ends the server and waits for it
}

func serve(t testing.TB, p simulate.Params) *system {
	t.Helper()
	s := &system{history: &simulate.History{}, clock: clock.New(), pipe: simulate.Pipe()}
	s.start = s.clock.Now()
	var err error
	if s.server, err = simulate.New(p, simulate.Options{History: s.history}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.server.Serve(ctx, s.pipe); err != nil {
			t.Error(err)
		}
	})
	s.client, err = endpoint.New(endpoint.Options{
		URL: "http://simulated/v1", Model: "simulated/engine", Output: endpoint.Exact, Cap: 64,
		Dial: s.pipe.DialContext, Clock: s.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.engine, err = s.client.Engine(1); err != nil {
		t.Fatal(err)
	}
	s.stop = func() {
		s.engine.Close()
		cancel()
		wg.Wait()
	}
	return s
}

// at converts a time of the model's to the run's clock.
func (s *system) at(d time.Duration) clock.Stamp { return s.start.Add(d) }
