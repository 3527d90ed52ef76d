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
		d.put(link(placed(doc, path)).(map[string]any))
	}
	return d
}

func placed(doc map[string]any, path string) map[string]any {
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
	for _, c := range totals {
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
