package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTogether(t *testing.T) {
	got := Together(
		ClientCost{CPU: 1, HeapBytes: 10, GCPauseMax: 5, SchedP99: 1, SchedMax: 9, Host: &HostLoad{Stolen: 0.1, Busiest: 0.2}},
		ClientCost{CPU: 2, HeapBytes: 20, GCPauseMax: 4, SchedP99: 3, SchedMax: 8},
		ClientCost{Host: &HostLoad{Stolen: 0.05, Busiest: 0.9}},
	)
	want := ClientCost{CPU: 3, HeapBytes: 30, GCPauseMax: 5, SchedP99: 3, SchedMax: 9, Host: &HostLoad{Stolen: 0.1, Busiest: 0.9}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Workers of one kernel share its processors, so only the least of them counts; hosts add up. One that was not calibrated leaves all
// of them unproven.
func TestCrew(t *testing.T) {
	worker := func(boot string, proven float64) Worker {
		return Worker{Boot: boot, Calibration: &Calibration{Proven: proven, Steps: []CalibrationStep{{PerSecond: proven}}}}
	}
	got := Crew([]Worker{worker("a", 500), worker("a", 300), worker("b", 400)})
	if got == nil || got.Proven != 700 || got.Steps[0].PerSecond != 300 {
		t.Errorf("got %+v, want 700 proven with the steps of the weakest", got)
	}
	if got := Crew([]Worker{worker("a", 500), {Boot: "b"}}); got != nil {
		t.Errorf("a worker without calibration is proven for %+v", got)
	}
	if got := Crew(nil); got != nil {
		t.Errorf("nobody is proven for %+v", got)
	}
}

// What was lost is a reason, whatever ended the phase, and what is not known of a worker is told.
func TestLostIsInvalid(t *testing.T) {
	x := Experiment{Tiers: []Tier{{Name: "t"}}}
	f := PhaseFacts{Index: 1, Agents: 1, WindowBegin: 10, WindowEnd: 20, End: 30, Reason: EndCertain, Lost: "worker w is lost", Workers: []WorkerFacts{
		{Name: "w"}, {Name: "far", Answered: true, Clock: WorkerClock{Within: 8 * time.Millisecond, Drift: 3 * time.Millisecond}},
	}}
	p := Evaluate(f, nil, x)
	if v := p.Verdicts[0]; v.Outcome != Invalid || !strings.Contains(strings.Join(v.Reasons, "\n"), "a part of the load was lost: worker w is lost") {
		t.Errorf("%s: %v", v.Outcome, v.Reasons)
	}
	warned := strings.Join(p.Warnings, "\n")
	for _, want := range []string{"worker w did not tell its costs", "stamps of worker far may be off by 11ms"} {
		if !strings.Contains(warned, want) {
			t.Errorf("no warning %q in %s", want, warned)
		}
	}
}
