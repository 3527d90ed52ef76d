//go:build linux && cgo

package nvml

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

var _ sampler.Noter = (*Source)(nil)

// Every module is read once, whatever its GPUs tell, and the meters of a module belong to no GPU.
func TestModules(t *testing.T) {
	tests := []struct {
		name    string
		env     []string
		modules []string // devices with scope module, once for each meter
		absent  []string // a part of each, without the lines on scopes
	}{
		{"no module", nil, nil, nil},
		{"GB200 tray", []string{"DEVICES", "4", "MODULE", "2", "CAPABILITY", "10.0"},
			[]string{"module-0", "module-0", "module-0", "module-1", "module-1", "module-1"},
			[]string{"GPU 1 " + gpu(1) + ": module power: read through GPU 0, as module-0", "GPU 3 " + gpu(3) + ": module power: read through GPU 2, as module-1"}},
		{"GH200", []string{"DEVICES", "1", "MODULE", "1"}, []string{"module-0", "module-0", "module-0"}, nil},
		{"nobody tells who sits where", []string{"DEVICES", "2", "MODULE", "2", "CAPABILITY", "10.0", "QUIRK", "homeless"},
			nil, []string{"GPU 0 " + gpu(0) + ": module power: the driver does not tell", "GPU 1 " + gpu(1) + ": module power: the driver does not tell"}},
		{"one GPU needs no seat", []string{"MODULE", "1", "QUIRK", "homeless"}, []string{"module-0", "module-0", "module-0"}, nil},
		{"each GPU tells its share", []string{"DEVICES", "2", "MODULE", "2", "CAPABILITY", "10.0", "QUIRK", "apart"},
			nil, []string{"less than the GPUs of processor 0 draw", "less than the GPUs of processor 0 draw"}},
		{"scopes are ignored", []string{"DEVICES", "2", "MODULE", "2", "CAPABILITY", "10.0", "QUIRK", "ignored"}, nil,
			[]string{"the same as instant", "the same as average", "the same as instant", "the same as average"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := openStub(t, test.env...)
			var modules []string
			for _, m := range s.Meters() {
				if m.Scope == power.Module {
					modules = append(modules, m.Device)
				}
			}
			if diff := cmp.Diff(test.modules, modules); diff != "" {
				t.Errorf("modules (-want +got):\n%s", diff)
			}
			for _, want := range test.absent {
				if !slices.ContainsFunc(s.Absent(), func(s string) bool { return strings.Contains(s, want) }) {
					t.Errorf("absent %q, want %q", s.Absent(), want)
				}
			}
			for i, sample := range s.read() {
				if sample.Status != power.OK || sample.Raw == 0 {
					t.Errorf("%s: %+v, want a value", s.Meters()[i].ID, sample)
				}
			}
		})
	}
}

// The energy of a module is that of its GPUs and its processor, once.
func TestModuleEnergy(t *testing.T) {
	s := openStub(t, "DEVICES", "4", "MODULE", "2", "CAPABILITY", "10.0", "WAVE", "square 120 680 0.73", "MEMORY", "1")
	samples := s.record(73*time.Millisecond, 32*time.Second)
	begin, end := clock.Stamp(epoch+time.Second), clock.Stamp(epoch+30*time.Second)
	joules := map[power.Scope]float64{}
	for i, m := range s.Meters() {
		if m.Quantity == power.Counter {
			use := power.Between(m, of(samples, i), begin, end)
			if !use.Valid {
				t.Errorf("%s: %v", m.ID, use.Warnings)
			}
			joules[m.Scope] += use.Energy.Joules()
		}
	}
	gpus := joules[power.Accelerator]
	for scope, want := range map[power.Scope]float64{power.Module: gpus + 2*150*29, power.Memory: 0.15 * gpus} {
		if got := joules[scope]; math.Abs(got/want-1) > 0.001 {
			t.Errorf("%s: %.1f J, want %.1f J", scope, got, want)
		}
	}
}

// On the GH200 field 83 counts the module: it is a meter of the module then, and the GPU has no counter.
func TestCounterOfTheModule(t *testing.T) {
	for _, quirk := range []string{"counter", "same"} {
		t.Run(quirk, func(t *testing.T) {
			s := openStub(t, "MODULE", "1", "QUIRK", quirk)
			var counters []string
			for _, m := range s.Meters() {
				if m.Quantity == power.Counter {
					counters = append(counters, m.ID+" "+string(m.Scope))
				}
			}
			if diff := cmp.Diff([]string{"nvml/module-0/module-energy module"}, counters); diff != "" {
				t.Fatalf("counters (-want +got):\n%s", diff)
			}
			if got, want := s.read()[s.meter(moduleEnergy)].Raw, int64(550*1000*epoch/time.Second); got != want {
				t.Errorf("%d mJ, want %d", got, want)
			}
		})
	}
}

// A module goes and comes with the GPU that it is read through, under the same name, and nobody else takes it meanwhile.
func TestModuleIsLostWithItsGPU(t *testing.T) {
	s := openStub(t, "DEVICES", "2", "MODULE", "2", "CAPABILITY", "10.0")
	meters := s.Meters()
	s.control("lost 0\n")
	s.read()
	s.advance(retryLost)
	got := s.read()
	if len(got) != len(meters) || got[s.meter(moduleEnergy)].Status != power.Lost || got[len(got)-1].Status != power.OK {
		t.Errorf("got %+v, want the module lost, and GPU 1 there", got)
	}
	if diff := cmp.Diff(meters, s.Meters()); diff != "" {
		t.Errorf("meters changed:\n%s", diff)
	}
	s.control("\n")
	s.advance(retryLost)
	if got := s.read(); got[s.meter(moduleEnergy)].Status != power.OK {
		t.Errorf("got %+v, want the module back", got)
	}
}

func gpu(i int) string { return uuid0[:len(uuid0)-1] + string(rune('0'+i)) }
