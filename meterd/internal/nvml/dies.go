//go:build linux && cgo

package nvml

import (
	"fmt"
	"time"

	"agentwatt/meterd/internal/sensor"
	"agentwatt/shared/power"
)

// die is the chip of a GPU. The die, not the product name, decides how the power sensor works.
type die struct {
	major, minor int // CUDA compute capability; -1: the driver does not tell
	name         string
}

// dies names the chips of each CUDA compute capability (NVIDIA, "CUDA GPUs"; die names from the kernel module's sources). What is
// known about their sensors is in package sensor, under these names.
func dies() []die {
	return []die{
		{6, 0, "GP100"}, {6, 1, "GP10x"},
		{7, 0, "GV100"}, {7, 5, "TU10x"},
		{8, 0, "GA100"}, {8, 6, "GA10x"}, {8, 9, "AD10x"},
		{9, 0, "GH100"},
		{10, 0, "GB100"}, {12, 0, "GB20x"},
	}
}

// dieOf returns the die of a compute capability; one that is not in the list is named after it, such as sm103.
func dieOf(major, minor int) die {
	for _, d := range dies() {
		if d.major == major && d.minor == minor {
			return d
		}
	}
	if major < 0 {
		return die{major, minor, "unknown"}
	}
	return die{major, minor, fmt.Sprintf("sm%d%d", major, minor)}
}

// describe says what value k of a GPU with this die is, by the registry. Of what is not in the registry, nvml.h still
// says what fields 185 and 186 are, and that draw is a 1 s average on Ampere, but for the GA100, and newer.
func (d die) describe(k kind, driver string, m *power.Meter) {
	switch k {
	case energy, moduleEnergy, memoryEnergy:
		m.Quantity = power.Counter
	case average, moduleAverage, memoryAverage:
		m.Quantity = power.Mean
	default:
		m.Quantity = power.Instant
	}
	model := sensor.Find("nvml", d.name, string(k), driver)
	model.Describe(m)
	if model.Known() {
		return
	}
	if k == draw && d.major >= 8 {
		m.Quantity = power.Mean
	}
	if m.Quantity == power.Mean {
		m.Averaging, m.AveragingFrom = time.Second, power.Specification
	}
	// Every sensor since Turing that was measured refreshes at this rate. The sampler measures it anew.
	m.Period, m.PeriodFrom = 100*time.Millisecond, power.Assumed
}

// known reports whether the registry has the sensor of this die.
func (d die) known(driver string) bool {
	return sensor.Find("nvml", d.name, string(instant), driver).Known()
}
