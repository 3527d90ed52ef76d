//go:build linux && cgo

package amdsmi

import (
	"fmt"

	"agentwatt/shared/power"
)

// The status codes that mean something here (amdsmi_status_t, the same in all versions).
const (
	success         code = 0
	notSupported    code = 2
	notImplemented  code = 3
	noPermission    code = 10
	notFound        code = 31
	notInitialised  code = 32
	driverNotLoaded code = 34
	noData          code = 40
	fileNotFound    code = 52
	unknownError    code = 0xffffffff
)

// String returns what the code says, for people.
func (c code) String() string {
	switch c {
	case success:
		return "success"
	case notSupported, notImplemented:
		return "not supported"
	case noPermission:
		return "permission denied"
	case notFound:
		return "GPU not found"
	case notInitialised:
		return "library not initialised"
	case driverNotLoaded:
		return "driver not loaded"
	case noData:
		return "no data"
	case fileNotFound:
		return "file not found"
	case unknownError:
		return "unknown error"
	}
	return fmt.Sprintf("AMD SMI status %d", uint32(c))
}

// status says what a code means for one sample.
func status(c code) power.Status {
	switch c {
	case success:
		return power.OK
	case notSupported, notImplemented, noData:
		return power.Unsupported
	case noPermission:
		return power.Denied
	case notFound, notInitialised, driverNotLoaded:
		return power.Lost
	}
	return power.Failed
}
