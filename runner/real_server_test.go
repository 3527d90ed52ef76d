package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
)

// realServer names llama.cpp's server; make test-real builds it.
const realServer = "AGENTWATT_LLAMA_SERVER"

// startLlama starts a real server with a tiny model, and returns its URL.
func startLlama(t *testing.T) string {
	t.Helper()
	program := os.Getenv(realServer)
	if program == "" {
		t.Skipf("SKIPPED: %s is not set: make test-real builds a real server and runs this test", realServer)
	}
	model := t.TempDir() + "/tiny.gguf"
	if err := os.WriteFile(model, tinyModel(), 0o600); err != nil {
		t.Fatal(err)
	}
	listen := freePort(t)
	host, port, _ := strings.Cut(listen, ":")
	cmd := exec.Command(program, "-m", model, "--host", host, "--port", port, "-c", "131072", "-np", "4", "--threads", "1", "--threads-http", "4", "--metrics", "--alias", "tiny")
	var said lockedBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(cmd, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("the server said:\n%s", tail(said.String(), 4000))
		}
	})
	for until := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		r, err := http.Get("http://" + listen + "/health")
		if err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				return "http://" + listen + "/v1"
			}
		}
		if time.Now().After(until) {
			t.Fatalf("the server is not ready: %v\n%s", err, tail(said.String(), 4000))
		}
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// A real server is examined and searched. Its tokens come from its own account, and nothing of it is simulated.
func TestRealServer(t *testing.T) {
	url := startLlama(t)
	out, err := exec.Command("runner", "doctor", url, "--model", "tiny").CombinedOutput()
	t.Logf("doctor:\n%s", out)
	if err != nil || !strings.Contains(string(out), "llamacpp") {
		t.Errorf("doctor: %v", err)
	}
	r := &rig{t: t, dir: t.TempDir(), endpoint: url, bus: "none"}
	d := trajectory.Synth(trajectory.SynthOptions{Seed: 1, Trajectories: 12, Profile: trajectory.Demo})
	if err := trajectory.Create(r.path("d.jsonl"), d, false); err != nil {
		t.Fatal(err)
	}
	r.write("tiers.yaml", "tiers:\n  - name: any\n    objectives: [\"p25(output_speed) >= 1\", \"p95(ttft) <= 60s\"]\n")
	r.write("profile.yaml", fmt.Sprintf(rigProfile, 5*time.Second, 4))
	text, err := exec.Command("runner", "search", "--endpoint", url, "--model", "tiny", "--dataset", r.path("d.jsonl"), "--tiers", r.path("tiers.yaml"),
		"--profile", r.path("profile.yaml"), "--output-mode", "recorded", "--tool-time", "none", "--bus", "none", "-o", r.path("run")).CombinedOutput()
	t.Logf("search:\n%s", text)
	if code := exitCode(err); code != 0 && code != 3 {
		t.Fatalf("search: exit code %d", code)
	}
	_, result := r.report(r.path("run"))
	checkReal(t, result)
}

func checkReal(t *testing.T, result bench.Result) {
	t.Helper()
	if result.Simulated || len(result.Phases) == 0 {
		t.Fatalf("%d phases, simulated %v", len(result.Phases), result.Simulated)
	}
	for _, p := range result.Phases {
		if p.Requests == 0 || len(p.Failures) > 0 || p.NoUsage > 0 || p.Tokens.Output == 0 || p.Reading.UserStamps > 0 {
			t.Errorf("phase %d: %d requests, failures %v, %d without usage, %d tokens, %d user stamps", p.Index, p.Requests, p.Failures, p.NoUsage, p.Tokens.Output, p.Reading.UserStamps)
		}
	}
	if result.Server == nil || result.Server.Reads == 0 {
		t.Error("the server's metrics were not read")
	}
}
