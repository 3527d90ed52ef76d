package trajectory

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeOnly(t *testing.T) {
	for _, tr := range Synth(SynthOptions{Seed: 3, Trajectories: 4, Profile: Demo}).Trajectories {
		short, err := DecodeOnly(tr)
		if err != nil {
			t.Fatal(err)
		}
		var want []Turn
		for k, turn := range tr.Turns {
			turn.End, turn.Tools, turn.Prompt = short.Turns[k].End, nil, 0
			want = append(want, turn)
		}
		if diff := cmp.Diff(want, short.Turns); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if n := len(short.Messages); n > 80*len(tr.Turns) {
			t.Errorf("%s: %d bytes of messages for %d turns", tr.ID, n, len(tr.Turns))
		}
		checkParsed(t, &Dataset{Name: "short", Trajectories: []*Trajectory{short}}, nil)
	}
}
