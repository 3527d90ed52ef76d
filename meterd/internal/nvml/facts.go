//go:build linux && cgo

package nvml

import (
	"strconv"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// facts tells what hardly ever changes: what the sensor is known as, where the GPU is, its firmware and modes, and what its driver
// records by itself.
func (d *device) facts(note func(key, value string)) {
	model := "unknown"
	if d.die.known(d.lib.driver) {
		model = d.die.name
	}
	note("sensor_model", model)
	if address := d.address(); address != "" {
		note("pci_address", address)
	}
	if node, ok := d.home(); ok && len(d.offer.module) > 0 {
		note("module", moduleName(node))
	}
	if d.lib.has("nvmlDeviceGetVbiosVersion") {
		if version, ret := d.handle.GetVbiosVersion(); ret == lib.SUCCESS {
			note("vbios_version", version)
		}
	}
	if d.lib.has("nvmlDeviceGetPersistenceMode") {
		if mode, ret := d.handle.GetPersistenceMode(); ret == lib.SUCCESS {
			note("persistence_mode", onOff(mode))
		}
	}
	if d.lib.has("nvmlDeviceGetEccMode") {
		if mode, _, ret := d.handle.GetEccMode(); ret == lib.SUCCESS {
			note("ecc_mode", onOff(mode))
		}
	}
	if d.recorded.samples > 0 {
		note("ring_samples", strconv.Itoa(d.recorded.samples))
		note("ring_period_seconds", strconv.FormatFloat(d.recorded.period.Seconds(), 'g', 4, 64))
	}
}

// address returns the PCI address as Linux writes it; empty if the driver does not tell.
func (d *device) address() string {
	if !d.lib.has("nvmlDeviceGetPciInfo_v3") && !d.lib.has("nvmlDeviceGetPciInfo_v2") {
		return ""
	}
	pci, ret := d.handle.GetPciInfo()
	if ret != lib.SUCCESS {
		return ""
	}
	var b []byte
	for _, c := range pci.BusId {
		if c == 0 {
			break
		}
		b = append(b, byte(c))
	}
	return string(b)
}

func onOff(mode lib.EnableState) string {
	if mode == lib.FEATURE_ENABLED {
		return "on"
	}
	return "off"
}
