package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
)

// replay runs a replay with two agents and returns its exit code, output and result.
func (r *rig) replay(out string, more ...string) (int, string, bench.Result) {
	r.t.Helper()
	args := append([]string{"replay", "--agents", "2", "--window", "1s", "--endpoint", r.endpoint, "--model", "simulated/demo", "--dataset", r.path("d.jsonl"),
		"--tiers", r.path("tiers.yaml"), "--profile", r.path("profile.yaml"), "--output-mode", "exact", "--tool-time", "none",
		"--bus", r.bus, "--idle", "1s", "--calibrate=false", "-o", out}, more...)
	text, err := exec.Command("runner", args...).CombinedOutput()
	_, result := r.report(out)
	return exitCode(err), string(text), result
}

// A replay judges its windows and measures their power. It claims no capacity and no figure.
func TestReplayAtOneN(t *testing.T) {
	r := newRig(t, time.Second, 8)
	code, text, result := r.replay(r.path("run"), "--windows", "2")
	tier := result.Tiers[0]
	if code != 0 && code != 3 || len(result.Phases) != 2 || tier.Fixed == nil || tier.Fixed.Agents != 2 || tier.Fixed.Passed+tier.Fixed.Failed+tier.Fixed.Invalid != 2 {
		t.Fatalf("exit code %d, %d phases, %+v:\n%s", code, len(result.Phases), tier.Fixed, text)
	}
	if tier.Agents != 0 || len(tier.Figures) != 0 || result.Comparable || !strings.Contains(strings.Join(strings.Fields(text), " "), "the largest number was not searched for") {
		t.Errorf("a replay claims %d agents, %d figures, comparable %v:\n%s", tier.Agents, len(tier.Figures), result.Comparable, text)
	}
	for _, p := range result.Phases {
		if p.Agents != 2 || p.Purpose != bench.FixedPurpose || len(p.Power) != 1 || p.Power[0].Mean == 0 {
			t.Errorf("phase %+v", p.PhaseFacts)
		}
	}
}

// The diagnoses change the load as they say, and judge nothing.
func TestReplayDiagnoses(t *testing.T) {
	r := newRig(t, time.Second, 8)
	_, text, prefill := r.replay(r.path("prefill"), "--diagnose", "prefill", "--bus", "none")
	_, _, decode := r.replay(r.path("decode"), "--diagnose", "decode", "--bus", "none")
	if !strings.Contains(text, "diagnosis of prefill only") || len(prefill.Tiers) != 0 || len(decode.Tiers) != 0 {
		t.Errorf("%d and %d tiers are judged:\n%s", len(prefill.Tiers), len(decode.Tiers), text)
	}
	p, d := prefill.Phases[0], decode.Phases[0]
	if p.SingleChunk != p.Requests || p.Requests == 0 {
		t.Errorf("prefill: %d of %d answers have one chunk", p.SingleChunk, p.Requests)
	}
	if d.SingleChunk != 0 || d.Requests == 0 {
		t.Errorf("decode: %d of %d answers have one chunk", d.SingleChunk, d.Requests)
	}
	prompt := func(p bench.Phase) int64 { return p.Tokens.Prompt / int64(max(p.Requests, 1)) }
	if a, b := prompt(p), prompt(d); b > a/5 {
		t.Errorf("the mean prompt of decode has %d tokens, of prefill %d", b, a)
	}
}
