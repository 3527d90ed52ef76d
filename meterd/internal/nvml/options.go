// Package nvml reads the power meters of NVIDIA GPUs through the driver's own library, libnvidia-ml.so.1.
//
// Open finds the GPUs and asks each one what it offers; a value that a GPU does not offer is not listed as a meter and
// Absent says why. One Read is one library call per GPU, with all fields in it. Only whole, physical GPUs are read:
// power and energy of a MIG instance are those of its GPU, and repeating them per instance would count them twice.
// A module, a Grace processor with its GPUs, is read through one of its GPUs only.
//
// What is known about the sensors is in package sensor. The library is loaded with global symbols, so one process can use
// one NVML library only: the first one opened.
package nvml

import (
	"time"

	"agentwatt/shared/clock"
)

// Options says how to open the library. The zero value is right on a normal host.
type Options struct {
	Library string               // path or name of the library; empty: libnvidia-ml.so.1 from the loader's search path
	Ring    bool                 // read the driver's own ring of samples too, where it is finer than polling
	Now     func() clock.Stamp   // stamps of the reads; nil: the wall clock, unanchored
	Boot    func() time.Duration // time since boot, which stamps the driver's samples; nil: the kernel's CLOCK_BOOTTIME
}
