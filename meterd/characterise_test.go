package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"agentwatt/shared/power"
)

// rail is a directory that looks like the hwmon tree of a host with two sensors of one rail: an exact one, and one that reads 5 % too
// little and refreshes every 100 ms. The rail draws 300 W while the load's heart beats, else 100 W.
type rail struct {
	dir, beat string
	stop      context.CancelFunc
	done      sync.WaitGroup
}

func newRail(t *testing.T) *rail {
	t.Helper()
	b := &rail{dir: t.TempDir()}
	b.beat = filepath.Join(b.dir, "beat")
	for i, name := range []string{"exact", "lowball"} {
		chip := filepath.Join(b.dir, "class", "hwmon", "hwmon"+strconv.Itoa(i))
		if err := os.MkdirAll(chip, 0o755); err != nil {
			t.Fatal(err)
		}
		b.put(t, chip, "name", name)
		b.put(t, chip, "power1_input", "100000000")
	}
	ctx, stop := context.WithCancel(t.Context())
	b.stop = stop
	b.done.Go(func() { b.run(ctx) })
	t.Cleanup(func() { b.stop(); b.done.Wait() })
	return b
}

func (b *rail) put(t *testing.T, chip, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(chip, file), []byte(text+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run refreshes the sensors, the exact one every 10 ms.
func (b *rail) run(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for n := int64(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		micro := 100_000_000 + n%7 // no real sensor stands still
		if info, err := os.Stat(b.beat); err == nil && time.Since(info.ModTime()) < 60*time.Millisecond {
			micro += 200_000_000
		}
		b.show(0, micro)
		if n%10 == 0 {
			b.show(1, micro*95/100)
		}
	}
}

// show writes in place: a reader sees the old number or the new one, which have as many digits or end in a blank.
func (b *rail) show(chip int, micro int64) {
	f, err := os.OpenFile(filepath.Join(b.dir, "class", "hwmon", "hwmon"+strconv.Itoa(chip), "power1_input"), os.O_WRONLY, 0)
	if err != nil {
		return // the directory goes at the end of the test
	}
	fmt.Fprintf(f, "%-10d\n", micro)
	f.Close()
}

// The whole way of a calibration: a sensor is measured against a better meter, the record is written, and meterd run publishes the
// meter with the gain that was found.
func TestCharacteriseToCalibratedMeter(t *testing.T) {
	b := newRail(t)
	records := filepath.Join(b.dir, "records")
	if err := os.Mkdir(records, 0o755); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(b.dir, "meterd.yaml")
	text := fmt.Sprintf("host: h\nsys_root: %s\nstudy: 100ms\ncalibrations: %s\nbus: {flush: 200ms}\nsources: {nvml: {enabled: false}, amdsmi: {enabled: false}}\n", b.dir, records)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code := run([]string{"characterise", "-c", conf, "--meter", "hwmon/lowball/*", "--reference", "hwmon/exact/exact/power1_input",
		"--reference-accuracy", "0.002", "--cycles", "5", "--shortest", "1s", "-o", records, "--save", filepath.Join(b.dir, "rec"),
		"--", "sh", "-c", "while :; do : > " + b.beat + "; sleep 0.015; done"}, &out, &errs)
	if code != 0 {
		t.Fatalf("characterise ended with %d:\n%s%s", code, out.String(), errs.String())
	}
	t.Logf("\n%s", out.String())
	if !strings.Contains(out.String(), "record: ") {
		t.Fatalf("no record:\n%s", out.String())
	}
	measuredAgain(t, filepath.Join(b.dir, "rec"), out.String())
	m := publishedMeter(t, conf, filepath.Join(b.dir, "store"), "hwmon/lowball/")
	if gain := float64(m.GainPPM) / 1e6; math.Abs(gain-0.95) > 0.02 || m.AccuracyFrom != power.Measured || m.Accuracy > 0.1 || m.Calibration == "" {
		t.Errorf("gain %v, accuracy %v from %v by %q; want a gain of 0.95 with its own accuracy", gain, m.Accuracy, m.AccuracyFrom, m.Calibration)
	}
}

// measuredAgain checks that a saved recording says the same as it did at once, but for the record, which is not asked for.
func measuredAgain(t *testing.T, recording, before string) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run([]string{"characterise", "--from", recording, "--meter", "hwmon/lowball/*", "--reference", "hwmon/exact/exact/power1_input",
		"--reference-accuracy", "0.002"}, &out, &errs)
	if again, _, _ := strings.Cut(before, "  record: "); code != 0 || strings.TrimSpace(again) != strings.TrimSpace(out.String()) {
		t.Errorf("measured again, code %d %s:\n%s\nat first:\n%s", code, errs.String(), out.String(), before)
	}
}

// publishedMeter runs meterd until it has published a meter whose ID begins so.
func publishedMeter(t *testing.T, conf, store, prefix string) power.Meter {
	t.Helper()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	c := exec.CommandContext(t.Context(), "meterd", "run", "-c", conf, "--dir", store, "--listen", address)
	c.Stderr = &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait() // stopped
	}()
	for _, batch := range decoded(t, stored(t, address, 2)) {
		for _, m := range batch.Meters {
			if strings.HasPrefix(m.ID, prefix) {
				return m
			}
		}
	}
	t.Fatalf("no meter %s was published:\n%s", prefix, log.String())
	return power.Meter{}
}

// Whatever a recording holds, reading it ends without a panic.
func FuzzDecodeRecording(f *testing.F) {
	pack := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(text))
		_ = w.Close()
		return b.Bytes()
	}
	f.Add(pack(`{"format":"agentwatt/recording/1","marks":[{"at_unix_nanos":1,"busy":true}],"traces":[{"meter":{"id":"m"},"samples":[[1,2,3,4,0]]}]}`))
	f.Add(pack(`{"format":"agentwatt/recording/1","traces":[{"samples":[[1,2,3,4,9]]}]}`))
	f.Add([]byte("not gzip"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeRecording(bytes.NewReader(data)); err == nil && r.versions == nil {
			t.Error("a recording without versions")
		}
	})
}
