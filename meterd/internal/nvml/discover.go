//go:build linux && cgo

package nvml

import (
	"fmt"
	"unicode/utf8"

	lib "github.com/NVIDIA/go-nvml/pkg/nvml"

	"agentwatt/shared/power"
)

// find opens GPU i and asks what it offers. A device without UUID could not be opened; absent says why.
func find(l *library, i int) *device {
	d := &device{lib: l, index: i}
	var ret lib.Return
	if d.handle, ret = l.DeviceGetHandleByIndex(i); ret != lib.SUCCESS {
		d.absent = append(d.absent, d.says("open: %v", ret))
		return d
	}
	if d.uuid, ret = d.handle.GetUUID(); ret != lib.SUCCESS || !plain(d.uuid) {
		d.uuid = ""
		d.absent = append(d.absent, d.says("read its UUID: %v", ret))
		return d
	}
	if d.name, ret = d.handle.GetName(); ret != lib.SUCCESS || !utf8.ValidString(d.name) {
		d.name = "NVIDIA GPU"
	}
	d.die = dieOf(d.capability())
	d.limit = d.highestLimit()
	d.discover()
	return d
}

// plain reports whether a text from the driver can be part of a name: visible ASCII.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return s != ""
}

// says begins a sentence about the GPU.
func (d *device) says(format string, args ...any) string {
	return fmt.Sprintf("GPU %d %s: ", d.index, d.uuid) + fmt.Sprintf(format, args...)
}

// capability returns the CUDA compute capability; -1, -1 if the driver does not tell.
func (d *device) capability() (major, minor int) {
	if d.lib.has("nvmlDeviceGetCudaComputeCapability") {
		if major, minor, ret := d.handle.GetCudaComputeCapability(); ret == lib.SUCCESS {
			return major, minor
		}
	}
	return -1, -1
}

// highestLimit returns the highest power limit that can be set: the most this GPU draws for longer than a moment, also
// if somebody raises the limit in force; 0: not known.
func (d *device) highestLimit() power.Power {
	if d.lib.has("nvmlDeviceGetPowerManagementLimitConstraints") {
		if _, most, ret := d.handle.GetPowerManagementLimitConstraints(); ret == lib.SUCCESS {
			return power.Power(most) * power.Milliwatt
		}
	}
	return 0
}

// discover lists the meters of the GPU: the fields that it offers, and the older functions for what they lack. A GPU that
// tells of a module is new enough for fields, and what the functions say there is not known.
func (d *device) discover() {
	d.answers = d.askAll()
	d.offer = choose(d.answers, d.die)
	energyFound, powerFound := len(d.offer.module) > 0, len(d.offer.module) > 0
	for _, f := range d.offer.own {
		d.add(f, d.meter(f.kind, f.of, d.uuid, d.limit))
		energyFound = energyFound || f.kind == energy
		powerFound = powerFound || f.kind == instant || f.kind == average
	}
	for _, reason := range d.offer.absent {
		d.absent = append(d.absent, d.says("%s", reason))
	}
	if !energyFound {
		d.fallBack(energy, "nvmlDeviceGetTotalEnergyConsumption")
	}
	if !powerFound {
		d.fallBack(draw, "nvmlDeviceGetPowerUsage")
	}
}

// askAll asks the GPU for every field.
func (d *device) askAll() (answers []answer) {
	if !d.lib.has("nvmlDeviceGetFieldValues") {
		d.absent = append(d.absent, d.says("the driver has no field values"))
		return nil
	}
	asked := make([]lib.FieldValue, len(fields()))
	for i, f := range fields() {
		asked[i].FieldId, asked[i].ScopeId = f.id, f.scope
		blank(&asked[i])
	}
	all := d.handle.GetFieldValues(asked)
	d.lost = status(all) == power.Lost
	for i, f := range fields() {
		a := answer{field: f, ret: all}
		if all == lib.SUCCESS {
			a.raw, a.ret = decode(&asked[i])
		}
		answers = append(answers, a)
	}
	return answers
}

// fallBack lists the value of one function as a meter, if the library has the function and the GPU the value.
func (d *device) fallBack(k kind, symbol string) {
	if !d.lib.has(symbol) {
		d.absent = append(d.absent, d.says("%s: the driver has no %s", k, symbol))
		return
	}
	if _, ret := d.call(k); never(ret) {
		d.absent = append(d.absent, d.says("%s (%s): %v", k, symbol, ret))
		return
	}
	d.calls = append(d.calls, call{k, d.meter(k, power.Accelerator, d.uuid, d.limit)})
}

// add lists a field as a meter.
func (d *device) add(f field, m power.Meter) {
	d.values = append(d.values, lib.FieldValue{FieldId: f.id, ScopeId: f.scope})
	d.meters = append(d.meters, m)
}

// meter describes one value of the GPU, its memory or its module.
func (d *device) meter(k kind, of power.Scope, what string, limit power.Power) power.Meter {
	m := power.Meter{ID: "nvml/" + what + "/" + string(k), Device: what, Name: d.name, Scope: of, Scale: milli()}
	if of != power.Memory {
		m.Limit = limit
	}
	d.die.describe(k, d.lib.driver, &m)
	return m
}
