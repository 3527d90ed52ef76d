// Package amdsmi reads the power meters of AMD GPUs through AMD's library, libamd_smi, which is loaded when the source is
// opened: the program needs no ROCm to be built or to start.
//
// The library changed its structures with almost every release, so their layout is chosen by the version that it reports; one
// that is not known is refused. It crashes, or mixes up GPUs, when it is called by several threads at once (before 26.2), so
// one thread makes all calls. What a GPU's values mean is the same as for the source amdgpu, which reads them without the
// library; the two name the same Device, the PCI address, so that a GPU counts once and its two readings can be compared.
package amdsmi

import "agentwatt/shared/clock"

// Options says how to open the library. The zero value is right on a normal host.
type Options struct {
	Library string             // path or name of the library; empty: the newest in the loader's search path or in /opt/rocm
	SysRoot string             // empty: /sys; tells which product a GPU is, and the driver's version
	Now     func() clock.Stamp // stamps of the reads; nil: the wall clock, unanchored. It is called from another thread
}
