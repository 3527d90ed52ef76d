package redfish

import (
	"fmt"
	"testing"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"agentwatt/shared/power"
)

// One poll of a host's power and energy: our path, which asks two sensors for values with their times, against gofish with
// one document without times, and with the two sensors. The server is in the same process and takes most of the time.
func BenchmarkPoll(b *testing.B) {
	for _, etags := range []string{"", "true"} {
		b.Run("lean/2 sensors/etag="+fmt.Sprint(etags != ""), func(b *testing.B) {
			d := host(b)
			d.etags, d.refresh = etags, time.Hour
			s := d.open(b)
			dst := make([]power.Sample, 0, 8)
			b.ReportAllocs()
			for b.Loop() {
				if got, err := s.Read(b.Context(), dst); err != nil || got[0].Status != power.OK {
					b.Fatal(got, err)
				}
			}
		})
	}
	sensors := []string{powerSensor, "/redfish/v1/Chassis/1/Sensors/Energy"}
	b.Run("gofish/2 sensors", func(b *testing.B) {
		c := host(b).gofish(b)
		b.ReportAllocs()
		for b.Loop() {
			for _, uri := range sensors {
				if s, err := schemas.GetSensor(c, uri); err != nil || s.Reading == nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("gofish/1 document", func(b *testing.B) {
		c := host(b).gofish(b)
		b.ReportAllocs()
		for b.Loop() {
			m, err := schemas.GetEnvironmentMetrics(c, "/redfish/v1/Chassis/1/EnvironmentMetrics")
			if err != nil || m.PowerWatts.Reading == nil {
				b.Fatal(err)
			}
		}
	})
}

// Decoding one metrics document and one sensor.
func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"@odata.type": "#Sensor.v1_10_1.Sensor", "Id": "PDUPower", "Name": "Power", "ReadingType": "Power", "Reading": 6438.25,
		"ReadingTime": "2026-03-01T12:00:00+06:00", "Status": {"State": "Enabled", "Health": "OK"}, "ReadingUnits": "W", "SensingInterval": "PT1S",
		"Thresholds": {"UpperCritical": {"Reading": 40, "Activation": "Increasing"}}, "@odata.id": "/redfish/v1/Chassis/1/Sensors/PDUPower"}`)
	b.ReportAllocs()
	for b.Loop() {
		r, err := decode(body)
		if err != nil {
			b.Fatal(err)
		}
		if n, _, err := count(r.Reading.text, 3); n != 6_438_250 || err != nil {
			b.Fatal(n, err)
		}
	}
}
