//go:build linux && cgo

package nvml

import (
	"encoding/binary"
	"math"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

// kind names one value of a GPU and is the last part of its meter's ID.
type kind string

const (
	energy  kind = "energy"  // counter since driver load
	instant kind = "instant" // power of the sensor's last window
	average kind = "average" // power over the last second
	draw    kind = "draw"    // nvmlDeviceGetPowerUsage, whose meaning depends on the chip
	ring    kind = "ring"    // power, as the driver recorded it

	moduleEnergy  kind = "module-energy"
	moduleInstant kind = "module-instant"
	moduleAverage kind = "module-average"
	moduleRing    kind = "module-ring"

	memoryEnergy  kind = "memory-energy"
	memoryInstant kind = "memory-instant"
	memoryAverage kind = "memory-average"
)

// field is one row of what is asked of every GPU.
type field struct {
	kind  kind
	id    uint32 // NVML_FI_DEV_*
	scope uint32 // scopeId, NVML_POWER_SCOPE_*
	of    power.Scope
}

// The scopes of power fields. For limits 2 is something else; meterd asks for no limit there.
const (
	scopeGPU    = lib.POWER_SCOPE_GPU
	scopeModule = lib.POWER_SCOPE_MODULE
	scopeMemory = lib.POWER_SCOPE_MEMORY
)

// milli converts millijoules and milliwatts, the units of all NVML power values.
func milli() power.Scale { return power.Scale{Num: 1000, Den: 1} }

// fields lists what may be asked for. Field 191 is field 83 with a scope, in newer drivers.
func fields() []field {
	return []field{
		{energy, lib.FI_DEV_TOTAL_ENERGY_CONSUMPTION, scopeGPU, power.Accelerator},
		{instant, lib.FI_DEV_POWER_INSTANT, scopeGPU, power.Accelerator},
		{average, lib.FI_DEV_POWER_AVERAGE, scopeGPU, power.Accelerator},
		{memoryEnergy, lib.FI_DEV_ENERGY, scopeMemory, power.Memory},
		{memoryInstant, lib.FI_DEV_POWER_INSTANT, scopeMemory, power.Memory},
		{memoryAverage, lib.FI_DEV_POWER_AVERAGE, scopeMemory, power.Memory},
		{moduleEnergy, lib.FI_DEV_ENERGY, scopeModule, power.Module},
		{moduleInstant, lib.FI_DEV_POWER_INSTANT, scopeModule, power.Module},
		{moduleAverage, lib.FI_DEV_POWER_AVERAGE, scopeModule, power.Module},
	}
}

// blank makes v ask for field id and scope again. The library overwrites only part of the value union
// (go-nvml issue 46) and may leave an entry it does not know untouched, so nothing of the previous answer stays and
// an untouched entry reads as an error.
func blank(v *lib.FieldValue) {
	*v = lib.FieldValue{
		FieldId: v.FieldId, ScopeId: v.ScopeId,
		ValueType:  uint32(lib.VALUE_TYPE_COUNT),
		NvmlReturn: uint32(lib.ERROR_UNKNOWN),
	}
}

// decode returns the count in v, or why there is none.
func decode(v *lib.FieldValue) (int64, lib.Return) {
	if ret := lib.Return(v.NvmlReturn); ret != lib.SUCCESS {
		return 0, ret
	}
	raw, ok := count(lib.ValueType(v.ValueType), v.Value)
	if !ok {
		return 0, lib.ERROR_INVALID_STATE
	}
	return raw, lib.SUCCESS
}

// count reads the union value as its type says. Energy and power are not negative: a value that is, one that does not
// fit into an int64, and one of an unknown type are not counts.
func count(t lib.ValueType, value [8]byte) (n int64, ok bool) {
	bits := binary.NativeEndian.Uint64(value[:])
	half := binary.NativeEndian.Uint32(value[:])
	switch t {
	case lib.VALUE_TYPE_DOUBLE:
		f := math.Float64frombits(bits)
		if !(f >= 0 && f < 1<<63) { // false for NaN too
			return 0, false
		}
		n = int64(math.Round(f))
	case lib.VALUE_TYPE_UNSIGNED_INT:
		n = int64(half)
	case lib.VALUE_TYPE_UNSIGNED_LONG, lib.VALUE_TYPE_UNSIGNED_LONG_LONG, lib.VALUE_TYPE_SIGNED_LONG_LONG:
		n = int64(bits) // unsigned above 1<<63 turns negative
	case lib.VALUE_TYPE_SIGNED_INT:
		n = int64(int32(half))
	case lib.VALUE_TYPE_UNSIGNED_SHORT:
		n = int64(binary.NativeEndian.Uint16(value[:]))
	default:
		return 0, false
	}
	return n, n >= 0
}

// status says what a return code means for one sample.
func status(ret lib.Return) power.Status {
	switch ret {
	case lib.SUCCESS:
		return power.OK
	case lib.ERROR_NOT_SUPPORTED, lib.ERROR_INVALID_ARGUMENT, lib.ERROR_FUNCTION_NOT_FOUND:
		return power.Unsupported // an unknown field id is an invalid argument to old drivers
	case lib.ERROR_NO_PERMISSION:
		return power.Denied
	case lib.ERROR_GPU_IS_LOST, lib.ERROR_GPU_NOT_FOUND, lib.ERROR_RESET_REQUIRED, lib.ERROR_UNINITIALIZED,
		lib.ERROR_DRIVER_NOT_LOADED, lib.ERROR_LIB_RM_VERSION_MISMATCH:
		return power.Lost
	}
	return power.Failed
}
