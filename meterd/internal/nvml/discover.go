//go:build linux && cgo

package nvml

import (
	"fmt"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

// find opens GPU i and returns why what it lacks is absent. A device without meters is of no use.
func find(l lib.Interface, i int) (d *device, absent []string) {
	d = &device{lib: l}
	var ret lib.Return
	if d.handle, ret = l.DeviceGetHandleByIndex(i); ret != lib.SUCCESS {
		return d, []string{fmt.Sprintf("open: %v", ret)}
	}
	if d.uuid, ret = d.handle.GetUUID(); ret != lib.SUCCESS {
		return d, []string{fmt.Sprintf("read its UUID: %v", ret)}
	}
	if d.name, ret = d.handle.GetName(); ret != lib.SUCCESS {
		d.name = "NVIDIA GPU"
	}
	d.chip = chipOf(d.capability())
	d.limit = d.highestLimit()
	return d, d.discover()
}

// has reports whether the loaded library has a function. Calling one that it lacks ends the process.
func (d *device) has(symbol string) bool { return d.lib.Extensions().LookupSymbol(symbol) == nil }

// capability returns the CUDA compute capability; -1, -1 if the driver does not tell.
func (d *device) capability() (major, minor int) {
	if d.has("nvmlDeviceGetCudaComputeCapability") {
		if major, minor, ret := d.handle.GetCudaComputeCapability(); ret == lib.SUCCESS {
			return major, minor
		}
	}
	return -1, -1
}

// highestLimit returns the highest power limit that can be set: the most this GPU draws for longer than a moment, also
// if somebody raises the limit in force; 0: not known.
func (d *device) highestLimit() power.Power {
	if d.has("nvmlDeviceGetPowerManagementLimitConstraints") {
		if _, most, ret := d.handle.GetPowerManagementLimitConstraints(); ret == lib.SUCCESS {
			return power.Power(most) * power.Milliwatt
		}
	}
	return 0
}

// discover lists the meters of the GPU: the fields that it offers, and the older functions for what they lack.
func (d *device) discover() (absent []string) {
	offered, absent := d.fieldsOffered()
	energyFound, powerFound := false, false
	for _, f := range offered {
		d.values = append(d.values, lib.FieldValue{FieldId: f.id, ScopeId: f.scope})
		d.meters = append(d.meters, d.chip.meter(f, d.uuid, d.name, d.limit))
		energyFound = energyFound || f.kind == energy
		powerFound = powerFound || f.kind != energy
	}
	if !energyFound {
		absent = append(absent, d.fallBack(energy, "nvmlDeviceGetTotalEnergyConsumption")...)
	}
	if !powerFound {
		absent = append(absent, d.fallBack(draw, "nvmlDeviceGetPowerUsage")...)
	}
	return absent
}

// fieldsOffered asks the GPU for every field and returns those that it offers. A field that fails for another reason
// than missing support is kept: its samples will say so.
func (d *device) fieldsOffered() (offered []field, absent []string) {
	if !d.has("nvmlDeviceGetFieldValues") {
		return nil, []string{"the driver has no field values"}
	}
	asked := make([]lib.FieldValue, len(fields()))
	for i, f := range fields() {
		asked[i].FieldId, asked[i].ScopeId = f.id, f.scope
		blank(&asked[i])
	}
	all := d.handle.GetFieldValues(asked)
	for i, f := range fields() {
		ret := all
		if all == lib.SUCCESS {
			_, ret = decode(&asked[i])
		}
		if never(ret) {
			absent = append(absent, fmt.Sprintf("%s (field %d): %v", f.kind, f.id, ret))
		} else {
			offered = append(offered, f)
		}
	}
	return offered, absent
}

// fallBack lists the value of one function as a meter, if the library has the function and the GPU the value.
func (d *device) fallBack(k kind, symbol string) (absent []string) {
	if !d.has(symbol) {
		return []string{fmt.Sprintf("%s: the driver has no %s", k, symbol)}
	}
	if _, ret := d.call(k); never(ret) {
		return []string{fmt.Sprintf("%s (%s): %v", k, symbol, ret)}
	}
	d.calls = append(d.calls, k)
	f := field{kind: k, of: power.Accelerator, unit: milli()}
	d.meters = append(d.meters, d.chip.meter(f, d.uuid, d.name, d.limit))
	return nil
}

// never reports whether a value that once answered with ret will not come later either.
func never(ret lib.Return) bool {
	s := status(ret)
	return s == power.Unsupported || s == power.Denied
}
