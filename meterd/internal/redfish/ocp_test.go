package redfish

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentwatt/meterd/internal/sourcetest"
)

// ocp returns a device with all example documents of the Open Compute Project, joined to a tree: what they link to and do
// not contain is added here.
func ocp(t testing.TB) *device {
	t.Helper()
	dir := sourcetest.Data(t, "../../..", "redfish")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) < 30 {
		t.Fatalf("%d example documents: %v", len(files), err)
	}
	d := newDevice(t)
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := unmarshal(b, &doc); err != nil {
			t.Fatal(f, err)
		}
		d.put(doc)
	}
	bay := d.docs["/redfish/v1/Chassis/PowerShelf/PowerSubsystem/PowerSupplies/Bay1/Metrics"]
	bay["@odata.id"] = "/redfish/v1/Chassis/PowerShelf/PowerSubsystem/PowerSupplies/1/Metrics" // where the supply links to
	d.put(bay)
	for _, s := range missing {
		var doc map[string]any
		if err := json.Unmarshal([]byte(s), &doc); err != nil {
			t.Fatal(s, err)
		}
		d.put(doc)
	}
	d.sensors()
	return d
}

// missing is what the example documents link to and do not contain.
var missing = []string{
	`{"@odata.id": "/redfish/v1", "PowerEquipment": {"@odata.id": "/redfish/v1/PowerEquipment"}}`,
	`{"@odata.id": "/redfish/v1/PowerEquipment", "PowerShelves": {"@odata.id": "/redfish/v1/PowerEquipment/PowerShelves"}}`,
	`{"@odata.id": "/redfish/v1/Chassis/PowerShelf", "Id": "PowerShelf", "Name": "Shelf", "ChassisType": "Shelf",
	  "EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/PowerShelf/EnvironmentMetrics"},
	  "PowerSubsystem": {"@odata.id": "/redfish/v1/Chassis/PowerShelf/PowerSubsystem"}}`,
	`{"@odata.id": "/redfish/v1/Chassis/1U/PowerSubsystem", "Id": "PowerSubsystem", "Name": "Power",
	  "PowerSupplies": {"@odata.id": "/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies"}}`,
	`{"@odata.id": "/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1", "Id": "Bay1", "Name": "Supply",
	  "Metrics": {"@odata.id": "/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/Metrics"}}`,
	`{"@odata.id": "/redfish/v1/Systems/437XR1138R2", "Id": "437XR1138R2", "Name": "Host",
	  "Processors": {"@odata.id": "/redfish/v1/Systems/437XR1138R2/Processors"}}`,
	`{"@odata.id": "/redfish/v1/Systems/437XR1138R2/Processors/1", "Id": "1", "Name": "CPU", "Model": "Contoso 9000",
	  "EnvironmentMetrics": {"@odata.id": "/redfish/v1/Systems/437XR1138R2/Processors/1/EnvironmentMetrics"}}`,
}

// sensors makes the Sensor behind each excerpt, with what the profiles demand of one.
func (d *device) sensors() {
	for _, doc := range d.docs {
		eachExcerpt(doc, func(property string, e map[string]any) {
			uri, _ := e["DataSourceUri"].(string)
			if uri == "" || d.docs[uri] != nil || !strings.Contains(property, "Watts") && !strings.Contains(property, "Energy") {
				return
			}
			s := map[string]any{"@odata.id": uri, "Id": filepath.Base(uri), "Name": "sensor", "ReadingTime": "", "SensingInterval": "PT1S"}
			for k, v := range e {
				s[k] = v
			}
			delete(s, "DataSourceUri")
			s["ReadingType"], s["ReadingUnits"] = "Power", "W"
			if strings.Contains(property, "kWh") {
				s["ReadingType"], s["ReadingUnits"] = "EnergykWh", "kW.h"
			} else {
				s["ReadingAccuracy"] = 60
			}
			d.docs[uri] = s
		})
	}
}

// eachExcerpt calls f for every excerpt in v, with the name of the property that it is in.
func eachExcerpt(v any, f func(property string, e map[string]any)) {
	var walk func(property string, v any)
	walk = func(property string, v any) {
		switch v := v.(type) {
		case []any:
			for _, x := range v {
				walk(property, x)
			}
		case map[string]any:
			if _, ok := v["DataSourceUri"]; ok {
				f(property, v)
			}
			for k, x := range v {
				walk(k, x)
			}
		}
	}
	walk("", v)
}
