// Package amdchip holds what is the same for both ways to an AMD GPU, sysfs (amdgpu) and the library (amdsmi): which product a
// PCI device is, what its values cover, what one count of its energy counter is, and when a counter does not count.
package amdchip

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"agentwatt/meterd/internal/sensor"
	"agentwatt/meterd/internal/sysfs"
	"agentwatt/shared/power"
)

// Chip is one product.
type Chip struct {
	Arch  string      // as in the sensor registry, e.g. "MI300X"; "pci-7551" for a product that is not in the table
	Name  string      // for people
	Scope power.Scope // what its socket power and energy cover
	Pair  bool        // two dies on one OAM, each a PCI device: the first reports for both, the second reports 0
	unit  bool        // the unit of its counter is established whatever the layout of the metrics says
}

// products lists AMD's accelerators by PCI device id; names as in libdrm's amdgpu.ids. A virtual function has the id of its
// own and reports nothing of the kind.
//
// The socket of an MI300A holds CPU cores, GPU and HBM, and its meters cover all three: that is a module. It is never added to
// the RAPL counters of its cores, whose scope is CPU and a component.
//
// The counters of MI100 and MI200 have no unit in the kernel's header (metrics v1.3); AMD's libraries give the 15.3 µJ for
// them that stand for 2^-16 J on all others.
var products = map[uint16]Chip{
	0x738c: {"MI100", "AMD Instinct MI100", power.Accelerator, false, true},
	0x738e: {"MI100", "AMD Instinct MI100", power.Accelerator, false, true},
	0x7408: {"MI250X", "AMD Instinct MI250X", power.Accelerator, true, true},
	0x740c: {"MI250X", "AMD Instinct MI250X / MI250", power.Accelerator, true, true},
	0x740f: {"MI210", "AMD Instinct MI210", power.Accelerator, false, true},
	0x74a0: {"MI300A", "AMD Instinct MI300A", power.Module, false, true},
	0x74a1: {"MI300X", "AMD Instinct MI300X", power.Accelerator, false, true},
	0x74a2: {"MI308X", "AMD Instinct MI308X", power.Accelerator, false, true},
	0x74a5: {"MI325X", "AMD Instinct MI325X", power.Accelerator, false, true},
	0x74a8: {"MI308X", "AMD Instinct MI308X HF", power.Accelerator, false, true},
	0x74a9: {"MI300X", "AMD Instinct MI300X HF", power.Accelerator, false, true},
	0x75a0: {"MI350X", "AMD Instinct MI350X", power.Accelerator, false, true},
	0x75a3: {"MI355X", "AMD Instinct MI355X", power.Accelerator, false, true},
}

// Of returns the product with the PCI device id that sysfs writes as "0x74a1".
func Of(device string) Chip {
	id, err := strconv.ParseUint(strings.TrimPrefix(device, "0x"), 16, 16)
	if err != nil {
		return Chip{Arch: "unknown", Name: "AMD GPU", Scope: power.Accelerator}
	}
	if c, ok := products[uint16(id)]; ok {
		return c
	}
	return Chip{Arch: fmt.Sprintf("pci-%04x", id), Name: "AMD GPU", Scope: power.Accelerator}
}

// Counts reports whether one count of the energy counter is known to be 2^-16 J, for metrics of the given revision. The
// kernel's header (kgd_pp_interface.h) says so from v1.4 on.
func (c Chip) Counts(format, content uint8) bool {
	return c.unit || format == 1 && content >= 4
}

// SecondDie reports whether counts and watts read at the same time are those of the second die of a pair: the driver fills in 0
// for both, since only the first die has them (aldebaran_ppt.c). A die that is there and powered draws watts.
func (c Chip) SecondDie(counts uint64, watts int64) bool { return c.Pair && counts == 0 && watts == 0 }

// Field names one value of a GPU: the last part of its meter's ID, and the field in the sensor registry.
type Field string

// The values.
const (
	Energy    Field = "energy"    // counter of 2^-16 J since the driver or the GPU started
	Socket    Field = "socket"    // power as the firmware gives it now, MI300 and newer
	Average   Field = "average"   // power, filtered by the firmware; MI200 and older
	Baseboard Field = "baseboard" // power of the board that carries the GPUs, MI350 and newer
)

// Meter describes one value of the GPU at a PCI address, read by source, under a driver version that may be unknown (empty).
func (c Chip) Meter(source, pci string, f Field, driver string, limit power.Power) power.Meter {
	m := power.Meter{
		ID: source + "/" + pci + "/" + string(f), Device: pci, Name: c.Name, Scope: c.Scope,
		Quantity: power.Instant, Scale: power.Scale{Num: int64(power.Watt), Den: 1}, Limit: limit,
	}
	switch f {
	case Energy:
		m.Quantity = power.Counter
		m.Scale = power.Scale{Num: 15625, Den: 1024} // 2^-16 J in microjoules, exactly
	case Average:
		m.Quantity = power.Mean
	case Baseboard: // of all GPUs together, whichever reports it
		m.ID, m.Device, m.Name = source+"/baseboard/power", "amd-baseboard", "AMD baseboard"
		m.Scope, m.Limit = power.Component, 0
	}
	sensor.Find("amd", c.Arch, string(f), driver).Describe(&m)
	return m
}

// Driver returns the version of the amdgpu module under sysRoot; empty for the one that comes with the kernel, which has none.
func Driver(sysRoot string) string {
	version, err := sysfs.Line(filepath.Join(sysRoot, "module", "amdgpu", "version"))
	if err != nil {
		return ""
	}
	return version
}
