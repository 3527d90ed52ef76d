package search

import (
	"cmp"
	"slices"
	"sync"
	"testing"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/simulate"
	"agentwatt/runner/internal/simulate/model"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
	gocmp "github.com/google/go-cmp/cmp"
)

// sent is what all lanes of a run sent, and what came back.
type sent struct {
	mu    sync.Mutex
	turns []sentTurn
}

type sentTurn struct {
	play  trajectory.Play
	turn  int
	reply bench.Reply
}

// loggedLane notes what it carries. Records of requests that span two phases are not in the run directory; here they are.
type loggedLane struct {
	agent.Lane
	sent *sent
}

func (l *loggedLane) Send(due clock.Stamp, p trajectory.Play, k int, done func(bench.Reply)) {
	l.Lane.Send(due, p, k, func(r bench.Reply) {
		if r.WriteBegin != 0 {
			l.sent.mu.Lock()
			l.sent.turns = append(l.sent.turns, sentTurn{p, k, r})
			l.sent.mu.Unlock()
		}
		done(r)
	})
}

// replay gives the model the same requests at the same times and checks that every one of them was answered as the model
// says: through ramps, shrinking fleets and requests that were cut off.
func (s *sent) replay(t *testing.T, sys *system, p simulate.Params) *model.Course {
	t.Helper()
	slices.SortFunc(s.turns, func(a, b sentTurn) int {
		return cmp.Or(cmp.Compare(a.reply.WriteBegin, b.reply.WriteBegin), cmp.Compare(a.play.Salt, b.play.Salt))
	})
	var load []model.Agent
	want := make([]answer, len(s.turns))
	for i, x := range s.turns {
		r := asked(x.play, x.turn, sys.client.Cap)
		if x.reply.Failure != "" {
			r.Quit = x.reply.Done.Sub(sys.start)
		}
		load = append(load, once(x.reply.WriteBegin.Sub(sys.start), r))
		want[i] = seen(sys, bench.Record{Agent: i, Reply: x.reply})
	}
	course := model.Run(p, load, sys.clock.Now().Sub(sys.start))
	bad := 0
	for _, r := range course.Requests {
		got := answer{r.Agent, r.Arrived, r.First, r.Last, r.Prompt, r.Cached, r.Output, r.FirstTokens}
		if s.turns[r.Agent].reply.Failure == bench.Cancelled {
			continue
		}
		if d := gocmp.Diff(want[r.Agent], got); d != "" && bad < 3 {
			bad++
			t.Errorf("turn %d of %s at %v, failure %q (-engine +model):\n%s", s.turns[r.Agent].turn, s.turns[r.Agent].play.ID, r.Arrived, s.turns[r.Agent].reply.Failure, d)
		}
	}
	if len(course.Requests) != len(s.turns) {
		t.Errorf("%d requests, the model saw %d", len(s.turns), len(course.Requests))
	}
	sameEnergy(t, sys, course)
	return course
}

// once is an agent with one request.
func once(at time.Duration, r model.Request) model.Agent {
	asked := false
	return model.Agent{Spawn: at, Next: func() (model.Request, bool) {
		first := !asked
		asked = true
		return r, first
	}}
}
