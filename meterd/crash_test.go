package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// A meterd that is killed without warning loses what it had not published, and nothing else. Its successor on the same
// store continues; between the two there is a gap, not watts.
func TestKillAndRestart(t *testing.T) {
	dir := t.TempDir()
	address, err := freeAddress()
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "meterd.yaml")
	yaml := "host: h\nsys_root: " + dir + "\nbus: {flush: 200ms}\n" +
		"sources: {nvml: {enabled: false}, simulated: {devices: 1, interval: 50ms}}\n"
	if err := os.WriteFile(conf, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		c := exec.CommandContext(t.Context(), "meterd", "run", "-c", conf, "--dir", filepath.Join(dir, "store"), "--listen", address)
		c.Stderr = &bytes.Buffer{}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := start()
	before := stored(t, address, 14)
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // killed
	time.Sleep(700 * time.Millisecond)

	second := start()
	after := stored(t, address, len(before)+16)
	if err := second.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("stopped with %v:\n%s", err, second.Stderr)
	}

	for i, m := range before {
		if !bytes.Equal(m.Payload, after[i].Payload) || m.Sequence != after[i].Sequence {
			t.Errorf("batch %d is not what it was before the crash", i)
		}
	}
	batches := slices.DeleteFunc(decoded(t, after), func(b *power.Batch) bool { return b.Source == journalSource })
	counters := map[string]uint64{}
	for i, b := range batches {
		counters[b.Run]++
		if b.Seq != counters[b.Run] {
			t.Errorf("batch %d: number %d of run %s, want %d", i, b.Seq, b.Run, counters[b.Run])
		}
	}
	if len(counters) != 2 {
		t.Errorf("%d runs, want 2: a restart must show", len(counters))
	}
	expectGap(t, batches)
}

// expectGap checks that the crash cost coverage in an interval around it.
func expectGap(t *testing.T, batches []*power.Batch) {
	t.Helper()
	var samples []power.Sample
	for _, b := range batches {
		for _, s := range b.Samples {
			if b.Meters[s.Meter].Quantity == power.Counter {
				samples = append(samples, s)
			}
		}
	}
	meter := batches[0].Meters[0]
	begin, end := samples[0].Time.Add(300*time.Millisecond), samples[len(samples)-1].Time.Add(-300*time.Millisecond)
	use := power.Between(meter, samples, begin, end)
	if use.Valid || use.Coverage > 0.9 || use.LongestGap < 500*time.Millisecond {
		t.Errorf("valid %v, coverage %.3f, longest gap %v over a crash of at least 0.7 s; warnings %v",
			use.Valid, use.Coverage, use.LongestGap, use.Warnings)
	}
	if w := use.Mean.Watts(); w < 390 || w > 410 {
		t.Errorf("mean %.1f W of what was covered, want 400", w)
	}
}

// stored waits until the bus at address has n batches, and returns them.
func stored(t *testing.T, address string, n int) []bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for ; ; time.Sleep(20 * time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("no %d batches on the bus in 20 s", n)
		}
		conn, err := bus.Dial(ctx, "nats://"+address, bus.Credentials{})
		if err != nil {
			continue // not up yet
		}
		var all []bus.Message
		err = conn.Follow(ctx, 0, func(m bus.Message) error {
			if all = append(all, m); len(all) >= n {
				return io.EOF
			}
			return nil
		})
		conn.Close()
		if len(all) >= n {
			return all
		}
		t.Logf("follow: %v", err)
	}
}

func decoded(t *testing.T, messages []bus.Message) (out []*power.Batch) {
	t.Helper()
	for _, m := range messages {
		b, err := wire.Decode(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}
