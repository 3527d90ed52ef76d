package redfish

import (
	"math"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"
)

// typed reads the example tree with gofish's own types: an independent reader of the same documents. Values are in watts
// and kWh by the meters' short IDs; what is null is not there.
func typed(c *gofish.APIClient) map[string]float64 {
	got := map[string]float64{}
	put := func(id string, v *float64) {
		if v != nil {
			got[id] = *v
		}
	}
	equipment := must(c.Service.PowerEquipment())
	pdus, shelves := must(equipment.RackPDUs()), must(equipment.PowerShelves())
	for kind, list := range map[string][]*schemas.PowerDistribution{"RackPDUs/": pdus, "PowerShelves/": shelves} {
		for _, d := range list {
			m := must(d.Metrics())
			put(kind+d.ID+"/power", m.PowerWatts.Reading)
			put(kind+d.ID+"/energy", m.EnergykWh.Reading)
			mains, _ := d.Mains()
			branches, _ := d.Branches()
			for group, circuits := range map[string][]*schemas.Circuit{"/Mains/": mains, "/Branches/": branches} {
				for _, x := range circuits {
					put(kind+d.ID+group+x.ID+"/power", x.PowerWatts.Reading)
					put(kind+d.ID+group+x.ID+"/energy", x.EnergykWh.Reading)
				}
			}
			for _, x := range must(d.Outlets()) {
				put(kind+d.ID+"/Outlets/"+x.ID+"/power", x.PowerWatts.Reading)
				put(kind+d.ID+"/Outlets/"+x.ID+"/energy", x.EnergykWh.Reading)
			}
		}
	}
	for _, x := range must(c.Service.Chassis()) {
		if x.ID != "PowerShelf" { // the same total as the power shelf
			m := must(x.EnvironmentMetrics())
			put("Chassis/"+x.ID+"/power", m.PowerWatts.Reading)
			put("Chassis/"+x.ID+"/energy", m.EnergykWh.Reading)
		}
		for _, legacy := range must(must(x.PowerSubsystem()).PowerSupplies()) {
			id := "Chassis/" + x.ID + "/PowerSubsystem/PowerSupplies/" + legacy.ID
			m := must(must(schemas.GetPowerSupplyUnit(c, legacy.ODataID)).Metrics())
			put(id+"/input", m.InputPowerWatts.Reading)
			put(id+"/output", m.OutputPowerWatts.Reading)
			put(id+"/energy", m.EnergykWh.Reading)
			for i, r := range m.RailPowerWatts {
				put(id+"/"+point{kind: rail, index: i}.name(), r.Reading)
			}
		}
	}
	for _, s := range must(c.Service.Systems()) {
		for _, p := range must(s.Processors()) {
			put("Systems/"+s.ID+"/Processors/"+p.ID+"/power", must(p.EnvironmentMetrics()).PowerWatts.Reading)
		}
	}
	return got
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (d *device) gofish(t testing.TB) *gofish.APIClient {
	t.Helper()
	c, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{
		Endpoint: d.http.URL, HTTPClient: &http.Client{Transport: d.http.Client().Transport}, ReuseConnections: true,
		Username: d.user, Password: d.password, BasicAuth: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// gofish with its own types, and our path, must agree on every value of every example document, and on which there are.
func TestGofishAgrees(t *testing.T) {
	d := ocp(t)
	d.with(func() { // null is absent, on both sides
		d.docs["/redfish/v1/PowerEquipment/RackPDUs/1/Outlets/A1"]["EnergykWh"].(map[string]any)["Reading"] = nil
	})
	s := d.open(t)
	got := map[string]float64{}
	for id, raw := range read(t, s) {
		scale := meter(t, s, id).Scale
		micro := float64(raw) * float64(scale.Num) / float64(scale.Den)
		if got[id] = micro / 1e6; scale.Num == 3600 {
			got[id] = micro / 3.6e12
		}
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9*math.Abs(a) })
	if diff := cmp.Diff(typed(d.gofish(t)), got, near); diff != "" {
		t.Errorf("gofish (-) and the lean path (+) differ:\n%s", diff)
	}
}
