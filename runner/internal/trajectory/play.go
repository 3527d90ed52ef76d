package trajectory

// Play is one pass of an agent through a trajectory. Its salt makes it unique to the server's prefix cache: nothing is
// reused from another play, everything is reused between its own turns (METHOD 2, salt).
type Play struct {
	*Trajectory
	Salt  string // plain ASCII without quotes or backslashes; inserted verbatim into a JSON string
	After bool   // insert after the system prompt (shared between agents) instead of before it
}

// Pieces returns the messages of turn k as slices whose concatenation is the salted message list, without brackets.
// The outer slices alias the trajectory and must not be changed. Turn k+1's concatenation begins with turn k's.
func (p Play) Pieces(k int) [3][]byte {
	at := p.SaltBefore
	if p.After {
		at = p.SaltAfter
	}
	end := p.Turns[k].End
	if at > end { // no message to salt yet: cannot happen in a validated trajectory, kept safe
		return [3][]byte{p.Messages[:end]}
	}
	return [3][]byte{p.Messages[:at], []byte(p.Salt), p.Messages[at:end]}
}
