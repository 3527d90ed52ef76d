package bench

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplay(t *testing.T) {
	var asked []Ask
	probe := func(_ context.Context, a Ask) (Phase, error) {
		asked = append(asked, a)
		if len(asked) == 3 {
			return Phase{}, errors.New("x")
		}
		return Phase{}, nil
	}
	if err := Replay(t.Context(), Fixed{Agents: 7, Windows: 2}, probe); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]Ask{{Agents: 7, Purpose: FixedPurpose}, {Agents: 7, Purpose: FixedPurpose}}, asked); diff != "" {
		t.Error(diff)
	}
	if err := Replay(t.Context(), Fixed{Agents: 7, Windows: 2}, probe); err == nil || err.Error() != "replay, window 1: x" {
		t.Error(err)
	}
}

func TestConcludeReplay(t *testing.T) {
	tier := Tier{Name: "a"}
	phase := func(o Outcome, c Confidence) Phase {
		return Phase{Verdicts: []Verdict{{Tier: "a", Outcome: o, Confidence: c}}}
	}
	phases := []Phase{phase(Pass, Confident), phase(Fail, Confident), phase(Invalid, Undecided), phase(Pass, Confident)}
	got := concludeReplay(Fixed{Agents: 3, Windows: 5}, []Tier{tier}, phases)
	want := []TierResult{{Tier: tier, Fixed: &Tried{Agents: 3, Passed: 2, Failed: 1, Invalid: 1}, Monotone: true, Confidence: Undecided, Retests: []Retest{}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
