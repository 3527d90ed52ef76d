package amdgpu

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

func TestNotes(t *testing.T) {
	tr := newTree(t)
	must(t, os.MkdirAll(filepath.Join(tr.root, "module", "amdgpu"), 0o755))
	must(t, os.WriteFile(filepath.Join(tr.root, "module", "amdgpu", "version"), []byte("6.12.12\n"), 0o600))
	files := hwmonFiles("750")
	files["unique_id"], files["current_compute_partition"] = "8b1b12a8cd1bd1ae", "SPX"
	tr.plug("card0", pci0, "0x74a1", gpu{revision: "1.7", load: load{low: 300}}, files)
	s := tr.open()
	check := func(what string, want ...string) {
		t.Helper()
		tr.read(s)
		var got []string
		for _, n := range s.Notes(nil) {
			got = append(got, strings.TrimSpace(n.Device+" "+n.Key+" "+n.Value))
			if n.Time%1000 != 0 || n.Time == 0 {
				t.Errorf("%s: note at %d", n.Key, n.Time)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("at first", pci0+" unique_id 8b1b12a8cd1bd1ae", pci0+" gpu_metrics_version 1.7", pci0+" power_limit_watts 750",
		pci0+" partition_mode SPX", "driver_version 6.12.12")
	tr.advance(10 * time.Second)
	check("nothing new")
	tr.put(pci0, "hwmon/hwmon3/power1_cap", "500000000")
	tr.put(pci0, "current_compute_partition", "CPX")
	check("too soon")
	tr.gpus[pci0].stopped = tr.elapsed
	tr.advance(5 * time.Second)
	check("changed, and frozen for 5 s", pci0+" energy_counter frozen", pci0+" power_limit_watts 500", pci0+" partition_mode CPX")
	tr.advance(2 * time.Second)
	check("still frozen")
	tr.gpus[pci0].stopped = 0
	tr.advance(time.Second)
	check("counting again", pci0+" energy_counter counting")
}

func TestOpenSaysWhyThereIsNothing(t *testing.T) {
	bare := newTree(t)
	bare.plug("card0", pci0, "0x6860", gpu{revision: "1.3", change: func(b []byte) { b[2] = 3 }}, nil)
	for name, c := range map[string]struct {
		tr   *tree
		want string
		hint bool
	}{
		"no drm":              {newTree(t), "no AMD GPU in", false},
		"a card with nothing": {bare, pci0 + ": read", true},
	} {
		_, err := Open(t.Context(), Options{SysRoot: c.tr.root, Now: c.tr.now})
		if !errors.Is(err, sampler.ErrUnavailable) || !strings.Contains(err.Error(), c.want) || (fault.Advice(err) != "") != c.hint {
			t.Errorf("%s: %v (hint %q), want not available with %q", name, err, fault.Advice(err), c.want)
		}
	}
}
