//go:build linux && cgo

package nvml

import (
	"context"
	"encoding/csv"
	"math"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/meterd/internal/sourcetest"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The real thing, where there is one: METER_REQUIRE=nvml go test -run Hardware -v ./meterd/internal/nvml

func openHardware(t *testing.T, o Options) *Source {
	t.Helper()
	if testing.Short() {
		t.Skip("short")
	}
	s, err := Open(t.Context(), o)
	sourcetest.RequireOrSkip(t, "nvml", err)
	t.Cleanup(func() { s.Close() })
	for _, reason := range s.Absent() {
		t.Log("absent:", reason)
	}
	return s
}

func TestHardware(t *testing.T) {
	s := openHardware(t, Options{})
	before := clock.At(time.Now())
	samples, err := s.Read(t.Context(), nil)
	if err != nil || len(samples) != len(s.Meters()) {
		t.Fatalf("read %d samples of %d meters: %v", len(samples), len(s.Meters()), err)
	}
	for i, sample := range samples {
		t.Logf("%s: %+v", s.Meters()[i].ID, sample)
		if sample.Status == 0 && (sample.Raw <= 0 || sample.Time < before) {
			t.Errorf("%s: %+v", s.Meters()[i].ID, sample)
		}
	}
	for _, n := range s.Notes(nil) {
		t.Logf("note %s %s = %s", n.Device, n.Key, n.Value)
	}
}

func TestHardwareConformance(t *testing.T) {
	openHardware(t, Options{}).Close()
	sourcetest.Run(t, sourcetest.Case{Open: func(t *testing.T) sampler.Source {
		s, err := Open(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}})
}

// What meterd reads is what nvidia-smi says: the limit exactly, the power within what the load does meanwhile. nvidia-smi is
// never parsed by meterd itself.
func TestHardwareAgreesWithNvidiaSmi(t *testing.T) {
	s := openHardware(t, Options{})
	smi := sourcetest.Tool(t, "nvidia-smi")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	limits := map[string]string{}
	for range len(s.devices) + 1 {
		if _, err := s.Read(ctx, nil); err != nil {
			t.Fatal(err)
		}
		for _, n := range s.Notes(nil) {
			if n.Key == "power_limit_watts" {
				limits[n.Device] = n.Value
			}
		}
	}
	low, high := map[string]float64{}, map[string]float64{} // watts read before and after
	look := func() {
		samples, err := s.Read(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range samples {
			m := s.Meters()[x.Meter]
			if filepath.Base(m.ID) != string(instant) || x.Status != power.OK {
				continue
			}
			w := float64(x.Raw) / 1000
			if was, ok := low[m.Device]; !ok || w < was {
				low[m.Device] = w
			}
			high[m.Device] = max(high[m.Device], w)
		}
	}
	watched, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan struct{})
	go func() { // the power moves while nvidia-smi, which takes its time, looks
		defer close(done)
		for watched.Err() == nil {
			look()
			time.Sleep(50 * time.Millisecond)
		}
	}()
	out, err := exec.CommandContext(ctx, smi, "--query-gpu=uuid,power.draw.instant,power.limit", "--format=csv,noheader,nounits").Output()
	stop()
	<-done
	if err != nil {
		t.Fatalf("ask nvidia-smi: %v", err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil {
		t.Fatalf("read the answer of nvidia-smi: %v", err)
	}
	compared := 0
	for _, row := range rows {
		uuid := strings.TrimSpace(row[0])
		if w, err := strconv.ParseFloat(strings.TrimSpace(row[1]), 64); err == nil && high[uuid] > 0 {
			compared++
			t.Logf("%s: nvidia-smi %.2f W, here %.2f to %.2f W", uuid, w, low[uuid], high[uuid])
			if slack := 0.05*w + 1; w < low[uuid]-slack || w > high[uuid]+slack {
				t.Errorf("%s: nvidia-smi says %.2f W, here %.2f to %.2f W", uuid, w, low[uuid], high[uuid])
			}
		}
		ours, err1 := strconv.ParseFloat(limits[uuid], 64)
		theirs, err2 := strconv.ParseFloat(strings.TrimSpace(row[2]), 64)
		if err1 == nil && err2 == nil && math.Abs(ours-theirs) > 0.01 {
			t.Errorf("%s: limit %.2f W, nvidia-smi says %.2f W", uuid, ours, theirs)
		}
	}
	if compared == 0 {
		t.Errorf("nothing to compare in %q", out)
	}
}

// The driver's ring: what it holds, on which clock, and whether it follows the polled power.
func TestHardwareRing(t *testing.T) {
	s := openHardware(t, Options{Ring: true})
	var ring int = -1
	for i, m := range s.Meters() {
		if strings.HasSuffix(m.ID, "/ring") {
			ring = i
			t.Logf("%s: every %v", m.ID, m.Period)
			break
		}
	}
	if ring < 0 {
		t.Skip("SKIPPED: this driver keeps no ring that is finer than polling; see the lines above")
	}
	var last clock.Stamp
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		samples, err := s.Read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range samples {
			if x.Meter != ring {
				continue
			}
			if x.Status != power.OK || x.Device <= last || x.Device > x.Time.Add(time.Second) || x.Time.Sub(x.Device) > 5*time.Second {
				t.Errorf("%+v after %v, want a value of the last seconds", x, last)
			}
			last = x.Device
		}
	}
	if last == 0 {
		t.Error("no sample in 2 s")
	}
}
