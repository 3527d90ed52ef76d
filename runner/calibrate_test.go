package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"agentwatt/runner/internal/bench"
)

// The calibration's server is a process of its own, and through TLS the client trusts it alone.
func TestCalibrateThroughTLS(t *testing.T) {
	out, err := exec.Command("runner", "calibrate", "--tls", "--up-to", "1", "--json").Output()
	var c bench.Calibration
	if err != nil || json.Unmarshal(out, &c) != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if len(c.Steps) != 1 || c.Steps[0].Chunks == 0 || c.Steps[0].TTFT.N == 0 || c.Steps[0].Stamp.N == 0 {
		t.Errorf("%s", out)
	}
}

func TestCalibrationServer(t *testing.T) {
	at, err := calibrationServer("http://127.0.0.1:1/v1 \n")
	if err != nil || at.URL != "http://127.0.0.1:1/v1" || at.TLS != nil {
		t.Errorf("%+v, %v", at, err)
	}
	for line, want := range map[string]string{"https://x !": "illegal base64", "https://x AAAA": "certificate"} {
		if _, err := calibrationServer(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}
