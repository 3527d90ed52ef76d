//go:build linux && cgo

package nvml

import (
	"fmt"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

// required lists the symbols that are called without asking again. go-nvml binds lazily, and calling a symbol
// that the loaded library lacks ends the process, so they are looked up before anything is called.
func required() []string {
	return []string{
		"nvmlInit_v2", "nvmlShutdown", "nvmlErrorString", "nvmlDeviceGetCount_v2", "nvmlDeviceGetHandleByIndex_v2",
		"nvmlDeviceGetName", "nvmlDeviceGetUUID",
	}
}

// library is the loaded library and what of it may be called.
type library struct {
	lib.Interface
	symbols map[string]bool // looked up so far
	driver  string          // version, e.g. "570.86.10"; empty: the library does not tell
}

// load opens and initialises the library; errors wrap sampler.ErrUnavailable and carry a hint.
func load(path string) (*library, error) {
	if path == "" {
		path = "libnvidia-ml.so.1"
	}
	if err := check(path); err != nil {
		return nil, err
	}
	l := &library{Interface: lib.New(lib.WithLibraryPath(path)), symbols: map[string]bool{}}
	if ret := l.start(); ret != lib.SUCCESS {
		err := fmt.Errorf("initialise %s: %v: %w", path, ret, sampler.ErrUnavailable)
		return nil, fault.Hint(err, "%s", remedy(ret))
	}
	return l, nil
}

// start initialises the library, also after Shutdown.
func (l *library) start() lib.Return {
	ret := l.Init()
	if ret == lib.SUCCESS && l.has("nvmlSystemGetDriverVersion") {
		if version, ret := l.SystemGetDriverVersion(); ret == lib.SUCCESS {
			l.driver = version
		}
	}
	return ret
}

// has reports whether the loaded library has a function. Calling one that it lacks ends the process.
func (l *library) has(symbol string) bool {
	found, known := l.symbols[symbol]
	if !known {
		found = l.Extensions().LookupSymbol(symbol) == nil
		l.symbols[symbol] = found
	}
	return found
}

// check looks at the library without making its symbols global: that there is one, and that it is NVML.
func check(path string) error {
	file := dl.New(path, dl.RTLD_LAZY|dl.RTLD_LOCAL)
	if err := file.Open(); err != nil {
		err = fmt.Errorf("load NVML: %w: %w", err, sampler.ErrUnavailable)
		return fault.Hint(err, "install the NVIDIA driver, or name its library in sources.nvml.library")
	}
	for _, symbol := range required() {
		if err := file.Lookup(symbol); err != nil {
			err = fmt.Errorf("load NVML: %s has no symbol %s: %w", path, symbol, sampler.ErrUnavailable)
			return fault.Hint(err, "sources.nvml.library must be libnvidia-ml.so.1 of a driver that is not older than 2018")
		}
	}
	return nil // stays open: go-nvml opens it again, and closing here would only unload and reload it
}

// remedy says what the user can do about a return code of nvmlInit.
func remedy(ret lib.Return) string {
	switch ret {
	case lib.ERROR_DRIVER_NOT_LOADED:
		return "load the driver (modprobe nvidia) and see that nvidia-smi works"
	case lib.ERROR_NO_PERMISSION:
		return "the user needs read and write access to /dev/nvidiactl and /dev/nvidia0, /dev/nvidia1, ..."
	case lib.ERROR_LIB_RM_VERSION_MISMATCH:
		return "library and kernel module are of different driver versions; restart meterd, reload the module, or reboot"
	}
	return "see that nvidia-smi works for this user"
}
