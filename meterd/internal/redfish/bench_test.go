package redfish

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"agentwatt/shared/power"
)

// canned starts a server that answers each path with the same bytes and does little else, so that what is measured is the
// client and TLS. It returns its address.
func canned(b *testing.B) string {
	b.Helper()
	real := host(b) // for its certificate and documents
	real.put(map[string]any{"@odata.id": "/redfish/v1/Chassis", "Members": []any{map[string]any{"@odata.id": "/redfish/v1/Chassis/1"}}})
	answers := map[string][]byte{}
	for uri, doc := range real.docs {
		if doc["ReadingTime"] != nil {
			doc["ReadingTime"] = "2026-03-01T12:00:00Z"
		}
		body, err := json.Marshal(doc)
		if err != nil {
			b.Fatal(err)
		}
		answers[uri] = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: real.http.TLS.Certificates})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serveCanned(c, answers)
		}
	}()
	return "https://" + l.Addr().String()
}

func serveCanned(c net.Conn, answers map[string][]byte) {
	defer c.Close()
	in := bufio.NewReader(c)
	var path string
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return
		}
		if words := bytes.Fields(line); len(words) == 3 && string(words[0]) == "GET" {
			path = clean(string(words[1]))
		}
		if len(bytes.TrimSpace(line)) > 0 {
			continue
		}
		answer, ok := answers[path]
		if !ok {
			answer = []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// One poll of a host's power and energy, with the times of both readings: our path against gofish, which has the same two
// sensors to ask.
func BenchmarkPoll(b *testing.B) {
	b.Run("lean", func(b *testing.B) {
		s, err := Open(b.Context(), Options{URL: canned(b), Insecure: true, NoPush: true})
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		dst := make([]power.Sample, 0, 8)
		b.ReportAllocs()
		for b.Loop() {
			got, err := s.Read(b.Context(), dst)
			if err != nil || len(got) != 2 || got[0].Status != power.OK || got[0].Device == 0 {
				b.Fatal(got, err)
			}
		}
	})
	b.Run("gofish", func(b *testing.B) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		c, err := gofish.ConnectContext(b.Context(), gofish.ClientConfig{
			Endpoint: canned(b), HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute}, ReuseConnections: true,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			for _, uri := range []string{powerSensor, "/redfish/v1/Chassis/1/Sensors/Energy"} {
				if s, err := schemas.GetSensor(c, uri); err != nil || s.Reading == nil || s.ReadingTime == "" {
					b.Fatal(err)
				}
			}
		}
	})
}

// Decoding one sensor.
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
