//go:build linux && cgo

package amdsmi

/*
#cgo LDFLAGS: -ldl

#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint32_t status_t; // amdsmi_status_t

typedef struct {
	status_t (*init)(uint64_t flags);
	status_t (*shut_down)(void);
	status_t (*lib_version)(void *version);
	status_t (*socket_handles)(uint32_t *count, void **handles);
	status_t (*processor_handles)(void *socket, uint32_t *count, void **handles);
	status_t (*processor_type)(void *processor, uint32_t *type);
	status_t (*bdf)(void *processor, uint64_t *bdf);
	status_t (*energy_count)(void *processor, uint64_t *counts, float *microjoules, uint64_t *nanoseconds);
	status_t (*power_info)(void *processor, void *info);
	// From here on: not in every version.
	status_t (*uuid)(void *processor, unsigned int *length, char *uuid);
	status_t (*asic_info)(void *processor, void *info);
	status_t (*power_cap_info)(void *processor, uint32_t sensor, void *info);
	status_t (*compute_partition)(void *processor, char *mode, uint32_t length);
	status_t (*metrics_header)(void *processor, void *header);
} library_t;

static const struct { const char *name; size_t at; int required; } symbols[] = {
	{"amdsmi_init", offsetof(library_t, init), 1},
	{"amdsmi_shut_down", offsetof(library_t, shut_down), 1},
	{"amdsmi_get_lib_version", offsetof(library_t, lib_version), 1},
	{"amdsmi_get_socket_handles", offsetof(library_t, socket_handles), 1},
	{"amdsmi_get_processor_handles", offsetof(library_t, processor_handles), 1},
	{"amdsmi_get_processor_type", offsetof(library_t, processor_type), 1},
	{"amdsmi_get_gpu_device_bdf", offsetof(library_t, bdf), 1},
	{"amdsmi_get_energy_count", offsetof(library_t, energy_count), 1},
	{"amdsmi_get_power_info", offsetof(library_t, power_info), 1},
	{"amdsmi_get_gpu_device_uuid", offsetof(library_t, uuid), 0},
	{"amdsmi_get_gpu_asic_info", offsetof(library_t, asic_info), 0},
	{"amdsmi_get_power_cap_info", offsetof(library_t, power_cap_info), 0},
	{"amdsmi_get_gpu_compute_partition", offsetof(library_t, compute_partition), 0},
	{"amdsmi_get_gpu_metrics_header_info", offsetof(library_t, metrics_header), 0},
};

enum { SCRATCH = 4096 };

// What the library writes into. No structure of any known version is half as long as info, so that a version with a longer
// one does not write over anything else. Whatever it does not write stays all ones, which is its own mark for "not there".
typedef struct {
	status_t energy, power;
	uint64_t counts, nanoseconds;
	float microjoules;
	uint32_t number;
	uint64_t address;
	unsigned char info[SCRATCH];
} scratch_t;

// library_open loads the library without making its symbols global, and binds the functions by hand: nothing of it need be
// there when the program is linked or started. It stays loaded: it is C++ with threads and static objects.
static int library_open(library_t *l, const char *path, char *why, size_t length) {
	void *file = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
	if (!file) {
		snprintf(why, length, "%s", dlerror());
		return 1;
	}
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		void *f = dlsym(file, symbols[i].name);
		if (!f && symbols[i].required) {
			snprintf(why, length, "%s", symbols[i].name);
			return 2;
		}
		memcpy((char *)l + symbols[i].at, &f, sizeof f);
	}
	return 0;
}

static status_t library_init(library_t *l) { return l->init(2); } // AMDSMI_INIT_AMD_GPUS
static status_t library_shut_down(library_t *l) { return l->shut_down(); }

static void blank(scratch_t *s) { memset(s, 0xff, sizeof *s); }

static status_t library_version(library_t *l, scratch_t *s) { blank(s); return l->lib_version(s->info); }

static status_t library_sockets(library_t *l, uint32_t *count, void **handles) { return l->socket_handles(count, handles); }
static status_t library_processors(library_t *l, void *socket, uint32_t *count, void **handles) {
	return l->processor_handles(socket, count, handles);
}
static status_t library_type(library_t *l, void *p, scratch_t *s) { blank(s); return l->processor_type(p, &s->number); }
static status_t library_bdf(library_t *l, void *p, scratch_t *s) { blank(s); return l->bdf(p, &s->address); }

static void library_read(library_t *l, void *p, scratch_t *s) {
	blank(s);
	s->energy = l->energy_count(p, &s->counts, &s->microjoules, &s->nanoseconds);
	s->power = l->power_info(p, s->info);
}

enum { NOT_SUPPORTED = 2 };

static status_t library_uuid(library_t *l, void *p, scratch_t *s) {
	blank(s);
	unsigned int length = 38; // AMDSMI_GPU_UUID_SIZE
	return l->uuid ? l->uuid(p, &length, (char *)s->info) : NOT_SUPPORTED;
}
static status_t library_asic(library_t *l, void *p, scratch_t *s) {
	blank(s);
	return l->asic_info ? l->asic_info(p, s->info) : NOT_SUPPORTED;
}
static status_t library_cap(library_t *l, void *p, scratch_t *s) {
	blank(s);
	return l->power_cap_info ? l->power_cap_info(p, 0, s->info) : NOT_SUPPORTED;
}
static status_t library_partition(library_t *l, void *p, scratch_t *s) {
	blank(s);
	return l->compute_partition ? l->compute_partition(p, (char *)s->info, 32) : NOT_SUPPORTED;
}
static status_t library_header(library_t *l, void *p, scratch_t *s) {
	blank(s);
	return l->metrics_header ? l->metrics_header(p, s->info) : NOT_SUPPORTED;
}
*/
import "C"

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// code is an amdsmi_status_t; 0 is success.
type code uint32

// handle is the library's pointer to a processor; nil: none.
type handle unsafe.Pointer

// library is one loaded libamd_smi. Its functions are called by one thread (see thread).
type library struct {
	path    string
	funcs   *C.library_t
	scratch *C.scratch_t // overwritten by each call
}

// loadError says what went wrong with one candidate.
type loadError struct {
	path    string
	reason  string // the loader's
	missing string // a symbol that every libamd_smi has; empty if it could not be loaded at all
}

func (e *loadError) Error() string {
	if e.missing != "" {
		return fmt.Sprintf("%s has no symbol %s", e.path, e.missing)
	}
	return e.reason
}

// load loads the library at path.
func load(path string) (*library, error) {
	l := &library{path: path}
	l.funcs = (*C.library_t)(C.calloc(1, C.sizeof_library_t)) // as long-lived as the library, which is never unloaded
	l.scratch = (*C.scratch_t)(C.calloc(1, C.sizeof_scratch_t))
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	why := (*C.char)(unsafe.Pointer(&l.scratch.info[0]))
	failed := C.library_open(l.funcs, name, why, C.SCRATCH)
	if failed == 0 {
		return l, nil
	}
	err := &loadError{path: path, reason: C.GoString(why)}
	if failed == 2 {
		err.missing = err.reason
	}
	l.free()
	return nil, err
}

func (l *library) free() {
	C.free(unsafe.Pointer(l.funcs))
	C.free(unsafe.Pointer(l.scratch))
}

// info is what the last call wrote into the scratch memory.
func (l *library) info() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&l.scratch.info[0])), C.SCRATCH)
}

func (l *library) init() code     { return code(C.library_init(l.funcs)) }
func (l *library) shutDown() code { return code(C.library_shut_down(l.funcs)) }

// version returns the first four words of what the library says about its version.
func (l *library) version() (words [4]uint32, c code) {
	c = code(C.library_version(l.funcs, l.scratch))
	for i := range words {
		words[i] = binary.NativeEndian.Uint32(l.info()[4*i:])
	}
	return words, c
}

// mostHandles bounds what is asked of the library at once; no host has more sockets, nor a socket more partitions.
const mostHandles = 1024

// processors lists the processors of all sockets.
func (l *library) processors() (list []handle, c code) {
	handles := (*[mostHandles]unsafe.Pointer)(C.calloc(mostHandles, C.size_t(unsafe.Sizeof(uintptr(0)))))
	defer C.free(unsafe.Pointer(handles))
	count := C.uint32_t(mostHandles)
	if c = code(C.library_sockets(l.funcs, &count, &handles[0])); c != success {
		return nil, c
	}
	sockets := append([]unsafe.Pointer(nil), handles[:min(count, mostHandles)]...)
	for _, s := range sockets {
		count = mostHandles
		if c = code(C.library_processors(l.funcs, s, &count, &handles[0])); c != success {
			return nil, c
		}
		for _, p := range handles[:min(count, mostHandles)] {
			list = append(list, handle(p))
		}
	}
	return list, success
}

// processorType returns the kind of processor, AMDSMI_PROCESSOR_TYPE_*.
func (l *library) processorType(p handle) (uint32, code) {
	c := code(C.library_type(l.funcs, unsafe.Pointer(p), l.scratch))
	return uint32(l.scratch.number), c
}

// bdf returns the PCI address: function in bits 0-2, device 3-7, bus 8-15, domain above, in all versions.
func (l *library) bdf(p handle) (uint64, code) {
	c := code(C.library_bdf(l.funcs, unsafe.Pointer(p), l.scratch))
	return uint64(l.scratch.address), c
}

// reading is one answer of the library about a GPU's power.
type reading struct {
	energy, power code    // of the two calls
	counts        uint64  // all ones: not there
	resolution    float32 // microjoules per count, as the library has it
	info          []byte  // amdsmi_power_info_t, in the version's layout; valid until the next call
}

// read asks for energy and power: two calls.
func (l *library) read(p handle) reading {
	C.library_read(l.funcs, unsafe.Pointer(p), l.scratch)
	s := l.scratch
	return reading{code(s.energy), code(s.power), uint64(s.counts), float32(s.microjoules), l.info()}
}

// uuid, name and partition return a text as the library has it, in memory that is valid until the next call.
func (l *library) uuid(p handle) ([]byte, code) {
	return l.text(C.library_uuid(l.funcs, unsafe.Pointer(p), l.scratch))
}

func (l *library) name(p handle) ([]byte, code) { // market_name is the first member in all versions
	return l.text(C.library_asic(l.funcs, unsafe.Pointer(p), l.scratch))
}

func (l *library) partition(p handle) ([]byte, code) {
	return l.text(C.library_partition(l.funcs, unsafe.Pointer(p), l.scratch))
}

// text returns the text that a call left in the scratch memory.
func (l *library) text(c C.status_t) ([]byte, code) {
	if c != 0 {
		return nil, code(c)
	}
	return printable(l.info()), success
}

// powerCap returns amdsmi_power_cap_info_t: five uint64, in force, default, DPM, least and most, in all versions.
func (l *library) powerCap(p handle) ([]byte, code) {
	c := code(C.library_cap(l.funcs, unsafe.Pointer(p), l.scratch))
	return l.info(), c
}

// metricsVersion returns the revision of the kernel's gpu_metrics table; 0, 0 if the library does not tell.
func (l *library) metricsVersion(p handle) (format, content uint8) {
	if C.library_header(l.funcs, unsafe.Pointer(p), l.scratch) != 0 {
		return 0, 0
	}
	return l.info()[2], l.info()[3] // after a uint16, as in the kernel's header
}
