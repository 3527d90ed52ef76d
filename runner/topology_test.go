package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/fault"
	"agentwatt/shared/power"
)

// metered is what two GPUs and a BMC of host gpu01 publish.
func metered(names ...string) []power.Batch {
	b := power.Batch{Host: "gpu01", Source: "test"}
	for _, n := range names {
		m := power.Meter{ID: "nvml/" + n + "/energy", Device: n, Scope: power.Accelerator, Quantity: power.Counter}
		if n == "gpu01" {
			m.ID, m.Scope, m.Quantity = "ipmi/gpu01/dcmi", power.Node, power.Held
		}
		b.Meters = append(b.Meters, m)
	}
	return []power.Batch{b}
}

func TestTopologySaysWhatMustBeThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "topology.yaml")
	const text = "nodes:\n  - name: gpu01\n    input: gpu01\n    accelerators: [GPU-aa, GPU-bb]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := config{Power: powerConfig{Topology: file}}.readLayout()
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := l.expected(metered("GPU-bb", "GPU-aa", "gpu01"), nil)
	if diff := cmp.Diff([]string{"gpu01/GPU-aa", "gpu01/GPU-bb", "gpu01/gpu01"}, got); diff != "" || err != nil {
		t.Errorf("all scopes: %v\n%s", err, diff)
	}
	got, _, err = l.expected(metered("GPU-bb", "GPU-aa", "gpu01"), []power.Scope{power.Accelerator})
	if diff := cmp.Diff([]string{"gpu01/GPU-aa", "gpu01/GPU-bb"}, got); diff != "" || err != nil {
		t.Errorf("accelerators: %v\n%s", err, diff)
	}
	_, _, err = l.expected(metered("GPU-aa", "gpu01"), nil)
	if err == nil || fault.Code(err) != fault.Invalid || !strings.Contains(err.Error(), "GPU-bb") || fault.Advice(err) == "" {
		t.Errorf("a GPU is not metered: got %v, want exit code 3 that names it", err)
	}
}

func TestTopologyFileErrors(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("nodes:\n  - nmae: gpu01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{broken: "broken.yaml:2:5", filepath.Join(dir, "none.yaml"): "no such file"} {
		_, err := config{Power: powerConfig{Topology: file}}.readLayout()
		if err == nil || fault.Code(err) != fault.Usage || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want a usage error with %q", err, want)
		}
	}
	if l, err := (config{}).readLayout(); l != nil || err != nil {
		t.Errorf("no file: %v, %v", l, err)
	}
}
