//go:build linux && cgo

package nvml

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
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
	var out []byte
	asked := make(chan error, 1)
	go func() {
		var err error
		out, err = exec.CommandContext(ctx, smi, "--query-gpu=uuid,power.draw.instant,power.limit", "--format=csv,noheader,nounits").Output()
		asked <- err
	}()
	limits, powers, err := observe(ctx, s, asked) // the power moves while nvidia-smi, which takes its time, looks
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil {
		t.Fatalf("read the answer of nvidia-smi: %v", err)
	}
	compared := 0
	for _, row := range rows {
		uuid := strings.TrimSpace(row[0])
		if seen := powers[uuid]; len(seen) > 0 && number(row[1]) > 0 {
			compared++
			w, low, high := number(row[1]), slices.Min(seen), slices.Max(seen)
			t.Logf("%s: nvidia-smi %.2f W, here %.2f to %.2f W", uuid, w, low, high)
			if slack := 0.05*w + 1; w < low-slack || w > high+slack {
				t.Errorf("%s: nvidia-smi says %.2f W, here %.2f to %.2f W", uuid, w, low, high)
			}
		}
		if ours, theirs := limits[uuid], number(row[2]); math.Abs(ours-theirs) > 0.01 { // false where either is not known
			t.Errorf("%s: limit %.2f W, nvidia-smi says %.2f W", uuid, ours, theirs)
		}
	}
	if compared == 0 {
		t.Errorf("nothing to compare in %q", out)
	}
}

// observe reads until done, and long enough to hear the limits, and returns them and all instant powers, in watts by GPU.
func observe(ctx context.Context, s *Source, done <-chan error) (limits map[string]float64, powers map[string][]float64, err error) {
	limits, powers = map[string]float64{}, map[string][]float64{}
	for n, waiting := 0, true; waiting || n <= len(s.devices); n++ {
		samples, err := s.Read(ctx, nil)
		if err != nil {
			return nil, nil, err
		}
		for _, x := range samples {
			if m := s.Meters()[x.Meter]; filepath.Base(m.ID) == string(instant) && x.Status == power.OK {
				powers[m.Device] = append(powers[m.Device], float64(x.Raw)/1000)
			}
		}
		for _, note := range s.Notes(nil) {
			if note.Key == "power_limit_watts" {
				limits[note.Device] = number(note.Value)
			}
		}
		select {
		case err := <-done:
			if err != nil {
				return nil, nil, fmt.Errorf("ask nvidia-smi: %w", err)
			}
			waiting = false
		case <-time.After(50 * time.Millisecond):
		}
	}
	return limits, powers, nil
}

// number reads a number of nvidia-smi, such as " 97.23"; NaN for "[N/A]".
func number(s string) float64 {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil {
		return math.NaN()
	}
	return n
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
