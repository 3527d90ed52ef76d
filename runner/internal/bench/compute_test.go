package bench

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// exampleRun is a whole run on paper: agents that always play alike on a system that serves 2 of them well, and one
// accelerator that draws 300 W and 50 W more per agent.
func exampleRun() Evidence {
	x := Experiment{
		ID: "example", Started: at(0), Tool: "runner test", Endpoint: "http://localhost:8000", Model: "m", Dataset: "d.jsonl", Tiers: []Tier{testTier},
		Profile: testProfile, Output: "free", OutputAsked: "free", ToolTime: "sampled", Host: "load", Boot: "boot-1", Epoch: at(-1000),
		System: System{Name: "example", Accelerator: "GPU", Accelerators: 1, Systems: 1, TDP: 700 * power.Watt},
		Power:  PowerPlan{Bus: "nats://localhost", Expected: []string{"GPU-00"}, Idle: 10 * time.Second},
	}
	x.Profile.Retests = 1
	x.Profile.MaxAgents = 8
	e := Evidence{Experiment: x, IdleBefore: Window{at(5), at(15)}, Complete: true}
	records := map[int][]Record{}
	agents := func(at float64) float64 {
		for _, f := range e.Phases {
			if s := origin.Add(time.Duration(at * 1e9)); s >= f.Begin && s < f.End {
				return float64(f.Agents)
			}
		}
		return 0
	}
	for i, n := range []int{1, 2, 4, 3, 2, 3} {
		begin := float64(20 + 130*i)
		f := PhaseFacts{Index: i + 1, Agents: n, Purpose: "ramp", Begin: at(begin), Full: at(begin + 1), WindowBegin: at(begin + 10),
			WindowEnd: at(begin + 110), End: at(begin + 120), Reason: EndStopRule}
		e.Phases = append(e.Phases, f)
		for agent := range n {
			for p := range 8 {
				for turn := range 5 {
					r := answer(agent, p, turn, begin+10+90*(float64(p)+float64(turn)/5)/8, 1, 160/float64(n))
					r.Phase = f.Index
					records[f.Index] = append(records[f.Index], r)
				}
			}
		}
	}
	e.Records = func(phase int) ([]Record, error) { return records[phase], nil }
	f := gpus(1, 0)
	f.to = 820
	f.watts = func(_ int, at float64) float64 { return 300 + 50*agents(at) }
	e.Batches = f.batches()
	return e
}

func TestCompute(t *testing.T) {
	r, err := Compute(exampleRun())
	if err != nil {
		t.Fatal(err)
	}
	tier := r.Tiers[0]
	if tier.Agents != 2 || tier.FirstFail != 3 || !tier.Complete || !tier.Monotone || tier.Phase != 5 || !r.Complete {
		t.Errorf("got %+v", tier)
	}
	f := tier.Figures[0]
	if f.Standing != Valid || f.MeanPower != 400*power.Watt || f.AgentsPerMegawatt != 5000 || f.PerAccelerator != 2 {
		t.Errorf("got %+v", f)
	}
	if len(r.IdleBefore) != 1 || r.IdleBefore[0].Mean != 300*power.Watt || r.IdleAfter != nil {
		t.Errorf("idle: %+v, %+v", r.IdleBefore, r.IdleAfter)
	}
}

// The result's JSON is read by others: its form changes only on purpose.
func TestResultGolden(t *testing.T) {
	r, err := Compute(exampleRun())
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/result.golden.json"
	if *update {
		if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites it:\n%s", file, diff)
	}
	var back Result
	if err := json.Unmarshal(got, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.MarshalIndent(back, "", "  ")
	if err != nil || string(again) != string(got) {
		t.Errorf("the result does not survive its JSON: %v\n%s", err, cmp.Diff(string(got), string(again)))
	}
}

// The same evidence in another order is the same result, to the digit.
func TestComputeIsPure(t *testing.T) {
	run := exampleRun()
	want, err := Compute(run)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(run.Batches)
	records := run.Records
	run.Records = func(phase int) ([]Record, error) {
		rs, err := records(phase)
		rs = slices.Clone(rs)
		slices.Reverse(rs)
		return rs, err
	}
	got, err := Compute(run)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestComputeAdmits(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Evidence)
		want   string
	}{
		{"simulated endpoint", func(e *Evidence) { e.Experiment.Simulated = true }, "SIMULATED"},
		{"simulated meter", func(e *Evidence) {
			for i := range e.Batches {
				m := slices.Clone(e.Batches[i].Meters)
				m[0].Simulated = true
				e.Batches[i].Meters = m
			}
		}, "SIMULATED"},
		{"no power", func(e *Evidence) { e.Batches = nil }, "agents per megawatt cannot be given"},
		{"killed", func(e *Evidence) { e.Complete = false }, "incomplete"},
		{"phases missing", func(e *Evidence) { e.Phases = e.Phases[:3] }, "incomplete"},
		{"own profile", func(*Evidence) {}, "not comparable"},
		{"output mode", func(e *Evidence) { e.Experiment.OutputAsked = "exact" }, "output mode exact was asked for, free was used"},
	}
	for _, tt := range tests {
		run := exampleRun()
		tt.change(&run)
		r, err := Compute(run)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.Warnings, "\n"); !strings.Contains(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if sim := strings.Contains(tt.name, "simulated"); r.Simulated != sim || sim && (r.Comparable || !r.Tiers[0].Figures[0].Simulated) {
			t.Errorf("%s: simulated %v, comparable %v", tt.name, r.Simulated, r.Comparable)
		}
	}
}

func TestComparable(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Experiment)
		want   bool
	}{
		{"published", func(*Experiment) {}, true},
		{"other bounds", func(x *Experiment) { x.Profile.MaxAgents = 50 }, true},
		{"other hold", func(x *Experiment) { x.Profile.Hold = 0 }, false},
		{"other output mode", func(x *Experiment) { x.Output = "exact" }, false},
		{"other tool time", func(x *Experiment) { x.ToolTime = "none" }, false},
		{"simulated", func(x *Experiment) { x.Simulated = true }, false},
	}
	for _, tt := range tests {
		run := exampleRun()
		var err error
		if run.Experiment.Profile, err = ProfileNamed("aa-agentperf-2026-06"); err != nil {
			t.Fatal(err)
		}
		tt.change(&run.Experiment)
		if r, err := Compute(run); err != nil || r.Comparable != tt.want {
			t.Errorf("%s: comparable %v, want %v, %v", tt.name, r.Comparable, tt.want, err)
		}
	}
}

func TestComputeReportsUnreadableRecords(t *testing.T) {
	run := exampleRun()
	broken := errors.New("broken")
	run.Records = func(int) ([]Record, error) { return nil, broken }
	if _, err := Compute(run); !errors.Is(err, broken) || !strings.Contains(err.Error(), "phase 1") {
		t.Errorf("got %v", err)
	}
}

// A live search and the conclusion from its phases are the same answer.
func TestConcludeIsTheSearchsAnswer(t *testing.T) {
	c := &curves{pass: map[string]func(int) Outcome{"a": upTo(37), "b": upTo(12)}}
	answer, err := Search(t.Context(), exact, named("a", "b"), nil, c.probe)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answer.Tiers, Conclude(exact, named("a", "b"), c.phases)); diff != "" {
		t.Errorf("(-search +conclude):\n%s", diff)
	}
}

// A rerun of a phase's records costs little beside the run itself: 30 phases of 10,000 requests, 8 devices over 1 h.
func BenchmarkCompute(b *testing.B) {
	var records []Record
	for i := range 10_000 {
		records = append(records, answer(i%50, i/250, i/50%5, 10+99*float64(i)/10_000, 1, 80))
	}
	e := Evidence{Experiment: exampleRun().Experiment, Records: func(int) ([]Record, error) { return records, nil }}
	f := gpus(8, 700)
	f.to = 3600
	e.Batches = f.batches()
	e.Experiment.Power.Expected = nil
	for i := range 30 {
		facts := testFacts()
		facts.Index, facts.Agents = i+1, 50
		e.Phases = append(e.Phases, facts)
	}
	for b.Loop() {
		if _, err := Compute(e); err != nil {
			b.Fatal(err)
		}
	}
}
