package search

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
)

func TestHostLoad(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "stat")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	begin := processors(write("cpu  30 0 10 160 0 0 0 0 0 0\ncpu0 10 0 5 85 0 0 0 0 0 0\ncpu1 20 0 5 75 0 0 0 0 0 0\nintr 7\n"))
	end := processors(write("cpu  70 0 20 290 10 0 0 10 0 0\ncpu0 40 0 10 140 0 0 0 10 0 0\ncpu1 30 0 10 150 10 0 0 0 0 0\nintr 9\n"))
	want := &bench.HostLoad{Stolen: 0.05, Busiest: 0.45} // 10 of 200; cpu0: 45 of 100 busy
	if diff := cmp.Diff(want, load(begin, end)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, got := range map[string]*bench.HostLoad{"no file": load(processors("/nonexistent"), end), "another machine": load(begin[:1], end), "no time passed": load(end, end)} {
		if got != nil {
			t.Errorf("%s: got %+v, want nothing", name, got)
		}
	}
	if real := processors(procStat); real != nil && real[0].all <= 0 {
		t.Errorf("this machine: %+v", real)
	}
}
