package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/power"
)

// The link is cut while meterd goes on, and heals.
func TestFaultLinkCut(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "")
	r.start()
	r.produce(20)
	r.link.Cut()
	r.produce(60)
	r.link.Heal()
	r.produce(20)
	r.stop()
	if named := r.reckon(); named != 0 {
		t.Errorf("%d batches are lost", named)
	}
}

// The hub is killed, again and again.
func TestFaultHubKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "")
	r.start()
	for range 3 {
		r.produce(15)
		r.server.Kill()
		r.produce(15)
		r.server.Start()
	}
	r.produce(15)
	r.stop()
	if named := r.reckon(); named != 0 {
		t.Errorf("%d batches are lost", named)
	}
}

// meterd is killed at random points: what it had in memory is named by the run after it.
func TestFaultMeterdKilled(t *testing.T) {
	t.Parallel()
	kills := 5
	if full() {
		kills = 50
	}
	random := rand.New(rand.NewPCG(3, 4))
	r := newRig(t, "", "")
	for range kills {
		r.start()
		r.produce(1)
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond) // the point is random
		r.kill()
	}
	r.start()
	r.produce(5)
	r.stop()
	r.reckon()
}

// The disk is full for a while. What was not stored within the queue of the sampler is named.
func TestFaultDiskFull(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64m"); err != nil {
		if slices.Contains(strings.Split(os.Getenv("METER_REQUIRE"), ","), "tmpfs") {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("SKIPPED: no small disk can be mounted: %v (METER_REQUIRE=tmpfs makes this fatal)", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	r := newRig(t, filepath.Join(disk, "store"), ", max_bytes: 16MiB")
	r.start()
	r.produce(20)
	ballast, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	for block := make([]byte, 1<<16); err == nil; {
		_, err = ballast.Write(block)
	}
	for block := make([]byte, 512); ; {
		if _, err := ballast.Write(block); err != nil {
			break
		}
	}
	ballast.Close()
	time.Sleep(12 * time.Second) // longer than the queue of a sampler holds
	if err := os.Remove(ballast.Name()); err != nil {
		t.Fatal(err)
	}
	r.produce(60)
	r.stop()
	if named := r.reckon(); named == 0 {
		t.Error("nothing was lost: the disk was not full")
	}
}

// The wall clock is set while meterd runs: a new segment begins, and says by how much.
func TestFaultClockStep(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "")
	r.start()
	r.produce(20)
	if err := os.WriteFile(r.step(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.produce(40)
	r.stop()
	named := r.reckon()
	steps := 0
	for _, m := range r.atHub() {
		for _, n := range r.decode(m).Notes {
			if n.Key == "clock_step_seconds" && (strings.HasPrefix(n.Value, "3") || strings.HasPrefix(n.Value, "2.99")) {
				steps++
			}
		}
	}
	if named != 0 || steps == 0 {
		t.Errorf("%d batches are lost, %d notes of the step", named, steps)
	}
}

// The store reaches its limit while the link is cut: the oldest batches go, and are named.
func TestFaultStreamLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", ", max_bytes: 40kB")
	r.start()
	r.produce(5)
	r.link.Cut()
	r.produce(250)
	r.link.Heal()
	r.produce(10)
	r.stop()
	if named := r.reckon(); named == 0 {
		t.Error("nothing was lost: the limit was not reached")
	}
}

// A hub that takes next to nothing slows nobody down.
func TestFaultSlowHub(t *testing.T) {
	t.Parallel()
	r := newRig(t, "", "")
	r.link.Slow(20_000)
	r.start()
	r.produce(150)
	r.link.Slow(0)
	r.produce(20)
	r.stop()
	if named := r.reckon(); named != 0 {
		t.Errorf("%d batches are lost", named)
	}
}

// Ten hours of readings come together while the link is cut, an hour in the short form: 8 GPUs, a batch a second. Nobody waits
// ten hours: the batches carry the stamps, and are stored as fast as the disk allows.
func TestFaultTenHours(t *testing.T) {
	t.Parallel()
	seconds := 3600
	if full() {
		seconds = 36_000
	}
	r := newRig(t, "", "")
	key, err := evidence.ReadKey(filepath.Join(r.dir, "host.key"))
	if err != nil {
		t.Fatal(err)
	}
	r.link.Cut()
	s, err := bus.Serve(t.Context(), bus.ServerOptions{Dir: filepath.Join(r.dir, "store"), Host: faultHost, Key: key, Hub: &bus.Hub{URL: "nats://" + r.link.Address()}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	stamp := clock.At(begin.Add(-time.Duration(seconds) * time.Second))
	for n := range seconds {
		if err := p.Publish(t.Context(), hourly(uint64(n+1), stamp.Add(time.Duration(n)*time.Second))); err != nil {
			t.Fatal(err)
		}
	}
	stored := time.Since(begin)
	r.link.Heal()
	begin = time.Now()
	for end := begin.Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if n := len(r.atHub()); n == seconds {
			break
		} else if time.Now().After(end) {
			t.Fatalf("%d of %d batches are at the hub", n, seconds)
		}
	}
	t.Logf("%d batches of %d s: stored in %v while the link was cut, at the hub %v after it healed", seconds, seconds, stored.Round(time.Millisecond), time.Since(begin).Round(time.Millisecond))
	s.Close()
	for i, m := range r.atHub() {
		if b := r.decode(m); b.Seq != uint64(i+1) || m.Sequence != uint64(i+1) {
			t.Fatalf("message %d at the hub: sequence %d, batch %d", i+1, m.Sequence, b.Seq)
		}
	}
}

// hourly is a batch of eight GPUs.
func hourly(n uint64, at clock.Stamp) *power.Batch {
	b := &power.Batch{Host: faultHost, Run: "TEN", Source: "nvml", Seq: n}
	for i := range 8 {
		b.Meters = append(b.Meters, power.Meter{ID: "nvml/" + string(rune('a'+i)), Device: string(rune('a' + i)), Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1}})
		for k := range 10 {
			b.Samples = append(b.Samples, power.Sample{Meter: i, Time: at.Add(time.Duration(k) * 100 * time.Millisecond), Raw: int64(n)*400_000 + int64(k)*40_000})
		}
	}
	return b
}
