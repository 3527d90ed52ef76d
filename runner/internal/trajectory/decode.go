package trajectory

import "fmt"

// DecodeOnly returns the trajectory with prompts of a few words: its answers, tool times and sub-agents are as they were, its messages
// are not. What a system takes for it is nearly all the writing of answers.
func DecodeOnly(t *Trajectory) (*Trajectory, error) {
	b := newBuilder(t.ID, t.Origin, Limits{})
	for k, turn := range t.Turns {
		if k > 0 {
			if err := b.add([]byte(`{"role":"assistant","content":"Yes."}`)); err != nil {
				return nil, err
			}
		}
		if err := b.add([]byte(`{"role":"user","content":"Go on."}`)); err != nil {
			return nil, err
		}
		turn.Tools, turn.Prompt = nil, 0
		if err := b.turn(turn); err != nil {
			return nil, err
		}
	}
	short, err := b.done()
	if err != nil {
		return nil, fmt.Errorf("shorten the prompts of trajectory %q: %w", t.ID, err)
	}
	for _, s := range t.Subagents {
		if s.Trajectory, err = DecodeOnly(s.Trajectory); err != nil {
			return nil, err
		}
		short.Subagents = append(short.Subagents, s)
	}
	return short, nil
}
