package agent

import (
	"bytes"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// talk is one conversation of a play. All of it is guarded by its agent's lock.
type talk struct {
	a      *agent
	play   trajectory.Play
	number int // in the tree; 0: the main conversation
	parent *talk
	fork   int           // it starts after this turn of the parent; -1: with it
	delay  time.Duration // from there to its first request
	join   int           // the turn of the parent that waits for its end
	subs   []*talk

	lane    Lane
	turn    int // under way, or next
	due     clock.Stamp
	wait    wait
	sending bool         // the turn has been handed to the lane
	rec     bench.Record // of the turn under way, as far as it is known
	sent    int          // bytes of messages sent
	state   talkState
}

type talkState uint8

const (
	unborn  talkState = iota // waits for its fork
	talking                  // its turn is under way
	joining                  // its turn waits for sub-agents
	done
)

// tree makes the conversations of a play in the order of the file: the main one, its sub-agents, each before its own.
func tree(a *agent, play trajectory.Play) (talks []*talk) {
	var add func(t *talk)
	add = func(t *talk) {
		t.a, t.number = a, len(talks)
		talks = append(talks, t)
		for _, s := range t.play.Subagents {
			sub := &talk{parent: t, fork: s.Fork, join: s.Join, delay: s.Delay, play: trajectory.Play{Trajectory: s.Trajectory, Salt: play.Salt, After: play.After}}
			t.subs = append(t.subs, sub)
			add(sub)
		}
	}
	add(&talk{play: play, fork: -1})
	return talks
}

// skip ends a conversation, and what it would have started, before it began.
func (t *talk) skip() {
	t.state = done
	t.a.left--
	for _, s := range t.subs {
		s.skip()
	}
}

// start begins the conversation: its first request is due then.
func (t *talk) start(due clock.Stamp, w wait) {
	t.due, t.wait = due, w
	t.forkAfter(-1, due)
	t.next()
}

// forkAfter starts the sub-agents that follow a turn.
func (t *talk) forkAfter(turn int, at clock.Stamp) {
	for _, s := range t.subs {
		if s.fork == turn && s.state == unborn {
			delay := t.a.plan.Tools.fork(s.delay)
			s.start(at.Add(delay), wait{planned: delay, since: at})
		}
	}
}

// next sends the next turn, or waits for the sub-agents that it has to wait for.
func (t *talk) next() {
	for _, s := range t.subs {
		if s.join <= t.turn && s.state != done {
			t.state = joining
			return
		}
	}
	t.state = talking
	if t.lane == nil {
		t.lane = t.a.lane()
	}
	t.rec = t.record()
	t.sending = true
	t.lane.Send(t.due, t.play, t.turn, t.answered)
}

// answered takes the reply to the turn under way.
func (t *talk) answered(r bench.Reply) {
	a := t.a
	a.mu.Lock()
	t.sending = false
	rec := t.rec
	rec.Reply = r
	if t.wait.since != 0 && rec.WriteBegin != 0 {
		rec.ToolActual = rec.WriteBegin.Sub(t.wait.since)
	}
	a.mu.Unlock()
	if r.Failure != bench.Cancelled || r.WriteBegin != 0 { // else it was never due
		a.emit(rec)
	}
	a.mu.Lock()
	over := t.moveOn(rec)
	a.mu.Unlock()
	if over {
		a.over()
	}
}

// moveOn does what follows a turn. It reports whether the agent has ended with it.
func (t *talk) moveOn(rec bench.Record) bool {
	a := t.a
	t.sent = t.play.Turns[t.turn].End
	w := wait{since: rec.Done}
	w.planned, w.tool = a.plan.Wait(a.slot, a.play, t.number, t.turn)
	if rec.Failure != "" {
		a.broken = true
	}
	t.due, t.wait = rec.Done.Add(w.planned), w
	if !a.broken && !a.closed {
		t.forkAfter(t.turn, rec.Done)
		if t.turn++; t.turn < len(t.play.Turns) {
			t.next()
			return false
		}
	}
	return t.end(rec.Done)
}

// end ends the conversation. It reports whether the agent has ended with it.
func (t *talk) end(at clock.Stamp) bool {
	a := t.a
	t.state = done
	a.left--
	if a.broken || a.closed { // what waits for its time to begin is not begun any more
		for _, other := range a.talks {
			if other.state == unborn || other.state == joining {
				other.state = done
				a.left--
			}
		}
	}
	if p := t.parent; p != nil && p.state == joining {
		p.due = max(p.due, at)
		p.wait.planned = p.due.Sub(p.wait.since)
		p.next()
	}
	if a.left > 0 {
		return false
	}
	main := a.talks[0]
	due, w := main.due, main.wait
	switch {
	case a.broken:
		due, w = at.Add(failureRest), wait{since: at, planned: failureRest}
	case at > due: // a sub-agent was the last
		due, w = at, wait{since: at}
	}
	return a.rest(due, w)
}

// record fills in what is known of the turn before it is sent.
func (t *talk) record() bench.Record {
	turn := t.play.Turns[t.turn]
	return bench.Record{
		Agent: t.a.slot, Play: t.a.play, Trajectory: t.a.talks[0].play.ID, Conversation: t.number, Turn: t.turn, Turns: len(t.play.Turns), Salt: t.play.Salt,
		Sched: t.due, ToolTool: t.wait.tool, ToolPlanned: t.wait.planned,
		Recorded: turn.Output, Requested: t.a.limit(turn), Messages: len(turn.Tools) + turn.End + len(t.play.Salt),
		Shared: t.shared(),
	}
}

// shared returns the bytes of tools and messages that the play has sent before: the longest prefix hit in theory. The tools carry no
// salt: whether other plays share them depends on where the server's template puts them.
func (t *talk) shared() int {
	turn := t.play.Turns[t.turn]
	most := -1
	for _, other := range t.a.talks {
		if other.sent == 0 || other != t && t.sent > 0 || !bytes.Equal(turn.Tools, other.play.Turns[max(other.turn-1, 0)].Tools) {
			continue
		}
		same := min(other.sent, turn.End)
		if other != t {
			same = trajectory.SharedPrefix(t.play.Messages[:same], other.play.Messages[:same])
		}
		most = max(most, same+len(t.play.Salt))
	}
	switch {
	case most >= 0:
		return len(turn.Tools) + most
	case t.sent == 0:
		return len(turn.Tools)
	}
	return 0
}
