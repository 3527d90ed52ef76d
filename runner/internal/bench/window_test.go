package bench

import (
	"math/rand/v2"
	"testing"
	"time"

	"agentwatt/shared/clock"
)

func TestWindowBegins(t *testing.T) {
	p := Profile{Hold: 30 * time.Second, Settle: 240 * time.Second}
	tests := []struct {
		full, want clock.Stamp
	}{
		{0, 0},               // not all are active: never
		{at(10), at(240)},    // settling takes longer
		{at(210), at(240)},   // both at once
		{at(1000), at(1030)}, // a large fleet takes longer
	}
	for _, tt := range tests {
		if got := WindowBegins(PhaseFacts{Begin: at(0), Full: tt.full}, p); got != tt.want {
			t.Errorf("full at %v: got %v, want %v", tt.full, got, tt.want)
		}
	}
}

func TestStopRule(t *testing.T) {
	p := Profile{MinWindow: 10 * time.Minute, MinTrajectories: 30, MinPerAgent: 3}
	ten := func(n int) (list []int) {
		for range 10 {
			list = append(list, n)
		}
		return list
	}
	tests := []struct {
		name      string
		after     float64
		completed []int
		want      bool
	}{
		{"all met", 600, ten(3), true},
		{"a moment too early", 599.999, ten(3), false},
		{"one agent behind", 700, append(ten(5), 2), false},
		{"few agents, each enough, not enough in all", 700, []int{3, 3}, false},
		{"few agents, enough", 700, []int{15, 15}, true},
		{"nobody", 700, nil, false},
	}
	for _, tt := range tests {
		if got := StopRule(p, at(0), at(tt.after), tt.completed); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if StopRule(p, 0, at(700), ten(5)) {
		t.Error("a window that never began ended")
	}
}

func TestExtend(t *testing.T) {
	p := Profile{Extend: 2, Timeout: time.Hour}
	f := PhaseFacts{Begin: at(0), WindowBegin: at(100)}
	undecided := []Verdict{{Outcome: Pass, Confidence: Confident}, {Outcome: Fail, Confidence: Undecided}}
	tests := []struct {
		name     string
		now      float64
		verdicts []Verdict
		want     bool
	}{
		{"undecided", 200, undecided, true},
		{"decided", 200, undecided[:1], false},
		{"invalid is not undecided", 200, []Verdict{{Outcome: Invalid, Confidence: Undecided}}, false},
		{"almost at the cap", 299, undecided, true},
		{"at the cap", 300, undecided, false},
		{"timeout", 3600, undecided, false},
	}
	for _, tt := range tests {
		if got := Extend(f, p, at(200), at(tt.now), tt.verdicts); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A certain failure is certain: whatever good requests follow, up to the bound, the phase still fails. And a phase that
// could still be saved is never given up.
func TestFailureCertainIsCertain(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	p := testProfile
	f := testFacts()
	ended := 0
	for range 150 {
		tally := NewTally([]Tier{testTier})
		elapsed := 20 + 75*rng.Float64()
		n, share := 1+rng.IntN(60), rng.Float64()
		var records []Record
		for i := range n {
			speed, ttft := 80.0, 1.0
			if rng.Float64() < share {
				speed, ttft = []float64{80, 30}[i%2], 7
			}
			r := answer(i%4, i/20, i/4%5, 10+elapsed*float64(i)/float64(n), ttft, speed)
			records = append(records, r)
			tally.Add(r)
		}
		now := at(10 + elapsed)
		if !tally.FailureCertain(f, p, now, nil) {
			continue
		}
		ended++
		end := f
		end.Reason = EndCertain
		if _, v := judged(t, end, records); v.Outcome != Fail {
			t.Fatalf("given up, but its records do not fail: %+v", v)
		}
		further := int(float64(n)/elapsed*(100-elapsed)*horizonSafety) + 1
		for i := range further {
			records = append(records, answer(i%4, 100+i/20, i/4%5, 10+elapsed, 1, 80))
		}
		if _, v := judged(t, end, records); v.Outcome != Fail {
			t.Fatalf("%d requests after %.0f s, %.0f %% bad: given up, but %d good ones would have saved it", n, elapsed, 100*share, further)
		}
	}
	if ended < 40 {
		t.Errorf("only %d of 150 phases were given up: the test says little", ended)
	}
}

func TestFailureCertain(t *testing.T) {
	p := testProfile
	p.MinPerAgent, p.MinTrajectories = 0, 1
	slow := func(n int) *Tally { // n requests, all too late
		tally := NewTally([]Tier{testTier})
		done := answer(0, 0, 4, 11, 1, 80) // completes a trajectory, so that the window's length decides
		tally.Add(done)
		for i := range n {
			tally.Add(answer(0, 1, i%4, 11, 6, 80))
		}
		return tally
	}
	// At half time 100 requests: the rest of the window may bring 2 x 100 more, of 300 in all 15 may be late.
	if !slow(99).FailureCertain(testFacts(), p, at(60), nil) {
		t.Error("99 of 100 too late at half time: not certain")
	}
	if slow(99).FailureCertain(testFacts(), p, at(10.5), nil) {
		t.Error("certain after half a second")
	}
	// Turns that are a ten thousandth of their trajectory each: the window must last far longer, and much can still change.
	long := NewTally([]Tier{testTier})
	for range 100 {
		r := answer(0, 1, 0, 11, 6, 80)
		r.Turns = 10_000
		long.Add(r)
	}
	if long.FailureCertain(testFacts(), p, at(20), nil) {
		t.Error("certain after a hundredth of a trajectory")
	}
	if NewTally([]Tier{testTier}).FailureCertain(testFacts(), p, at(109), nil) {
		t.Error("certain without a request")
	}
	if NewTally(nil).FailureCertain(testFacts(), p, at(109), nil) {
		t.Error("certain without a tier")
	}
	waiting := make([]clock.Stamp, 50)
	for i := range waiting {
		waiting[i] = at(50)
	}
	if !slow(0).FailureCertain(testFacts(), p, at(100), waiting) {
		t.Error("50 requests waiting 50 s for their first token: not certain")
	}
	if slow(0).FailureCertain(testFacts(), p, at(54), waiting) {
		t.Error("50 requests waiting 4 s of 5: certain")
	}
	both := NewTally([]Tier{testTier, {Name: "loose", Objectives: []Objective{{TTFT, 0.95, 60}}}})
	for range 100 {
		both.Add(answer(0, 1, 0, 11, 6, 80))
	}
	if both.FailureCertain(testFacts(), p, at(100), nil) {
		t.Error("certain although one tier may still pass")
	}
}
