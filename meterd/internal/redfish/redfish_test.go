package redfish

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// read reads once and returns the values by the meters' IDs without what they have in common.
func read(t testing.TB, s *Source) map[string]int64 {
	t.Helper()
	values := map[string]int64{}
	for id, x := range samples(t, s) {
		if x.Status == power.OK {
			values[id] = x.Raw
		}
	}
	return values
}

// samples reads once and returns the last sample of each meter.
func samples(t testing.TB, s *Source) map[string]power.Sample {
	t.Helper()
	got, err := s.Read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]power.Sample{}
	for _, x := range got {
		list[strings.TrimPrefix(s.Meters()[x.Meter].ID, "redfish/"+name+"/")] = x
	}
	return list
}

// meter returns a meter by its short ID.
func meter(t testing.TB, s *Source, id string) power.Meter {
	t.Helper()
	for _, m := range s.Meters() {
		if m.ID == "redfish/"+name+"/"+id {
			return m
		}
	}
	t.Fatalf("no meter %s", id)
	return power.Meter{}
}

// notes returns what the source has to say with one key, as "device: value" without the name of the service.
func notes(s *Source, key string) (list []string) {
	for _, n := range s.Notes(nil) {
		if n.Key == key {
			list = append(list, strings.TrimPrefix(n.Device, name+"/")+": "+n.Value)
		}
	}
	return list
}

// kept lists "id scope quantity" of all meters.
func kept(s *Source) (list []string) {
	for _, m := range s.Meters() {
		list = append(list, fmt.Sprintf("%s %s %v", strings.TrimPrefix(m.ID, "redfish/"+name+"/"), m.Scope, m.Quantity))
	}
	return list
}

func TestMetersOfTheOCPPayloads(t *testing.T) {
	s := ocp(t).open(t)
	want := []string{
		"RackPDUs/1/power rack held",
		"RackPDUs/1/energy rack counter",
		"RackPDUs/1/Branches/A/power component held",
		"RackPDUs/1/Branches/A/energy component counter",
		"RackPDUs/1/Outlets/A1/power component held",
		"RackPDUs/1/Outlets/A1/energy component counter",
		"PowerShelves/1/power rack held",
		"PowerShelves/1/energy rack counter",
		"PowerShelves/1/Mains/AC1/power component held",
		"PowerShelves/1/Branches/DC/power component held",
		"PowerShelves/1/Branches/DC/energy component counter",
		"PowerShelves/1/Outlets/A1/power component held",
		"Chassis/1U/power node held",
		"Chassis/1U/energy node counter",
		"Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/input component held",
		"Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/energy component counter",
		"Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/output component held",
		"Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/rail-1 component held",
		"Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/rail-2 component held",
		"Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/rail-3 component held",
		"Chassis/PowerShelf/PowerSubsystem/PowerSupplies/1/input component held",
		"Chassis/PowerShelf/PowerSubsystem/PowerSupplies/1/output component held",
		"Systems/437XR1138R2/Processors/1/power component held",
	}
	if diff := cmp.Diff(want, kept(s)); diff != "" {
		t.Error(diff)
	}
	absent := []string{
		"RackPDUs/1/Mains/A: it has no PowerWatts and no energy",
		"FloorPDUs: status 404 Not Found",
		"Chassis/PowerShelf: its total is that of power equipment that is metered",
	}
	if diff := cmp.Diff(absent, s.Absent()); diff != "" {
		t.Error(diff)
	}
}

// Two meters of one thing share its device; a part never does.
func TestDevices(t *testing.T) {
	s := ocp(t).open(t)
	supply := "Chassis/1U/PowerSubsystem/PowerSupplies/Bay1"
	want := map[string]string{
		"RackPDUs/1/power": "RackPDUs/1", "RackPDUs/1/energy": "RackPDUs/1", "RackPDUs/1/Outlets/A1/power": "RackPDUs/1/Outlets/A1",
		supply + "/input": supply, supply + "/energy": supply, supply + "/output": supply + "/output", supply + "/rail-2": supply + "/rail-2",
	}
	for id, device := range want {
		if got := meter(t, s, id).Device; got != name+"/"+device {
			t.Errorf("%s is of %s, want %s", id, got, device)
		}
	}
}

func TestWhatSensorsSayOfThemselves(t *testing.T) {
	d := ocp(t)
	sensor := d.docs["/redfish/v1/Chassis/1U/Sensors/TotalPower"]
	delete(sensor, "ReadingAccuracy")
	sensor["Accuracy"], sensor["SensingInterval"], sensor["ReadingRangeMax"] = 2.5, "PT0.25S", 1200.5
	d.docs["/redfish/v1/PowerEquipment/RackPDUs/1/Sensors/PDUEnergy"]["ReadingAccuracy"] = 10 // kWh, of all that was ever counted
	s := d.open(t)
	type row struct {
		Period       time.Duration
		PeriodFrom   power.Origin
		Accuracy     float64
		AccuracyFrom power.Origin
		Limit        power.Power
	}
	for id, want := range map[string]row{
		"RackPDUs/1/power":            {time.Second, power.Specification, 60. / 6438, power.Specification, 0},
		"RackPDUs/1/energy":           {0, power.Unknown, -1, power.Unknown, 0},
		"Chassis/1U/power":            {250 * time.Millisecond, power.Specification, 0.025, power.Specification, 1_200_500_000},
		"RackPDUs/1/Outlets/A1/power": {0, power.Unknown, -1, power.Unknown, 0},
	} {
		m := meter(t, s, id)
		got := row{m.Period, m.PeriodFrom, m.Accuracy, m.AccuracyFrom, m.Limit}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
	}
}

// A total whose sensor tells the time of a reading is read there, so value and time are of one answer. The time is the
// device's own, however wrong its clock is; how wrong is a note.
func TestDeviceTime(t *testing.T) {
	d := ocp(t)
	d.skew = -90 * time.Second
	d.advance(1300 * time.Millisecond)
	s := d.open(t)
	got := samples(t, s)
	if x := got["RackPDUs/1/power"]; x.Device.Time() != d.online.Add(time.Second+d.skew) {
		t.Errorf("the device's time is %v", x.Device.Time())
	}
	if x := got["RackPDUs/1/Outlets/A1/power"]; x.Device != 0 {
		t.Errorf("an excerpt has no time, but is given %v", x.Device.Time())
	}
	if got := notes(s, "clock_skew_seconds"); len(got) != 1 || got[0] != ": -91" && got[0] != ": -90" && got[0] != ": -90.5" {
		t.Errorf("the skew is noted as %q", got)
	}
}

// A ReadingTime that moves faster than the sensor looks, while the value stands still, is the time of the request.
func TestAReadingTimeThatIsTheRequest(t *testing.T) {
	for _, c := range []struct {
		refresh time.Duration
		says    string
		want    int
	}{
		{0, "PT3S", 3}, // power of PDU, shelf and host
		{3 * time.Second, "PT3S", 0},
		{time.Second, "PT1S", 0}, // a constant load, read as often as it is refreshed
	} {
		d := ocp(t)
		d.refresh = c.refresh
		for uri, doc := range d.docs {
			if strings.Contains(uri, "/Sensors/") {
				doc["SensingInterval"] = c.says
			}
		}
		s := d.open(t)
		for range 100 {
			d.advance(time.Second)
			read(t, s)
		}
		if got := notes(s, "power_reading_time"); len(got) != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// The OCP example has 6300 VA for 6438 W, and a power factor that is neither.
func TestImplausibleReadingsAreNotedOnce(t *testing.T) {
	d := ocp(t)
	s := d.open(t)
	read(t, s)
	const doubt = "more-watts-than-va,power-factor-is-not-watts-per-va"
	if diff := cmp.Diff([]string{"RackPDUs/1: " + doubt, "PowerShelves/1: " + doubt}, notes(s, "power_implausible")); diff != "" {
		t.Error(diff)
	}
	d.advance(time.Second)
	read(t, s)
	if got := notes(s, "power_implausible"); got != nil {
		t.Errorf("noted again: %q", got)
	}
	branch := d.docs["/redfish/v1/PowerEquipment/RackPDUs/1/Branches/A"]
	d.with(func() {
		branch["PolyPhasePowerWatts"].(map[string]any)["Line1ToNeutral"].(map[string]any)["Reading"] = 537.4
		branch["PowerWatts"].(map[string]any)["PowerFactor"] = 99
		d.docs["/redfish/v1/PowerEquipment/RackPDUs/1/Sensors/PDUPower"]["ApparentVA"] = 6500
		d.docs["/redfish/v1/PowerEquipment/RackPDUs/1/Sensors/PDUPower"]["PowerFactor"] = 0.99
		d.advanceLocked(time.Second)
	})
	read(t, s)
	want := []string{"RackPDUs/1: no-longer", "RackPDUs/1/Branches/A: power-factor-out-of-range,phases-do-not-add-up"}
	if diff := cmp.Diff(want, notes(s, "power_implausible")); diff != "" {
		t.Error(diff)
	}
}

func TestConformanceReport(t *testing.T) {
	d := ocp(t)
	delete(d.docs["/redfish/v1/PowerEquipment/RackPDUs/1/Sensors/PDUPower"], "ReadingTime")
	var broken []string
	rules := d.open(t).Conformance()
	for _, r := range rules {
		if !r.Honoured {
			broken = append(broken, r.Device+" "+r.Property+" "+r.Profile)
		}
	}
	want := []string{
		"dev/RackPDUs/1 Sensor(PowerWatts).ReadingTime OCPRackPDU 0.7.0",
		"dev/RackPDUs/1 Sensor(EnergykWh).ReadingAccuracy OCP-Sustainability 0.2.0",
		"dev/PowerShelves/1 Sensor(EnergykWh).ReadingAccuracy OCP-Sustainability 0.2.0",
		"dev/Chassis/1U Sensor(EnergykWh).ReadingAccuracy OCP-Sustainability 0.2.0",
	}
	if diff := cmp.Diff(want, broken); diff != "" {
		t.Error(diff)
	}
	i := slices.IndexFunc(rules, func(r Rule) bool { return r.Property == "Sensor(PowerWatts).SensingInterval" })
	if len(rules) != 36 || rules[i].Value != "PT1S" {
		t.Errorf("%d rules, interval %+v", len(rules), rules[i])
	}
}

// Without parts only what carries a headline is read, with two requests per total.
func TestWithoutParts(t *testing.T) {
	s := ocp(t).open(t, func(o *Options) { o.Parts = -1 })
	want := []string{
		"RackPDUs/1/power rack held", "RackPDUs/1/energy rack counter", "PowerShelves/1/power rack held",
		"PowerShelves/1/energy rack counter", "Chassis/1U/power node held", "Chassis/1U/energy node counter",
	}
	if diff := cmp.Diff(want, kept(s)); diff != "" {
		t.Error(diff)
	}
	if got := read(t, s); len(got) != len(want) {
		t.Errorf("%d values of %d", len(got), len(want))
	}
}

// How fine a device tells its readings is what its readings show: the most decimals of any, as zeros at the end may be left out.
func TestReadingsShowTheirResolution(t *testing.T) {
	d := host(t)
	show := func(power, kWh string) {
		for uri, text := range map[string]string{"/redfish/v1/Chassis/1/Sensors/Power": power, "/redfish/v1/Chassis/1/Sensors/Energy": kWh} {
			d.with(func() {
				d.docs[clean(uri)]["Reading"] = json.Number(text)
				d.live[clean(uri)] = false
			})
		}
	}
	s := d.open(t)
	for _, c := range []struct {
		power, kWh    string
		watts, energy int64 // steps in mW and in 1e-9 kWh
	}{{"800", "277", 1000, 1e9}, {"800.5", "277.1", 100, 1e8}, {"801", "278", 100, 1e8}, {"801.1239", "278.25", 1, 1e7}} {
		show(c.power, c.kWh)
		d.advance(2 * time.Second)
		read(t, s)
		if w, e := meter(t, s, "Chassis/1/power").Resolution(), meter(t, s, "Chassis/1/energy").Resolution(); w != c.watts || e != c.energy {
			t.Errorf("after %s W and %s kWh: steps of %d and %d counts, want %d and %d", c.power, c.kWh, w, e, c.watts, c.energy)
		}
	}
}
