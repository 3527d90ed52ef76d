package topology

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"agentwatt/shared/power"
)

// example reads a file of testdata.
func example(t testing.TB, name string) File {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

func parse(t testing.TB, text string) File {
	t.Helper()
	f, err := Parse([]byte(text), "t.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// meter makes one meter of a device.
func meter(host, device string, scope power.Scope) HostMeter {
	return HostMeter{host, power.Meter{ID: device + "/" + string(scope), Device: device, Scope: scope, Quantity: power.Counter,
		Scale: power.Scale{Num: 1, Den: 1}, Accuracy: 0.02, Model: "model of " + string(scope)}}
}

// bmc is the meter of a host's own BMC, which is named by its GUID.
func bmc(host string, i int) HostMeter {
	m := meter(host, fmt.Sprintf("%08x-1111-4000-8000-000000000000", i), power.Node)
	m.Meter.ID = "ipmi/" + m.Meter.Device + "/dcmi"
	return m
}

// pdu is the meter of a part of a PDU, which is named by its serial number.
func pdu(name, serial, part string, scope power.Scope) HostMeter {
	m := meter("rackhost", serial+"/"+part, scope)
	m.Meter.ID = "snmp/" + name + "/" + part + "/energy"
	return m
}

// redfish is a meter of a device that a service describes by a path.
func redfish(name, path string, scope power.Scope) HostMeter {
	m := meter("rackhost", name+"/"+path, scope)
	m.Meter.ID = "redfish/" + m.Meter.Device + "/EnergykWh"
	return m
}

// gpu is the UUID of one GPU of a host.
func gpu(host, i int) string {
	return fmt.Sprintf("GPU-%08x-0000-4000-8000-%012x", host, i)
}

// oneNode is what one-node.yaml expects.
func oneNode() (d Discovered) {
	d.Meters = append(d.Meters, bmc("gpu01", 1), meter("gpu01", "package-0", power.CPU))
	for i := range 8 {
		d.Meters = append(d.Meters, meter("gpu01", gpu(1, i), power.Accelerator))
	}
	return d
}

// eightNodes is what eight-nodes.yaml expects, with all outlets metered.
func eightNodes() (d Discovered) {
	for name, serial := range map[string]string{"pdu-a": "QK1234", "pdu-b": "QK1299"} {
		d.Meters = append(d.Meters, pdu(name, serial, "inlet-1", power.Rack))
		for o := range 10 {
			d.Meters = append(d.Meters, pdu(name, serial, fmt.Sprintf("outlet-%d", o+1), power.Component))
		}
	}
	d.Meters = append(d.Meters, pdu("pdu-a", "QK1234", "outlet-11", power.Component))
	for n := range 8 {
		host := fmt.Sprintf("gpu%02d", n+1)
		d.Meters = append(d.Meters, bmc(host, n+1))
		for i := range 8 {
			d.Meters = append(d.Meters, meter(host, gpu(n+1, i), power.Accelerator))
		}
	}
	return d
}

// nvl72 is what nvl72.yaml expects.
func nvl72() (d Discovered) {
	for s := range 8 {
		d.Meters = append(d.Meters, redfish(fmt.Sprintf("shelf-%d", s+1), "Chassis/powershelf", power.Rack))
	}
	for s := range 9 {
		d.Meters = append(d.Meters, redfish(fmt.Sprintf("switch-%d", s+1), "Chassis/MGX_NVSwitch_0", power.Node))
	}
	d.Meters = append(d.Meters, pdu("cdu", "CD7", "inlet-1", power.Rack))
	for n := range 18 {
		host := fmt.Sprintf("tray%02d", n+1)
		d.Meters = append(d.Meters, bmc(host, n+1), meter(host, "module-0", power.Module), meter(host, "module-1", power.Module))
		for i := range 4 {
			d.Meters = append(d.Meters, meter(host, gpu(n+1, i), power.Accelerator))
		}
	}
	return d
}

// examples are the three files with all that they expect.
var examples = []struct {
	file  string
	found func() Discovered
}{{"one-node.yaml", oneNode}, {"eight-nodes.yaml", eightNodes}, {"nvl72.yaml", nvl72}}

// codes lists the kinds of the findings from a severity up, each once.
func codes(list []Finding, least Severity) (found []string) {
	for _, f := range list {
		if f.Severity.rank() <= least.rank() {
			found = append(found, fmt.Sprintf("%s %s", f.Severity, f.Code))
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// shuffled returns the list in another order.
func shuffled[T any](list []T, r *rand.Rand) []T {
	list = slices.Clone(list)
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// random is a source of numbers that is the same every time.
func random() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }
