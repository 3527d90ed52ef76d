package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/power"
)

// The forecast of eight GPUs is near to what a minute of them really takes.
func TestForecastIsNearTheTruth(t *testing.T) {
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := bus.Serve(t.Context(), bus.ServerOptions{Dir: t.TempDir(), Host: "gpu-01.rack.example", Key: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	p, err := s.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	begin, counter := clock.At(time.Now()), int64(1e9)
	for n := range 60 {
		b := &power.Batch{Host: "gpu-01.rack.example", Boot: "cf0e2b0a-0000-4000-8000-000000000000", Run: "VQK3RZ7ZB6Q2H4N5", Source: "nvml", Seq: uint64(n + 1)}
		for gpu := range 8 {
			id := "GPU-5f3c1000-0000-0000-0000-00000000000" + string(rune('0'+gpu))
			for _, q := range []power.Quantity{power.Counter, power.Instant, power.Mean} {
				b.Meters = append(b.Meters, power.Meter{
					ID: "nvml/" + id + "/" + q.String(), Device: id, Name: "NVIDIA H200", Model: "NVIDIA H200", Scope: power.Accelerator, Quantity: q,
					Scale: power.Scale{Num: 1000, Den: 1}, Period: 100 * time.Millisecond,
				})
			}
		}
		for m := range b.Meters {
			for i := range 10 {
				at := begin.Add(time.Duration(n)*time.Second + time.Duration(i)*100*time.Millisecond + time.Duration(random.IntN(200))*time.Microsecond)
				counter += 40_000 + random.Int64N(4000)
				b.Samples = append(b.Samples, power.Sample{Meter: m, Time: at, Within: 50 * time.Microsecond, Raw: map[bool]int64{true: counter, false: 400_000 + random.Int64N(4000)}[m%3 == 0]})
			}
		}
		if err := p.Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	truth := float64(stats.Streams[0].Bytes) * 24 * 60
	if got := float64(perDay(24, 100*time.Millisecond, time.Second)); got < 0.8*truth || got > 1.25*truth {
		t.Errorf("forecast %.0f MB a day, the truth is %.0f", got/1e6, truth/1e6)
	}
}

func TestForecastDoubts(t *testing.T) {
	conf := busConf{MaxBytes: 8 << 30, MaxAge: span(7 * day)}
	for _, test := range []struct {
		name       string
		perDay     int64
		used, free int64
		want       string
	}{
		{"nothing to store", 0, 0, 0, ""},
		{"enough of all", 200e6, 0, 100e9, ""},
		{"a day is too much", 4e9, 0, 100e9, "bus.max_bytes is reached after 2.1 days"},
		{"a small disk", 200e6, 0, 600e6, "the disk is full after 3.0 days"},
		{"a full store on a full disk", 200e6, 1400e6, 10e6, ""},
	} {
		if got := forecastOf(test.perDay, conf, test.used, test.free).doubt; !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
