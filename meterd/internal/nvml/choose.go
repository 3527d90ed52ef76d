//go:build linux && cgo

package nvml

import (
	"fmt"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

// answer is what a GPU said about one field.
type answer struct {
	field
	raw int64
	ret lib.Return
}

// offer is what of a GPU's answers can be read and believed.
type offer struct {
	own    []field // of the GPU itself and its memory
	module []field // of the module that it sits on
	absent []string
}

// choose decides which fields are meters. A field of the GPU itself that fails for another reason than missing support is kept:
// its samples will say so. A field of a module or of memory must have answered, with something else than the GPU's own value:
// drivers that do not know scopes ignore them.
func choose(answers []answer, d die) offer {
	var o offer
	if len(answers) == 0 { // fields cannot be asked for
		return o
	}
	by := map[kind]answer{}
	for _, a := range answers {
		by[a.kind] = a
	}
	for _, a := range answers {
		switch {
		case a.scope != scopeGPU:
		case never(a.ret):
			o.absent = append(o.absent, a.why())
		default:
			o.own = append(o.own, a.field)
		}
	}
	memory := o.scoped(by, memoryInstant, memoryAverage, memoryEnergy)
	o.own = append(o.own, memory...)
	o.module = o.scoped(by, moduleInstant, moduleAverage)
	o.counter(by, d)
	return o
}

// own names the GPU's own value beside a scoped one.
func (k kind) own() kind {
	switch k {
	case moduleEnergy, memoryEnergy:
		return energy
	case moduleInstant, memoryInstant:
		return instant
	case moduleAverage, memoryAverage:
		return average
	}
	return k
}

// scoped returns those of kinds, all of one scope, that can be believed. If none is offered there is no such scope here, which is
// not worth a word per GPU.
func (o *offer) scoped(by map[kind]answer, kinds ...kind) (believed []field) {
	var absent []string
	some := false
	for _, k := range kinds {
		a, own := by[k], by[k.own()]
		switch {
		case a.ret != lib.SUCCESS:
			absent = append(absent, a.why())
		case own.ret == lib.SUCCESS && own.raw == a.raw:
			some = true
			absent = append(absent, fmt.Sprintf("%s (field %d): the same as %s: this driver does not look at the scope", k, a.id, own.kind))
		default:
			some = true
			believed = append(believed, a.field)
		}
	}
	if some {
		o.absent = append(o.absent, absent...)
	}
	return believed
}

// counter decides whose energy the counters count. On the GH200 field 83 counts the module (zeus pull request 172): if field 191
// says the same of the module as field 83 of the GPU, or if there is no 191 beside the module's power on that die, the GPU
// has no counter of its own.
func (o *offer) counter(by map[kind]answer, d die) {
	module, own := by[moduleEnergy], by[energy]
	has := module.ret == lib.SUCCESS
	same := has && own.ret == lib.SUCCESS && own.raw == module.raw
	switch {
	case len(o.module) == 0 && (same || !has): // there is no module, or nobody can say that there is one
		return
	case has:
		o.module = append([]field{module.field}, o.module...)
	case d.name == "GH100" && own.ret == lib.SUCCESS:
		o.module = append([]field{{moduleEnergy, own.id, own.scope, power.Module}}, o.module...)
		same = true
	default:
		o.absent = append(o.absent, module.why())
	}
	if same {
		o.own = without(o.own, energy)
		o.absent = append(o.absent, fmt.Sprintf("%s (field %d): counts the module's energy, and is listed there", energy, own.id))
	}
}

// without returns fields but for one kind.
func without(fields []field, k kind) (rest []field) {
	for _, f := range fields {
		if f.kind != k {
			rest = append(rest, f)
		}
	}
	return rest
}

// why says why a field is not a meter.
func (a answer) why() string { return fmt.Sprintf("%s (field %d): %v", a.kind, a.id, a.ret) }

// never reports whether a value that once answered with ret will not come later either.
func never(ret lib.Return) bool {
	s := status(ret)
	return s == power.Unsupported || s == power.Denied
}
