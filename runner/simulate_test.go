package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/fault"
)

func TestSimulateListensOnThisMachineOnly(t *testing.T) {
	tests := []struct {
		address string
		remote  bool
		want    int
	}{
		{"127.0.0.1:8000", false, fault.Done},
		{"[::1]:8000", false, fault.Done},
		{"localhost:0", false, fault.Done},
		{":8000", false, fault.Usage},
		{"0.0.0.0:8000", false, fault.Usage},
		{"example.com:8000", false, fault.Usage},
		{"0.0.0.0:8000", true, fault.Done},
		{"127.0.0.1", true, fault.Usage},
	}
	for _, tt := range tests {
		if got := fault.Code(checkListen(tt.address, tt.remote)); got != tt.want {
			t.Errorf("--listen %s, remote %v: code %d, want %d", tt.address, tt.remote, got, tt.want)
		}
	}
}

func TestSimulateParametersComeInOrder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.yaml")
	if err := os.WriteFile(file, []byte("max_batch: 3\ndevices: 5\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want, err := simulate.Preset("speculative")
	if err != nil {
		t.Fatal(err)
	}
	want.MaxBatch, want.Devices = 3, 7
	got, err := simulateFlags{preset: "speculative", params: file, set: []string{"devices=7"}}.engine()
	if err != nil || got != want {
		t.Errorf("%+v, error %v; want %+v", got, err, want)
	}
	for _, f := range []simulateFlags{
		{preset: "nope"},
		{preset: "demo", params: file + "x"},
		{preset: "demo", set: []string{"devices"}},
		{preset: "demo", set: []string{"device=7"}},
		{preset: "demo", set: []string{"devices=0"}},
	} {
		if _, err := f.engine(); err == nil {
			t.Errorf("%+v: no error", f)
		}
	}
}

func TestSimulateBannerSaysSimulated(t *testing.T) {
	p, err := simulate.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	got := simulateBanner(p, "simulated/demo", "127.0.0.1:8000")
	if !strings.HasPrefix(got, "SIMULATED ") || strings.Contains(got, "\n") || !strings.Contains(got, "http://127.0.0.1:8000/power") {
		t.Errorf("banner %q", got)
	}
}
