//go:build linux && cgo

package amdsmi

import (
	"errors"
	"fmt"
	"strings"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

// candidates lists where a library is looked for, the newest first: by the loader, then where ROCm puts it.
func candidates() (list []string) {
	names := []string{"libamd_smi.so.27", "libamd_smi.so.26", "libamd_smi.so.25", "libamd_smi.so.24", "libamd_smi.so"}
	for _, dir := range []string{"", "/opt/rocm/lib/", "/opt/rocm/lib64/"} {
		for _, name := range names {
			list = append(list, dir+name)
		}
	}
	return list
}

// find loads the library at path, or the first one that loads.
func find(path string) (*library, error) {
	paths := candidates()
	if path != "" {
		paths = []string{path}
	}
	var first error // of a library that is there; else of the first candidate
	for _, p := range paths {
		l, err := load(p)
		if err == nil {
			return l, nil
		}
		var e *loadError
		there := errors.As(err, &e) && (e.missing != "" || !strings.HasPrefix(e.reason, p+": cannot open"))
		if first == nil || there {
			first = err
		}
		if there {
			break
		}
	}
	err := fmt.Errorf("load AMD SMI: %w: %w", first, sampler.ErrUnavailable)
	return nil, fault.Hint(err, "install AMD's package amd-smi-lib (ROCm 6.0 or newer), or name its library in sources.amdsmi.library; "+
		"the source amdgpu reads the same GPUs without it")
}
