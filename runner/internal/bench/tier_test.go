package bench

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// METHOD 4 lists the presets.
func TestPresets(t *testing.T) {
	tests := map[string][][2]float64{
		"deepseek-v4-pro": {{20, 10}, {60, 5}, {180, 3}},
		"gpt-oss-120b":    {{100, 5}, {250, 3}, {500, 2}, {2000, 1}},
	}
	for name, want := range tests {
		tiers, sum, err := Preset(name)
		if err != nil {
			t.Fatal(err)
		}
		var got [][2]float64
		for _, tier := range tiers {
			speed, ttft := tier.Objectives[0], tier.Objectives[1]
			if speed.Metric != OutputSpeed || speed.Quantile != 0.25 || ttft.Metric != TTFT || ttft.Quantile != 0.95 {
				t.Errorf("%s %s: %v", name, tier.Name, tier.Objectives)
			}
			got = append(got, [2]float64{speed.Limit, ttft.Limit})
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		// A published version never changes: a change here belongs into a new file with a new name.
		if want := "c4aa549068e7ff5e0c36c195cf155741f3ec99de63a55b43d11a4b40ce8ea8cf"; sum != want {
			t.Errorf("tiers-2026-06.yaml: digest %s, want %s", sum, want)
		}
	}
	if _, _, err := Preset("gpt-5"); err == nil || !strings.Contains(err.Error(), "deepseek-v4-pro, gpt-oss-120b") {
		t.Errorf("unknown preset: %v", err)
	}
}

func TestParseTiers(t *testing.T) {
	got, err := ParseTiers([]byte("tiers:\n  - name: mine\n    objectives: [\"p99(ttft) <= 750ms\"]\n"), "my.yaml")
	want := []Tier{{Name: "mine", Objectives: []Objective{{TTFT, 0.99, 0.75}}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestParseTiersErrors(t *testing.T) {
	tests := []struct{ in, want string }{
		{"", "my.yaml: no tiers"},
		{"tiers: []", "my.yaml: no tiers"},
		{"tiers:\n  - name: a\n    objectives: [\"p95(tft) <= 5s\"]\n", `my.yaml:3:18: objective "p95(tft) <= 5s": column 5: unknown metric "tft"`},
		{"tiers:\n  - name: a\n    objectives:\n      - p95(ttft) <= 5s\n      - 17\n", "my.yaml:5:9: an objective is a text"},
		{"tiers:\n  - name: a\n    goals: []\n", `my.yaml:3:5: unknown field "goals"`},
		{"tires: []\n", `my.yaml:1:1: unknown field "tires"`},
		{"tiers:\n  - name: a\n    name: b\n", "my.yaml:3:5: "},
		{"tiers:\n  - objectives: [p95(ttft) <= 5s]\n", "my.yaml:2: a tier without a name"},
		{"tiers:\n  - name: a\n", `my.yaml:2: tier "a" has no objectives`},
		{"tiers:\n  - {name: a, objectives: [p95(ttft) <= 5s]}\n  - {name: a, objectives: [p95(ttft) <= 5s]}\n", `my.yaml:3: tier "a" appears twice`},
		{"tiers:\n  - {name: a, objectives: [p95(ttft) <= 5s, p95(ttft) <= 6s]}\n", "my.yaml:2: tier \"a\" limits the same percentile twice"},
		{"presets: {x: [{name: a, objectives: [p95(ttft) <= 5s]}]}\n", "my.yaml: presets belong to the program"},
		{"tiers: [\n", "my.yaml:1:8: "},
	}
	for _, tt := range tests {
		_, err := ParseTiers([]byte(tt.in), "my.yaml")
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", tt.in, err, tt.want)
		}
	}
}

func FuzzParseTiers(f *testing.F) {
	f.Add([]byte("tiers:\n  - name: a\n    objectives: [p95(ttft) <= 5s]\n"))
	f.Add([]byte("tiers: {}\nversion: 1\n"))
	f.Add([]byte("tiers:\n  - objectives: !0 0")) // the decoder panics
	f.Fuzz(func(t *testing.T, data []byte) {
		tiers, err := ParseTiers(data, "f")
		if err == nil && len(tiers) == 0 {
			t.Error("no tiers and no error")
		}
	})
}

// METHOD 4: the rules of the published method, to the letter.
func TestPublishedProfile(t *testing.T) {
	got, err := ProfileNamed("aa-agentperf-2026-06")
	if err != nil {
		t.Fatal(err)
	}
	want := Profile{
		Name: "aa-agentperf-2026-06", Comparable: true, Spawn: 1, StartTurns: 10, Hold: 30 * time.Second, Settle: 240 * time.Second,
		MinWindow: 10 * time.Minute, MinTrajectories: 30, MinPerAgent: 3, Timeout: time.Hour, Extend: 2,
		MaxAgents: 4096, Step: 1, Relative: 0.02, Retests: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !got.published() {
		t.Error("the published profile is not")
	}
	got.MaxAgents, got.Relative = 64, 0.1
	if !got.published() {
		t.Error("other bounds of the search made the profile another method")
	}
	got.Hold = time.Second
	if got.published() {
		t.Error("a profile with another hold passes for the published one")
	}
	if quick, err := ProfileNamed("quick"); err != nil || quick.Comparable || quick.published() {
		t.Errorf("quick: %+v, %v", quick, err)
	}
	if _, err := ProfileNamed("fast"); err == nil || !strings.Contains(err.Error(), "aa-agentperf-2026-06, quick") {
		t.Errorf("unknown profile: %v", err)
	}
}

const ownProfile = `profiles:
  mine:
    comparable: false
    spawn_per_second: 2
    start_turns: 10
    hold: 5s
    settle: 10s
    min_window: 1m30s
    min_trajectories: 10
    min_trajectories_per_agent: 1
    phase_timeout: 10m
    extend: 1.5
    max_agents: 100
    step: 2
    relative_step: 0.05
    retests: 1
`

func TestParseProfiles(t *testing.T) {
	got, err := ParseProfiles([]byte(ownProfile), "p.yaml")
	want := []Profile{{"mine", false, 2, 10, 5 * time.Second, 10 * time.Second, 90 * time.Second, 10, 1, 10 * time.Minute, 1.5, 100, 2, 0.05, 1}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	tests := []struct{ old, new, want string }{
		{"comparable: false", "comparable: true", "only a built-in profile is comparable"},
		{"  mine:", "  quick:", "the name is taken"},
		{"spawn_per_second: 2", "spawn_per_second: 0", "spawn_per_second must be above 0"},
		{"spawn_per_second: 2", "spawn_per_second: .nan", "spawn_per_second must be above 0"},
		{"hold: 5s", "hold: -5s", "must not be negative"},
		{"hold: 5s", "hold: soon", `p.yaml:6:11: time: invalid duration "soon"`},
		{"hold: 5s", "hold: 5", "p.yaml:6:11: a duration is a text such as"},
		{"min_window: 1m30s", "min_window: 0s", "min_window must be above 0"},
		{"phase_timeout: 10m", "phase_timeout: 90s", "phase_timeout must leave room"},
		{"extend: 1.5", "extend: 0.5", "extend is a multiple"},
		{"start_turns: 10", "start_turns: 0", "start_turns"},
		{"min_trajectories: 10", "min_trajectories: 0", "min_trajectories"},
		{"step: 2", "step: 0", "step must be at least 1"},
		{"max_agents: 100", "max_agents: 0", "max_agents must be at least 1"},
		{"relative_step: 0.05", "relative_step: 1", "relative_step"},
		{"retests: 1", "retests: -1", "retests"},
		{"retests: 1", "retest: 1", `p.yaml:16:5: unknown field "retest"`},
	}
	for _, tt := range tests {
		_, err := ParseProfiles([]byte(strings.Replace(ownProfile, tt.old, tt.new, 1)), "p.yaml")
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "p.yaml") {
			t.Errorf("%s: got %v, want ... %s", tt.new, err, tt.want)
		}
	}
}
