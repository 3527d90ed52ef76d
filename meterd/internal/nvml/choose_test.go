//go:build linux && cgo

package nvml

import (
	"strings"
	"testing"
	"testing/quick"

	"github.com/google/go-cmp/cmp"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

// said makes the answers of a GPU: the values given, and Not Supported for all others.
func said(values map[kind]int64) (answers []answer) {
	for _, f := range fields() {
		a := answer{field: f, ret: lib.ERROR_NOT_SUPPORTED}
		if raw, ok := values[f.kind]; ok {
			a.raw, a.ret = raw, lib.SUCCESS
		}
		answers = append(answers, a)
	}
	return answers
}

func TestChoose(t *testing.T) {
	hopper, blackwell := dieOf(9, 0), dieOf(10, 0)
	tests := []struct {
		name        string
		die         die
		values      map[kind]int64
		own, module []kind
		absent      []string // a part of each
	}{
		{
			"H100", hopper, map[kind]int64{energy: 9000, instant: 400, average: 410, memoryAverage: 60},
			[]kind{energy, instant, average, memoryAverage}, nil, []string{"memory-instant (field 186)", "memory-energy (field 191)"},
		},
		{
			"a driver that does not look at the scope", hopper,
			map[kind]int64{energy: 9000, instant: 400, average: 410, memoryAverage: 410, memoryInstant: 400, moduleAverage: 410, moduleInstant: 400},
			[]kind{energy, instant, average}, nil,
			[]string{"memory-instant (field 186): the same as instant", "memory-average (field 185): the same", "memory-energy (field 191)",
				"module-instant (field 186): the same as instant", "module-average (field 185): the same"},
		},
		{
			"a driver that does not look at the scope of 191 either", hopper,
			map[kind]int64{energy: 9000, instant: 400, moduleEnergy: 9000, memoryEnergy: 9000, moduleInstant: 400},
			[]kind{energy, instant}, nil, []string{"average (field 185)", "memory-instant", "memory-average", "memory-energy (field 191): the same",
				"module-instant (field 186): the same", "module-average"},
		},
		{
			"GB200", blackwell, map[kind]int64{energy: 9000, instant: 400, average: 410, moduleEnergy: 20000, moduleInstant: 950, moduleAverage: 960},
			[]kind{energy, instant, average}, []kind{moduleEnergy, moduleInstant, moduleAverage}, nil,
		},
		{
			"a module without a counter", blackwell, map[kind]int64{energy: 9000, instant: 400, average: 410, moduleAverage: 960},
			[]kind{energy, instant, average}, []kind{moduleAverage}, []string{"module-instant (field 186)", "module-energy (field 191)"},
		},
		{
			"GH200 whose counters are one", hopper, map[kind]int64{energy: 9000, instant: 400, average: 410, moduleEnergy: 9000, moduleAverage: 550},
			[]kind{instant, average}, []kind{moduleEnergy, moduleAverage}, []string{"module-instant (field 186)", "energy (field 83): counts the module's"},
		},
		{
			"GH200 before field 191", hopper, map[kind]int64{energy: 9000, instant: 400, average: 410, moduleAverage: 550},
			[]kind{instant, average}, []kind{moduleEnergy, moduleAverage}, []string{"module-instant (field 186)", "energy (field 83): counts the module's"},
		},
		{
			"only the module answers", blackwell, map[kind]int64{moduleEnergy: 9000, moduleInstant: 950},
			nil, []kind{moduleEnergy, moduleInstant}, []string{"energy (field 83)", "instant (field 186)", "average (field 185)", "module-average"},
		},
		{"nothing", blackwell, nil, nil, nil, []string{"energy (field 83)", "instant (field 186)", "average (field 185)"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := choose(said(test.values), test.die)
			if diff := cmp.Diff(test.own, kindsOf(got.own)); diff != "" {
				t.Errorf("of the GPU (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.module, kindsOf(got.module)); diff != "" {
				t.Errorf("of the module (-want +got):\n%s", diff)
			}
			if len(got.absent) != len(test.absent) {
				t.Fatalf("absent %q, want %q", got.absent, test.absent)
			}
			for i, want := range test.absent {
				if !strings.Contains(got.absent[i], want) {
					t.Errorf("absent %q, want %q in it", got.absent[i], want)
				}
			}
		})
	}
}

func kindsOf(fields []field) (kinds []kind) {
	for _, f := range fields {
		kinds = append(kinds, f.kind)
	}
	return kinds
}

// Whatever a GPU answers: no value is listed twice, none is listed and absent, nothing that is not of the GPU itself is listed without an
// answer, and no power of a scope is listed that equals the GPU's own.
func TestChooseInvariants(t *testing.T) {
	if err := quick.Check(func(raw [9]uint8, ret [9]uint8, hopper bool) bool {
		rets := []lib.Return{lib.SUCCESS, lib.SUCCESS, lib.ERROR_NOT_SUPPORTED, lib.ERROR_UNKNOWN, lib.ERROR_GPU_IS_LOST}
		var answers []answer
		by := map[kind]answer{}
		for i, f := range fields() {
			a := answer{field: f, raw: int64(raw[i] % 3), ret: rets[int(ret[i])%len(rets)]}
			answers, by[f.kind] = append(answers, a), a
		}
		d := dieOf(10, 0)
		if hopper {
			d = dieOf(9, 0)
		}
		got := choose(answers, d)
		listed := map[kind]bool{}
		for _, f := range append(got.own, got.module...) {
			if listed[f.kind] {
				return false
			}
			listed[f.kind] = true
			a := by[f.kind]
			if f.id == a.id && f.scope != scopeGPU && a.ret != lib.SUCCESS {
				return false
			}
			own := by[f.kind.own()]
			if f.scope != scopeGPU && f.kind != moduleEnergy && own.ret == lib.SUCCESS && own.raw == a.raw {
				return false
			}
			for _, reason := range got.absent {
				if strings.HasPrefix(reason, string(f.kind)+" ") {
					return false
				}
			}
		}
		// One counter is never read as two.
		return !(listed[energy] && listed[moduleEnergy] && by[energy].ret == lib.SUCCESS &&
			by[moduleEnergy].ret == lib.SUCCESS && by[energy].raw == by[moduleEnergy].raw)
	}, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
}

// The scopes that are asked for are those of nvml.h.
func TestScopes(t *testing.T) {
	for _, f := range fields() {
		want := map[power.Scope]uint32{power.Accelerator: 0, power.Module: 1, power.Memory: 2}[f.of]
		if f.scope != want {
			t.Errorf("%s asks scope %d for %s, want %d", f.kind, f.scope, f.of, want)
		}
	}
}
