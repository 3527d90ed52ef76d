package bus

import (
	"testing"
	"time"

	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// The whole way of a batch: encoded, sealed and signed when due, stored and synced at the host, mirrored and synced at a hub in a
// process of its own, read from there and decoded. Reported are samples per second, and the processor time of both ends per sample.
//
//	go test -run xxx -bench Path -benchtime 2000x ./shared/bus
func BenchmarkPath(b *testing.B) {
	h := startHub(b)
	h.watch(b)
	s := h.host(b, b.TempDir())
	p := publisher(b, s)
	c := h.reader(b)
	batch := load(1000)
	batch.Host = hubHost
	mirror := mirrorName(Power, hubHost, 1)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // the mirror is there
		if _, err := c.info(b.Context(), mirror); err == nil {
			break
		} else if time.Now().After(end) {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	begin, hubBegin, wall := cpu(b), h.server.CPU(), time.Now()
	for n := range b.N {
		mine := *batch
		mine.Seq = uint64(n + 1)
		if err := p.Publish(b.Context(), &mine); err != nil {
			b.Fatal(err)
		}
	}
	var d wire.Decoder
	var got power.Batch
	n := 0
	err := c.FollowStream(b.Context(), mirror, 0, func(m Message) error {
		if err := d.Decode(&got, m.Payload); err != nil {
			return err
		}
		if n++; n == b.N {
			return errEnough
		}
		return nil
	})
	if err != errEnough {
		b.Fatal(err)
	}
	samples := float64(b.N * len(batch.Samples))
	host, hub := cpu(b)-begin, h.server.CPU()-hubBegin
	b.ReportMetric(samples/time.Since(wall).Seconds(), "samples/s")
	b.ReportMetric(float64(host)/samples, "host-ns/sample")
	b.ReportMetric(float64(hub)/samples, "hub-ns/sample")
	b.ReportMetric(samples/(host+hub).Seconds(), "samples/s/core")
}
