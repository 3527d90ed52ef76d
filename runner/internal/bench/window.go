package bench

import (
	"time"

	"agentwatt/shared/clock"
)

// Window is the half-open interval [Begin, End) in which a phase is measured, on the runner's clock.
type Window struct {
	Begin clock.Stamp `json:"begin_unix_nanos"`
	End   clock.Stamp `json:"end_unix_nanos"`
}

// Length returns the window's length; zero for a window that never was.
func (w Window) Length() time.Duration { return max(0, w.End.Sub(w.Begin)) }

// Holds reports whether a request belongs to the window: by its start, whenever it ends (METHOD 4).
func (w Window) Holds(r Record) bool { return w.Begin <= r.Start() && r.Start() < w.End }

// Window returns the phase's window; the zero Window if it never began.
func (f PhaseFacts) Window() Window {
	if f.WindowBegin == 0 || f.WindowEnd <= f.WindowBegin {
		return Window{}
	}
	return Window{f.WindowBegin, f.WindowEnd}
}

// WindowBegins returns when the window of a phase begins: when all N agents have been active for the profile's hold and
// its settling time since Begin has passed, whichever is later. Zero while not all agents are active.
func WindowBegins(f PhaseFacts, p Profile) clock.Stamp {
	if f.Full == 0 {
		return 0
	}
	return max(f.Full.Add(p.Hold), f.Begin.Add(p.Settle))
}

// StopRule reports whether a window that began at begin may end now: it is long enough, enough trajectories were completed
// in it, and each agent has completed its share. completed counts by agent and has one entry for each of the N agents.
func StopRule(p Profile, begin, now clock.Stamp, completed []int) bool {
	if begin == 0 || now.Sub(begin) < p.MinWindow {
		return false
	}
	sum := 0
	for _, c := range completed {
		if c < p.MinPerAgent {
			return false
		}
		sum += c
	}
	return sum >= p.MinTrajectories
}

// TimedOut reports whether a phase has used up its time. A window that meets the stop rule in the same moment has not.
func TimedOut(f PhaseFacts, p Profile, now clock.Stamp) bool { return now.Sub(f.Begin) >= p.Timeout }

// Extend reports whether a window that met the stop rule at stopped goes on: a tier that matters is still undecided, and
// neither the profile's cap nor the timeout is reached. verdicts are those of an evaluation with the records so far.
func Extend(f PhaseFacts, p Profile, stopped, now clock.Stamp, verdicts []Verdict) bool {
	longest := time.Duration(float64(stopped.Sub(f.WindowBegin)) * p.Extend)
	if now.Sub(f.WindowBegin) >= longest || TimedOut(f, p, now) {
		return false
	}
	for _, v := range verdicts {
		if v.Outcome != Invalid && v.Outcome != Unjudged && v.Confidence == Undecided {
			return true
		}
	}
	return false
}
