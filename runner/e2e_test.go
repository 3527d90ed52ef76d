package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/runner/internal/trajectory"
)

// rig is a simulated endpoint, meterd on its power, a dataset and rules: real programs on loopback.
type rig struct {
	t        *testing.T
	dir      string
	endpoint string
	bus      string
	meterd   *exec.Cmd
}

// rigTiers leave the client so much time that a busy machine does not make every phase invalid.
const rigTiers = `tiers:
  - name: brisk
    objectives: ["p25(output_speed) >= 50", "p95(ttft) <= 60s"]
`

const rigProfile = `profiles:
  rig:
    spawn_per_second: 50
    start_turns: 1
    hold: 200ms
    settle: 200ms
    min_window: %s
    min_trajectories: 2
    min_trajectories_per_agent: 1
    phase_timeout: 60s
    extend: 1
    max_agents: %d
    step: 1
    relative_step: 0
    retests: 1
`

func newRig(t *testing.T, window time.Duration, maxAgents int) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	program, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	url, cmd, err := startUntil(regexp.MustCompile(`http://\S+?/v1`), program, "simulate", "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(cmd, syscall.SIGTERM) })
	r.endpoint = url
	r.startMeterd(freePort(t))
	t.Cleanup(func() { stop(r.meterd, syscall.SIGTERM) })
	d := trajectory.Synth(trajectory.SynthOptions{Seed: 1, Trajectories: 8, Profile: trajectory.Demo})
	if err := trajectory.Create(r.path("d.jsonl"), d, false); err != nil {
		t.Fatal(err)
	}
	r.write("tiers.yaml", rigTiers)
	r.write("profile.yaml", fmt.Sprintf(rigProfile, window, maxAgents))
	return r
}

// freePort returns a loopback address that was free a moment ago: a restarted meterd has to come back on the same one.
func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(r.path(name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) startMeterd(listen string) {
	r.t.Helper()
	url, cmd, err := startMeterd(r.path("meterd"), strings.TrimSuffix(r.endpoint, "/v1")+"/power", listen)
	if err != nil {
		r.t.Fatal(err)
	}
	r.bus, r.meterd = url, cmd
}

// search starts a search and returns it with its output.
func (r *rig) search(out string, more ...string) (*exec.Cmd, *lockedBuffer) {
	r.t.Helper()
	cmd := exec.Command("runner", append([]string{"search", "--endpoint", r.endpoint, "--model", "simulated/demo", "--dataset", r.path("d.jsonl"),
		"--tiers", r.path("tiers.yaml"), "--profile", r.path("profile.yaml"), "--output-mode", "exact", "--tool-time", "none",
		"--bus", r.bus, "--idle", "1s", "--calibrate=false", "-o", out}, more...)...)
	var b lockedBuffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { stop(cmd, syscall.SIGKILL) })
	return cmd, &b
}

// phases waits until a search has reported n phases.
func (r *rig) phases(b *lockedBuffer, n int) {
	r.t.Helper()
	line := regexp.MustCompile(`(?m)^SIMULATED phase +\d+ `)
	for range 600 {
		if len(line.FindAllString(b.String(), -1)) >= n {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Fatalf("no %d phases within a minute:\n%s", n, b)
}

// report makes the result of a run directory again, as a user would, and returns the text and the result.
func (r *rig) report(out string) (string, bench.Result) {
	r.t.Helper()
	text, err := exec.Command("runner", "report", out).Output()
	if code := exitCode(err); code != 0 && code != 3 {
		r.t.Fatalf("report: %v", err)
	}
	data, err := exec.Command("runner", "report", "--format", "json", out).Output()
	if code := exitCode(err); code != 0 && code != 3 {
		r.t.Fatalf("report: %v", err)
	}
	var result bench.Result
	if err := json.Unmarshal(data, &result); err != nil {
		r.t.Fatal(err)
	}
	return string(text), result
}

func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// TestEndToEnd goes the whole way. A machine that is too busy makes a measurement invalid, and then it must say so; what may
// not happen is a number without its doubt.
func TestEndToEnd(t *testing.T) {
	r := newRig(t, time.Second, 3)
	out := r.path("run")
	cmd, b := r.search(out)
	code := exitCode(cmd.Wait())
	if code != 0 && code != 3 {
		t.Fatalf("exit code %d:\n%s", code, b)
	}
	text, result := r.report(out)
	if !strings.HasPrefix(text, "SIMULATED") || !result.Simulated {
		t.Errorf("a simulated result does not say so first:\n%s", text)
	}
	if result.Comparable {
		t.Error("a simulated result claims to be comparable")
	}
	saved, err := os.ReadFile(filepath.Join(out, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	again, _ := exec.Command("runner", "report", "--format", "json", out).Output() // its exit code was looked at above
	if !bytes.Equal(saved, again) {
		t.Error("the report made again differs from result.json")
	}
	checkServerMetrics(t, out, result)
	tier := result.Tiers[0]
	if code == 3 {
		t.Logf("the machine was too busy to measure, and the result says so:\n%s", text)
		return
	}
	if tier.Agents != 3 {
		t.Errorf("found %d agents, want the 3 that the profile allows:\n%s", tier.Agents, text)
	}
	if len(tier.Figures) != 1 {
		t.Fatalf("%d figures, want one at accelerator scope:\n%s", len(tier.Figures), text)
	}
	f := tier.Figures[0]
	watts := f.MeanPower.Watts()
	// The engine's two devices draw 180 W idle, and cannot draw 1.5 kW.
	if f.Scope != "accelerator" || !f.Simulated || len(f.Devices) != 2 || watts < 180 || watts > 1500 {
		t.Errorf("figure %+v", f)
	}
	if u := f.Uncertainty.Expanded(); u <= 0 || u > 0.5 || f.Coverage < 0.99 {
		t.Errorf("uncertainty %v, coverage %v", u, f.Coverage)
	}
	for _, want := range []string{"agents/MW @accelerator", "± ", "coverage"} {
		if !strings.Contains(text, want) {
			t.Errorf("the text lacks %q:\n%s", want, text)
		}
	}
}

// checkServerMetrics compares what was read of the simulated server with the load that it was given.
func checkServerMetrics(t *testing.T, out string, r bench.Result) {
	t.Helper()
	m := r.Server
	if m == nil || m.None != "" || m.Reads == 0 || !slices.Equal(m.Servers, []string{"vllm"}) {
		t.Fatalf("server metrics %+v, want reads under vLLM's names", m)
	}
	if _, err := os.Stat(filepath.Join(out, "server", "metrics.zst")); err != nil {
		t.Error(err)
	}
	seen := 0
	for _, p := range r.Phases {
		if p.Server == nil {
			continue // a window of a second may lie between two reads
		}
		seen++
		v := p.Server.Values
		if most := v["requests_running_max"] + v["requests_waiting_max"]; most > float64(2*p.Agents) {
			t.Errorf("phase %d: %v requests at the server, of %d agents", p.Index, most, p.Agents)
		}
		if kv, hits := v["kv_cache_usage_max"], v["prefix_cache_hit_rate"]; kv > 1 || hits > 1 {
			t.Errorf("phase %d: cache use %v, hit rate %v, want shares", p.Index, kv, hits)
		}
		if v["preemptions"] != 0 {
			t.Errorf("phase %d: %v preemptions of an engine that has none", p.Index, v["preemptions"])
		}
	}
	if seen == 0 {
		t.Error("no phase has a read of the server's metrics in its window")
	}
	run, err := rundir.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	e, _, err := run.Server()
	if err != nil || len(e.Samples) < 2 {
		t.Fatalf("%d samples, %v", len(e.Samples), err)
	}
	first, last := e.Samples[0].Values, e.Samples[len(e.Samples)-1].Values
	var output int64
	for _, p := range r.Phases {
		output += p.Tokens.Output
	}
	// The server counts what windows leave out, too: probes, settling, what was cancelled.
	if grown := last[bench.ServerGenerated] - first[bench.ServerGenerated]; grown < 0.9*float64(output) {
		t.Errorf("the server counted %v output tokens, its usage says %d in the windows alone", grown, output)
	}
}

func TestKilledRunLeavesAReadableDirectory(t *testing.T) {
	r := newRig(t, time.Second, 8)
	out := r.path("run")
	cmd, b := r.search(out)
	r.phases(b, 2)
	time.Sleep(300 * time.Millisecond) // into the next phase
	stop(cmd, syscall.SIGKILL)
	text, result := r.report(out)
	if len(result.Phases) < 2 || result.Complete {
		t.Errorf("%d phases, complete %v, want at least 2 and not complete", len(result.Phases), result.Complete)
	}
	if !strings.Contains(text, "the run was killed") {
		t.Errorf("the report does not say that the run was killed:\n%s", text)
	}
	for _, p := range result.Phases {
		if p.Requests == 0 {
			t.Errorf("phase %d has lost its requests", p.Index)
		}
	}
}

func TestInterruptKeepsWhatWasMeasured(t *testing.T) {
	r := newRig(t, time.Second, 8)
	out := r.path("run")
	cmd, b := r.search(out)
	r.phases(b, 1)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := exitCode(cmd.Wait()); code != 1 {
		t.Errorf("exit code %d, want 1:\n%s", code, b)
	}
	if s := b.String(); !strings.Contains(s, "interrupted; what was measured is in "+out) || !strings.Contains(s, "PHASES") {
		t.Errorf("no word of the interruption, or no result:\n%s", s)
	}
	if _, err := os.Stat(filepath.Join(out, "report.html")); err != nil {
		t.Error(err)
	}
}

// TestRestartOfMeterdIsAGap kills meterd in the middle of a window and starts it again: the window has a gap and no watts.
func TestRestartOfMeterdIsAGap(t *testing.T) {
	r := newRig(t, 8*time.Second, 1)
	out := r.path("run")
	cmd, b := r.search(out)
	listen := strings.TrimPrefix(r.bus, "nats://")
	for range 600 { // the first thing it says; the window opens about 1.5 s later, for 8 s
		if strings.Contains(b.String(), "idle before") {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(4 * time.Second)
	stop(r.meterd, syscall.SIGKILL)
	time.Sleep(1500 * time.Millisecond)
	r.startMeterd(listen)
	r.phases(b, 1)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // interrupted: its exit code has its own test
	_, result := r.report(out)
	p := result.Phases[0]
	if len(p.Power) != 1 {
		t.Fatalf("phase 1 has power of %d scopes, want 1: %s", len(p.Power), b)
	}
	s := p.Power[0]
	if s.Valid || s.Mean != 0 || s.Energy != 0 {
		t.Errorf("a window in which meterd was dead for 1.5 s of 8 s has %v (valid %v)", s.Mean, s.Valid)
	}
	var said []string
	for _, w := range s.Warnings {
		said = append(said, string(w.Code)+": "+w.Detail)
	}
	if all := strings.Join(said, "\n"); !strings.Contains(all, "gap") || !strings.Contains(all, "restart") {
		t.Errorf("warnings name no gap or no restart:\n%s", all)
	}
}
