//go:build linux && cgo

package nvml

import (
	"fmt"
	"math/bits"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

// A module is a Grace processor with its memory and its GPUs: one GPU on a GH200, two on a GB200 or GB300. Each of its GPUs may tell
// the module's power, which is counted once: it is read through the first of them. Which GPUs sit on one module is told by the
// processor that they hang on. The platform's module id (nvmlDeviceGetPlatformInfo) is no help: it numbers the GPUs of a node.

// home returns the number of the processor that the GPU hangs on: the first NUMA node near it. On a GB200 the list is such as
// "0,2-17", the processor's node and those of the GPU's own memory.
func (d *device) home() (node int, ok bool) {
	if !d.lib.has("nvmlDeviceGetMemoryAffinity") {
		return 0, false
	}
	set, ret := d.handle.GetMemoryAffinity(1024, lib.AFFINITY_SCOPE_NODE)
	if ret != lib.SUCCESS {
		return 0, false
	}
	for i, word := range set {
		if word != 0 {
			return i*bits.UintSize + bits.TrailingZeros(word), true
		}
	}
	return 0, false
}

// modules gives each module to the GPU that it is read through, and returns why others are not read. A module stays with
// a GPU that is lost. The name of a module is that of package hwmon for "Module Power Socket N": it is the same thing and must
// not be counted twice.
func modules(devices []*device) (absent []string) {
	through := map[int]*device{} // by processor
	var tellers []*device
	for _, d := range devices {
		switch {
		case d.lost: // it cannot be asked
			if d.module != "" {
				through[d.node] = d
			}
		case len(d.offer.module) > 0:
			tellers = append(tellers, d)
		}
	}
	for _, d := range tellers {
		node, ok := d.home()
		first := through[node]
		switch {
		case !ok && len(tellers) > 1:
			absent = append(absent, d.says("module power: the driver does not tell which module the GPU is on, and %d GPUs tell of one: it might be counted twice", len(tellers)))
		case ok && first != nil:
			absent = append(absent, d.says("module power: read through GPU %d, as module-%d", first.index, node))
		case ok && !whole(d, devices, node):
			absent = append(absent, d.says("module power: less than the GPUs of processor %d draw, so it is not the whole module's", node))
		default:
			through[node] = d
			d.give(node)
		}
	}
	return absent
}

// whole reports whether the power that d tells of its module is at least that of the module's GPUs, but for a tenth that their
// powers may move from one call to the next.
func whole(d *device, devices []*device, node int) bool {
	module, ok := d.told(moduleAverage, moduleInstant)
	if !ok {
		return true // nothing to judge by
	}
	var gpus int64
	for _, other := range devices {
		if other.lost {
			continue
		}
		if n, ok := other.home(); ok && n == node {
			own, _ := other.told(average, instant)
			gpus += own
		}
	}
	return 10*module >= 9*gpus
}

// told returns the first of kinds that the GPU answered with a value.
func (d *device) told(kinds ...kind) (int64, bool) {
	for _, k := range kinds {
		for _, a := range d.answers {
			if a.kind == k && a.ret == lib.SUCCESS {
				return a.raw, true
			}
		}
	}
	return 0, false
}

// give makes d the GPU through which a module is read.
func (d *device) give(node int) {
	d.node, d.module = node, moduleName(node)
	limit := power.Power(0)
	if most, ret := d.ask(lib.FI_DEV_POWER_MAX_LIMIT, scopeModule); ret == lib.SUCCESS {
		limit = power.Power(most) * power.Milliwatt
	}
	for _, f := range d.offer.module {
		d.add(f, d.meter(f.kind, f.of, d.module, limit))
	}
}

// moduleName names the module of a processor.
func moduleName(node int) string { return fmt.Sprintf("module-%d", node) }

// ask reads one field.
func (d *device) ask(id, scope uint32) (int64, lib.Return) {
	v := []lib.FieldValue{{FieldId: id, ScopeId: scope}}
	blank(&v[0])
	if ret := d.handle.GetFieldValues(v); ret != lib.SUCCESS {
		return 0, ret
	}
	return decode(&v[0])
}
