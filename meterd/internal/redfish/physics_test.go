package redfish

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// host is a small server with a chassis, two documents and their sensors, whose readings follow the load.
func host(t testing.TB) *device {
	d := newDevice(t)
	for _, s := range []string{
		`{"@odata.id": "/redfish/v1", "Id": "Root", "Name": "Root", "Chassis": {"@odata.id": "/redfish/v1/Chassis"},
		  "EventService": {"@odata.id": "/redfish/v1/EventService"}}`,
		`{"@odata.id": "/redfish/v1/EventService", "Id": "EventService", "Name": "Events", "ServerSentEventUri": "/redfish/v1/EventService/SSE"}`,
		`{"@odata.id": "/redfish/v1/Chassis/1", "Id": "1", "Name": "Host", "ChassisType": "RackMount", "Manufacturer": "Contoso", "Model": "X",
		  "EnvironmentMetrics": {"@odata.id": "/redfish/v1/Chassis/1/EnvironmentMetrics"}}`,
		`{"@odata.id": "/redfish/v1/Chassis/1/EnvironmentMetrics", "Id": "EnvironmentMetrics", "Name": "Metrics",
		  "PowerWatts": {"Reading": 800, "DataSourceUri": "/redfish/v1/Chassis/1/Sensors/Power"},
		  "EnergykWh": {"Reading": 277, "DataSourceUri": "/redfish/v1/Chassis/1/Sensors/Energy"}}`,
		`{"@odata.id": "/redfish/v1/Chassis/1/Sensors/Power", "Id": "Power", "Name": "Power", "Reading": 800, "ReadingType": "Power",
		  "ReadingTime": "", "SensingInterval": "PT1S"}`,
		`{"@odata.id": "/redfish/v1/Chassis/1/Sensors/Energy", "Id": "Energy", "Name": "Energy", "Reading": 277, "ReadingType": "EnergykWh",
		  "ReadingTime": "", "SensingInterval": "PT1S"}`,
	} {
		var doc map[string]any
		if err := json.Unmarshal([]byte(s), &doc); err != nil {
			t.Fatal(err)
		}
		d.put(doc)
		d.live[clean(doc["@odata.id"].(string))] = strings.Contains(s, "Reading")
	}
	return d
}

func TestConformance(t *testing.T) {
	var d *device
	metrics := "/redfish/v1/Chassis/1/Sensors/Power"
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) sampler.Source {
			d = host(t)
			s, err := Open(t.Context(), d.options())
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		Now:     func() clock.Stamp { return d.now() },
		Advance: func(_ *testing.T, by time.Duration) { d.advance(by) },
		Step:    time.Second,
		Steps:   60,
		Allocs:  2 * mostAllocs,
		Hide: func(*testing.T) {
			d.with(func() { d.docs[metrics]["Reading"] = nil; d.live[metrics] = false })
		},
		Lose:    func(*testing.T) { d.with(func() { d.down = true }) },
		Restore: func(*testing.T) { d.with(func() { d.down = false }) },
		Reset:   func(*testing.T) { d.with(func() { d.reset = d.clock }) },
	})
}

// mostAllocs bounds the allocations of one GET, nearly all of them in net/http, on both sides of the test's connection.
const mostAllocs = 220

// What the counter says between two reads is the integral of the load between the times at which the sensor looked.
func TestEnergyIsTheIntegralOfPower(t *testing.T) {
	d := host(t)
	d.refresh = 100 * time.Millisecond
	d.skew = 40 * time.Second
	s := d.open(t)
	var first, last power.Sample
	var energy, watts []power.Sample
	for i := range 300 {
		d.advance(370 * time.Millisecond)
		got := samples(t, s)
		if i == 0 {
			first = got["Chassis/1/energy"]
		}
		last = got["Chassis/1/energy"]
		energy, watts = append(energy, last), append(watts, got["Chassis/1/power"])
	}
	looked := func(x power.Sample) time.Duration {
		return x.Time.Sub(clock.At(d.online)).Truncate(d.refresh)
	}
	want := work(looked(last)) - work(looked(first))
	got := float64(last.Raw-first.Raw) * 3600 / 1e6
	if math.Abs(got-want) > 0.0073 { // two roundings to 3.6 mJ
		t.Errorf("%.4f J by the counter, %.4f J by the integral", got, want)
	}
	// And the estimator of METHOD 6 gets the mean power of a window from either meter.
	begin, end := clock.At(d.online).Add(20*time.Second), clock.At(d.online).Add(80*time.Second)
	for id, list := range map[string][]power.Sample{"Chassis/1/energy": energy, "Chassis/1/power": watts} {
		use := power.Between(meter(t, s, id), list, begin, end)
		if mean := use.Energy.Joules() / 60; math.Abs(mean-800) > 8 {
			t.Errorf("%s: %.2f W over three swings, want 800; %+v", id, mean, use)
		}
	}
}
