package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"agentwatt/runner/internal/trajectory"
)

// TestRecord runs the command as a user does: an agent talks to a simulated model through it, Ctrl-C, and the session is there.
func TestRecord(t *testing.T) {
	program, err := exec.LookPath("runner")
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://\S+?/v1`)
	model, engine, err := startUntil(url, program, "simulate", "--listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(engine, syscall.SIGTERM) })
	for _, crash := range []bool{false, true} {
		out := filepath.Join(t.TempDir(), "out.jsonl.zst")
		proxy, cmd, err := startUntil(url, program, "record", "--upstream", model, "-o", out, "--listen", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		message := `{"role":"user","content":"mail \u00e9 me@example.com"}`
		first, second := message, message+`,{"role":"assistant","content":"ok"},{"role":"user","content":"go"}`
		for _, messages := range []string{first, second} {
			agentAsks(t, proxy, `{"model":"simulated/demo","stream":true,"max_tokens":4,"messages":[`+messages+`]}`)
		}
		if crash {
			stop(cmd, syscall.SIGKILL)
			if text, err := exec.Command(program, "record", "--from-journal", out+".journal", "-o", out).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
		} else if stop(cmd, syscall.SIGINT); cmd.ProcessState.ExitCode() != 0 {
			t.Fatalf("exit code %d", cmd.ProcessState.ExitCode())
		}
		d, err := trajectory.Open(out)
		if err != nil || len(d.Trajectories) != 1 || len(d.Trajectories[0].Turns) != 2 {
			t.Fatalf("crash %v: not one trajectory of two turns: %+v, %v", crash, d, err)
		}
		tr := d.Trajectories[0]
		want := regexp.MustCompile(`^` + strings.Replace(regexp.QuoteMeta(second), `me@example\.com`, `\[redacted:email:[0-9a-f]{8}\]`, 1) + `$`)
		if turn := tr.Turns[0]; !want.Match(tr.Messages) || turn.Output < 1 || turn.Output > 4 || turn.Prompt == 0 || turn.ToolTime() == 0 {
			t.Errorf("crash %v: %s, turn %+v", crash, tr.Messages, turn)
		}
		for _, path := range []string{out, out + ".journal"} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, error %v", path, info.Mode(), err)
			}
		}
	}
}

// agentAsks sends a streaming request and reads the answer to its end. From then on it is in the journal, whatever happens.
func agentAsks(t *testing.T, proxy, body string) {
	t.Helper()
	resp, err := http.Post(proxy+"/chat/completions", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(got, []byte("[DONE]")) {
		t.Fatalf("%s, %v: %s", resp.Status, err, got)
	}
	for data := range bytes.SplitSeq(got, []byte("\n\n")) {
		var chunk struct{ Usage any }
		if data = bytes.TrimPrefix(data, []byte("data: ")); json.Unmarshal(data, &chunk) == nil && chunk.Usage != nil {
			t.Errorf("the agent gets usage that it did not ask for: %s", data)
		}
	}
}
