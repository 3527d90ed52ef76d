package redfish

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// tree starts a device with documents in short: each a path below /redfish/v1, then properties. Links are written as ->path.
func tree(t testing.TB, docs ...string) *device {
	t.Helper()
	d := newDevice(t)
	root := `{"Id": "Root", "Name": "Root", "Chassis": "->/Chassis", "Systems": "->/Systems", "PowerEquipment": "->/PowerEquipment"}`
	for _, s := range append([]string{" " + root}, docs...) {
		path, body, _ := strings.Cut(s, " ")
		var doc map[string]any
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		d.put(link(map[string]any{"@odata.id": "/redfish/v1" + path, "Id": path, "Name": path}).(map[string]any))
		d.put(link(doc2(doc, path)).(map[string]any))
	}
	return d
}

func doc2(doc map[string]any, path string) map[string]any {
	doc["@odata.id"] = "/redfish/v1" + path
	return doc
}

// link writes out the links in v.
func link(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = link(x)
		}
	case []any:
		for i, x := range v {
			v[i] = link(x)
		}
	case string:
		if path, ok := strings.CutPrefix(v, "->"); ok {
			return map[string]any{"@odata.id": "/redfish/v1" + path}
		}
	}
	return v
}

// supply is a power supply with its metrics.
func supply(at string, in, out float64) []string {
	return []string{
		fmt.Sprintf(`%s {"Metrics": "->%s/Metrics"}`, at, at),
		fmt.Sprintf(`%s/Metrics {"InputPowerWatts": {"Reading": %g}, "OutputPowerWatts": {"Reading": %g}}`, at, in, out),
	}
}

// Each joule has one total, whatever the shape of the service.
func TestTotals(t *testing.T) {
	for _, c := range []struct {
		name string
		docs []string
		want []string // meters with a headline, "id scope"
	}{
		{
			"a power shelf without power equipment, whose PowerState is a boolean (LiteOn, GB200)",
			append(append([]string{
				`/Chassis/powershelf {"PowerState": true, "Manufacturer": "LITE-ON TECHNOLOGY CORP.", "PowerSubsystem": "->/Chassis/powershelf/PowerSubsystem"}`,
				`/Chassis/powershelf/PowerSubsystem {"PowerSupplies": "->/Chassis/powershelf/PowerSubsystem/PowerSupplies"}`,
			}, supply("/Chassis/powershelf/PowerSubsystem/PowerSupplies/0", 2000, 1950)...),
				supply("/Chassis/powershelf/PowerSubsystem/PowerSupplies/1", 2100, 2040)...),
			[]string{
				"Chassis/powershelf/PowerSubsystem/PowerSupplies/0/input rack", "Chassis/powershelf/PowerSubsystem/PowerSupplies/1/input rack",
			},
		},
		{
			"a host with power supplies only",
			append([]string{
				`/Chassis/1 {"ChassisType": "RackMount", "PowerSubsystem": "->/Chassis/1/PowerSubsystem"}`,
				`/Chassis/1/PowerSubsystem {"PowerSupplies": "->/Chassis/1/PowerSubsystem/PowerSupplies"}`,
			}, supply("/Chassis/1/PowerSubsystem/PowerSupplies/0", 2000, 1950)...),
			[]string{"Chassis/1/PowerSubsystem/PowerSupplies/0/input node"},
		},
		{
			"a host with the older Power: the first entry is the whole",
			[]string{
				`/Chassis/1 {"Power": "->/Chassis/1/Power"}`,
				`/Chassis/1/Power {"PowerControl": [{"PowerConsumedWatts": 344}, {"Name": "CPU", "PowerConsumedWatts": 120}]}`,
			},
			[]string{"Chassis/1/power node"},
		},
		{
			"an HGX host: the baseboard, modules and processors are parts of the host",
			[]string{
				`/Chassis/System {"ChassisType": "RackMount", "EnvironmentMetrics": "->/Chassis/System/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
				`/Chassis/System/E {"PowerWatts": {"Reading": 9000}}`,
				`/Chassis/HGX_Baseboard_0 {"EnvironmentMetrics": "->/Chassis/HGX_Baseboard_0/E", "Links": {"ContainedBy": "->/Chassis/System"}}`,
				`/Chassis/HGX_Baseboard_0/E {"PowerWatts": {"Reading": 7000}}`,
				`/Chassis/HGX_ProcessorModule_0 {"ChassisType": "Module", "EnvironmentMetrics": "->/Chassis/HGX_ProcessorModule_0/E"}`,
				`/Chassis/HGX_ProcessorModule_0/E {"PowerWatts": {"Reading": 2500}, "EnergyJoules": {"Reading": 12345.678}, "EnergykWh": {"Reading": 0.003}}`,
				`/Systems/HGX_Baseboard_0 {"Processors": "->/Systems/HGX_Baseboard_0/Processors"}`,
				`/Systems/HGX_Baseboard_0/Processors/GPU_0 {"EnvironmentMetrics": "->/Systems/HGX_Baseboard_0/Processors/GPU_0/E"}`,
				`/Systems/HGX_Baseboard_0/Processors/GPU_0/E {"PowerWatts": {"Reading": 700}}`,
			},
			[]string{"Chassis/System/power node"},
		},
		{
			"blades in an enclosure with a total",
			[]string{
				`/Chassis/Enclosure {"ChassisType": "Enclosure", "EnvironmentMetrics": "->/Chassis/Enclosure/E"}`,
				`/Chassis/Enclosure/E {"PowerWatts": {"Reading": 3000}}`,
				`/Chassis/Blade1 {"EnvironmentMetrics": "->/Chassis/Blade1/E", "Links": {"ContainedBy": "->/Chassis/Enclosure", "ComputerSystems": ["->/Systems/1"]}}`,
				`/Chassis/Blade1/E {"PowerWatts": {"Reading": 500}}`,
			},
			[]string{"Chassis/Enclosure/power node"},
		},
		{
			"a chassis that holds no computer beside one that does",
			[]string{
				`/Chassis/A {"EnvironmentMetrics": "->/Chassis/A/E"}`,
				`/Chassis/A/E {"PowerWatts": {"Reading": 300}}`,
				`/Chassis/Host {"EnvironmentMetrics": "->/Chassis/Host/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
				`/Chassis/Host/E {"PowerWatts": {"Reading": 500}}`,
			},
			[]string{"Chassis/Host/power node"},
		},
		{
			"two chassis that hold the same computer",
			[]string{
				`/Chassis/A {"EnvironmentMetrics": "->/Chassis/A/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
				`/Chassis/A/E {"PowerWatts": {"Reading": 500}}`,
				`/Chassis/B {"EnvironmentMetrics": "->/Chassis/B/E", "Links": {"ComputerSystems": ["->/Systems/1"]}}`,
				`/Chassis/B/E {"PowerWatts": {"Reading": 500}}`,
			},
			[]string{"Chassis/A/power node"},
		},
		{
			"a shelf without total: its mains are the rack, its chassis is the same",
			[]string{
				`/PowerEquipment {"PowerShelves": "->/PowerEquipment/PowerShelves"}`,
				`/PowerEquipment/PowerShelves/1 {"Mains": "->/PowerEquipment/PowerShelves/1/Mains", "Links": {"Chassis": ["->/Chassis/S"]}}`,
				`/PowerEquipment/PowerShelves/1/Mains/AC1 {"PowerWatts": {"Reading": 900}}`,
				`/PowerEquipment/PowerShelves/1/Mains/AC2 {"PowerWatts": {"Reading": 800}}`,
				`/Chassis/S {"EnvironmentMetrics": "->/Chassis/S/E"}`,
				`/Chassis/S/E {"PowerWatts": {"Reading": 1700}}`,
			},
			[]string{"PowerShelves/1/Mains/AC1/power rack", "PowerShelves/1/Mains/AC2/power rack"},
		},
		{
			"a shelf whose chassis alone has power supplies",
			append([]string{
				`/PowerEquipment {"PowerShelves": "->/PowerEquipment/PowerShelves"}`,
				`/PowerEquipment/PowerShelves/1 {"Links": {"Chassis": ["->/Chassis/S"]}}`,
				`/Chassis/S {"PowerSubsystem": "->/Chassis/S/PowerSubsystem"}`,
				`/Chassis/S/PowerSubsystem {"PowerSupplies": "->/Chassis/S/PowerSubsystem/PowerSupplies"}`,
			}, supply("/Chassis/S/PowerSubsystem/PowerSupplies/1", 2000, 1950)...),
			[]string{"Chassis/S/PowerSubsystem/PowerSupplies/1/input rack"},
		},
		{
			"a BMC that knows a module and a sensor under two names",
			[]string{
				`/Chassis/M {"ChassisType": "Module", "EnvironmentMetrics": "->/Chassis/M/E"}`,
				`/Chassis/M/E {"PowerWatts": {"Reading": 2500}}`,
				`/Chassis/Host1 {"EnvironmentMetrics": "->/Chassis/Host1/E"}`,
				`/Chassis/Host1/E {"PowerWatts": {"Reading": 700, "DataSourceUri": "/redfish/v1/Sensor"}}`,
				`/Systems/1 {"Processors": "->/Systems/1/Processors"}`,
				`/Systems/1/Processors/GPU {"EnvironmentMetrics": "->/Systems/1/Processors/GPU/E"}`,
				`/Systems/1/Processors/GPU/E {"PowerWatts": {"Reading": 700, "DataSourceUri": "/redfish/v1/Sensor"}}`,
			},
			[]string{"Chassis/Host1/power node"},
		},
		{
			"a shelf that a rack PDU of the same service feeds",
			[]string{
				`/PowerEquipment {"PowerShelves": "->/PowerEquipment/PowerShelves", "RackPDUs": "->/PowerEquipment/RackPDUs"}`,
				`/PowerEquipment/RackPDUs/1 {"Metrics": "->/PowerEquipment/RackPDUs/1/Metrics"}`,
				`/PowerEquipment/RackPDUs/1/Metrics {"PowerWatts": {"Reading": 1000}}`,
				`/PowerEquipment/PowerShelves/1 {"Metrics": "->/PowerEquipment/PowerShelves/1/Metrics", "Mains": "->/PowerEquipment/PowerShelves/1/Mains"}`,
				`/PowerEquipment/PowerShelves/1/Metrics {"PowerWatts": {"Reading": 900}}`,
				`/PowerEquipment/PowerShelves/1/Mains/A {"Links": {"PowerOutlet": "->/PowerEquipment/RackPDUs/1/Outlets/7"}}`,
			},
			[]string{"RackPDUs/1/power rack"},
		},
		{
			"a floor PDU beside the rack PDU that it feeds",
			[]string{
				`/PowerEquipment {"FloorPDUs": "->/PowerEquipment/FloorPDUs", "RackPDUs": "->/PowerEquipment/RackPDUs"}`,
				`/PowerEquipment/FloorPDUs/1 {"Metrics": "->/PowerEquipment/FloorPDUs/1/Metrics"}`,
				`/PowerEquipment/FloorPDUs/1/Metrics {"PowerWatts": {"Reading": 90000}}`,
				`/PowerEquipment/RackPDUs/1 {"Metrics": "->/PowerEquipment/RackPDUs/1/Metrics"}`,
				`/PowerEquipment/RackPDUs/1/Metrics {"PowerWatts": {"Reading": 1000}}`,
			},
			[]string{"RackPDUs/1/power rack"},
		},
		{
			"floor PDUs and buses alone: the floor PDU is the nearest",
			[]string{
				`/PowerEquipment {"FloorPDUs": "->/PowerEquipment/FloorPDUs", "ElectricalBuses": "->/PowerEquipment/ElectricalBuses"}`,
				`/PowerEquipment/FloorPDUs/1 {"Metrics": "->/PowerEquipment/FloorPDUs/1/Metrics"}`,
				`/PowerEquipment/FloorPDUs/1/Metrics {"PowerWatts": {"Reading": 90000}}`,
				`/PowerEquipment/ElectricalBuses/B {"Metrics": "->/PowerEquipment/ElectricalBuses/B/Metrics"}`,
				`/PowerEquipment/ElectricalBuses/B/Metrics {"PowerWatts": {"Reading": 80000}}`,
			},
			[]string{"FloorPDUs/1/power rack"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := tree(t, c.docs...).open(t)
			var got []string
			for _, m := range s.Meters() {
				if m.Scope.Headline() {
					got = append(got, fmt.Sprintf("%s %s", strings.TrimPrefix(m.ID, "redfish/"+name+"/"), m.Scope))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s\nall: %q\nabsent: %q", diff, kept(s), s.Absent())
			}
			devices := map[string]bool{}
			for _, m := range s.Meters() {
				if m.Quantity == power.Held && devices[m.Device] {
					t.Errorf("the power of %s is metered twice", m.Device)
				}
				devices[m.Device] = devices[m.Device] || m.Quantity == power.Held
			}
		})
	}
}

// Members are listed in the order of their names, over all pages, and pages that go round in circles come to an end.
func TestCollections(t *testing.T) {
	list := "/PowerEquipment/RackPDUs"
	docs := []string{
		`/PowerEquipment {"RackPDUs": "->/PowerEquipment/RackPDUs"}`,
		list + ` {"Members": ["->` + list + `/10", "->` + list + `/2"], "Members@odata.nextLink": "/redfish/v1/page2"}`,
		`/page2 {"Members": ["->` + list + `/1", null, 5, "->` + list + `/2"], "Members@odata.nextLink": "/redfish/v1/page2"}`,
	}
	var want []string
	for _, id := range []string{"1", "2", "10"} {
		docs = append(docs, fmt.Sprintf(`%s/%s {"Metrics": "->%s/%s/Metrics"}`, list, id, list, id),
			fmt.Sprintf(`%s/%s/Metrics {"PowerWatts": {"Reading": 5}}`, list, id))
		want = append(want, "RackPDUs/"+id+"/power rack held")
	}
	d := tree(t, docs...)
	if diff := cmp.Diff(want, kept(d.open(t))); diff != "" {
		t.Error(diff)
	}
	d.with(func() {
		if n := d.gets["/redfish/v1/page2"]; n > mostPages {
			t.Errorf("one page was fetched %d times", n)
		}
	})
}

// One sensor that two documents show is one meter.
func TestOneSensorIsOneMeter(t *testing.T) {
	s := tree(t,
		`/Chassis/1 {"EnvironmentMetrics": "->/Chassis/1/E"}`,
		`/Chassis/1/E {"PowerWatts": {"Reading": 700, "DataSourceUri": "/redfish/v1/Sensor"}}`,
		`/Systems/1 {"Processors": "->/Systems/1/Processors"}`,
		`/Systems/1/Processors/GPU {"EnvironmentMetrics": "->/Systems/1/Processors/GPU/E"}`,
		`/Systems/1/Processors/GPU/E {"PowerWatts": {"Reading": 700, "DataSourceUri": "/redfish/v1/Sensor"}}`).open(t)
	if diff := cmp.Diff([]string{"Chassis/1/power node held"}, kept(s)); diff != "" {
		t.Error(diff)
	}
	if want := "Systems/1/Processors/GPU/E: PowerWatts is the same sensor as redfish/dev/Chassis/1/power"; !slices.Contains(s.Absent(), want) {
		t.Errorf("absent: %q", s.Absent())
	}
}

// A counter in joules makes the one in kWh superfluous: both would be the same device's energy.
func TestJoulesBeforeKWh(t *testing.T) {
	s := tree(t,
		`/Chassis/1 {"EnvironmentMetrics": "->/Chassis/1/E"}`,
		`/Chassis/1/E {"EnergyJoules": {"Reading": 12345.678}, "EnergykWh": {"Reading": 0.003}}`).open(t)
	if diff := cmp.Diff(map[string]int64{"Chassis/1/energy": 12_345_678}, read(t, s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"Chassis/1/E: EnergykWh is the same counter as EnergyJoules, coarser",
		"PowerEquipment: status 404 Not Found", "Systems: status 404 Not Found"}, sorted(s.Absent())); diff != "" {
		t.Error(diff)
	}
}

// Nonsense in a document costs that value, not the device.
func TestOddDocuments(t *testing.T) {
	s := tree(t,
		`/Chassis/1 {"Name": "x", "Manufacturer": 7, "ChassisType": ["Module"], "Links": {"ContainedBy": 5, "ComputerSystems": "no"},
			"EnvironmentMetrics": "->/Chassis/1/E", "PowerSubsystem": 5, "Power": null}`,
		`/Chassis/1/E {"PowerWatts": 374.5, "EnergykWh": {"Reading": "3638.25", "DataSourceUri": 5}, "RailPowerWatts": {}, "PowerControl": "none"}`).open(t)
	if diff := cmp.Diff(map[string]int64{"Chassis/1/power": 374_500, "Chassis/1/energy": 3_638_250_000_000}, read(t, s)); diff != "" {
		t.Error(diff)
	}
	if m := s.Meters()[0]; m.Scope != power.Node || m.Model != "redfish/unknown/power" {
		t.Errorf("%+v", m)
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}
