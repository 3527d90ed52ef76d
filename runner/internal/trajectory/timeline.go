package trajectory

import (
	"slices"
	"time"
)

// interval is when a request was sent and when its answer was complete.
type interval struct{ start, end time.Time }

// timeline is the requests of a conversation, in order.
type timeline []interval

// place returns where a conversation that ran from start to end hangs on this one: the turn whose answer it starts after, -1 for
// none, and the first later turn that was sent after its end, the number of turns for none. The delay is the time from
// that answer, or from the first request, to its start.
func (l timeline) place(start, end time.Time) (fork int, delay time.Duration, join int) {
	fork = -1
	for k, r := range l {
		if !r.end.After(start) {
			fork = k
		}
	}
	from := l[0].start
	if fork >= 0 {
		from = l[fork].end
	}
	join = len(l)
	for k := len(l) - 1; k > fork && !l[k].start.Before(end); k-- {
		join = k
	}
	return fork, clamp(start.Sub(from)), join
}

// clamp brings a recorded time into the bounds of the format.
func clamp(d time.Duration) time.Duration {
	const most = time.Duration(maxSeconds * 1e9)
	return min(max(d, 0), most)
}

// ran is a tool execution within the time between an answer and the next request.
type ran struct {
	tool string
	took time.Duration
}

// ranAt is one of which the end is known.
type ranAt struct {
	ended time.Time
	ran
}

// between returns the tools that ended in this time.
func between(tools []ranAt, from, to time.Time) (some []ran) {
	for _, t := range tools {
		if t.ended.After(from) && !t.ended.After(to) {
			some = append(some, t.ran)
		}
	}
	return some
}

// spent returns what took the time from an answer to the next request, of which these tools are known: the tools, and a pause for
// the rest. Tools that took longer than there was ran at
// the same time, or began before the end of the answer.
func (g *gather) spent(gap time.Duration, tools []ran) []Call {
	gap = clamp(gap)
	if len(tools) == 0 {
		return []Call{{Duration: g.pause(gap)}}
	}
	names := make([]string, len(tools))
	calls := make([]Call, len(tools))
	var sum time.Duration
	for i, r := range tools {
		names[i], calls[i] = r.tool, Call{Tool: r.tool, Duration: clamp(r.took)}
		sum += calls[i].Duration
	}
	switch {
	case sum > gap:
		g.report.note("tool calls took longer than the time from the answer to the next request (they ran side by side, or began before its end): they share that time")
		return share(gap, names)
	case sum < gap:
		calls = append(calls, Call{Duration: g.pause(gap - sum)})
	}
	return calls
}

// woven is a conversation of a recording that says when requests were sent, and not which one started which.
type woven struct {
	t    *Trajectory
	line timeline
}

// weave makes a tree of conversations: the first to begin is the main one. A conversation is taken to be started by the answer
// that came last before it; the first request of the answered conversation that came after its end is taken to wait for it.
func (g *gather) weave(all []woven) (*Trajectory, error) {
	if len(all) == 0 {
		return nil, errNoTurn
	}
	slices.SortStableFunc(all, func(a, b woven) int { return a.line[0].start.Compare(b.line[0].start) })
	for i, c := range all[1:] {
		begins, ends := c.line[0].start, c.line[len(c.line)-1].end
		parent, latest := all[0], time.Time{}
		waits := 0 // answers that came before it and that nothing else waited for
		for _, other := range all[:i+1] {
			if fork, _, _ := other.line.place(begins, ends); fork >= 0 && other.line[fork].end.After(latest) {
				parent, latest = other, other.line[fork].end
			}
			if last := other.line[len(other.line)-1].end; !last.After(begins) {
				waits++
			}
		}
		if waits > 1 {
			g.report.note("a conversation that began after the ends of several waits for the one that ended last only")
		}
		fork, delay, join := parent.line.place(begins, ends)
		parent.t.adopt(Subagent{Trajectory: c.t, Fork: fork, Delay: delay.Round(time.Microsecond), Join: join})
	}
	t := all[0].t
	return t, t.checkTree(g.limits.trajectory())
}
