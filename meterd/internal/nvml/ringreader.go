//go:build linux && cgo

package nvml

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

typedef int (*get_samples)(void *device, int type, unsigned long long seen, int *value_type, unsigned *n, void *samples);

static void *find_get_samples(void) { return dlsym(RTLD_DEFAULT, "nvmlDeviceGetSamples"); }

static int call_get_samples(void *f, void *device, int type, unsigned long long seen, int *value_type, unsigned *n, void *samples) {
	return ((get_samples)f)(device, type, seen, value_type, n, samples);
}
*/
import "C"

import (
	"reflect"
	"unsafe"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// ringReader calls nvmlDeviceGetSamples with a buffer of its own. go-nvml asks twice, how many and which, and allocates
// each time; ten times a second per GPU that is not free.
type ringReader struct {
	function unsafe.Pointer
	device   unsafe.Pointer // nvmlDevice_t
	sampled  C.int
	value    C.int  // nvmlValueType_t of the last answer
	n        C.uint // in: room; out: samples
	buffer   []lib.Sample
}

func newRingReader(handle lib.Device, sampled lib.SamplingType) *ringReader {
	r := &ringReader{function: C.find_get_samples(), sampled: C.int(sampled), buffer: make([]lib.Sample, mostRing)}
	if v := reflect.ValueOf(handle); v.Kind() == reflect.Struct && v.NumField() == 1 && v.Field(0).Kind() == reflect.Pointer {
		r.device = v.Field(0).UnsafePointer() // go-nvml's device is the library's handle in a struct
	}
	return r
}

// since returns the samples that are newer than seen, at most mostRing, in a slice that the next call overwrites.
func (r *ringReader) since(seen uint64) ([]lib.Sample, lib.Return) {
	if r.function == nil || r.device == nil {
		return nil, lib.ERROR_FUNCTION_NOT_FOUND
	}
	r.n, r.value = C.uint(len(r.buffer)), C.int(lib.VALUE_TYPE_COUNT)
	ret := lib.Return(C.call_get_samples(r.function, r.device, r.sampled, C.ulonglong(seen), &r.value, &r.n, unsafe.Pointer(&r.buffer[0])))
	if ret != lib.SUCCESS {
		return nil, ret
	}
	return r.buffer[:min(int(r.n), len(r.buffer))], ret
}

// kind is the type of the values of the last answer.
func (r *ringReader) kind() lib.ValueType { return lib.ValueType(r.value) }
