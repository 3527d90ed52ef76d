package bus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk mounts a file system of that many bytes. Only root can, and without it the test is skipped, unless the list
// METER_REQUIRE names "tmpfs".
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if slices.Contains(strings.Split(os.Getenv("METER_REQUIRE"), ","), "tmpfs") {
			t.Fatalf("mount a small disk: %v", err)
		}
		t.Skipf("SKIPPED: no small disk can be mounted: %v (METER_REQUIRE=tmpfs makes this fatal)", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes until there is no room.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<16)
	for err == nil {
		_, err = f.Write(block)
	}
	for err = nil; err == nil; {
		_, err = f.Write(block[:512])
	}
}

// When the disk is full nothing is acknowledged that is not stored; when there is room again, all goes on, by itself.
func TestFullDisk(t *testing.T) {
	dir := smallDisk(t, "64m")
	s := serveTest(t, ServerOptions{Dir: filepath.Join(dir, "store"), MaxBytes: 16 << 20, Log: verbose(t)})
	p := publisher(t, s)
	keep(t, s, recorder(p, "run"))
	publish(t, p, "run", 1, 100)
	ballast := filepath.Join(dir, "ballast")
	last := uint64(100)
	for range 2 { // it heals more than once
		fill(t, ballast)
		for end := time.Now().Add(30 * time.Second); p.Publish(t.Context(), batch("run", last+1)) == nil; last++ {
			if time.Now().After(end) {
				t.Fatal("the disk does not fill up")
			}
		}
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			stats, err := s.Stats(t.Context())
			if s.health.reason() != "" {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("nobody noticed: %+v, %v", stats, err)
			}
			_ = p.Publish(t.Context(), batch("run", last+1)) // fails
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			last++
			insist(t, p, batch("run", last))
		}
	}
	if named := reckon(t, s, "run", "nvml", last, ""); named != 0 {
		t.Errorf("%d batches are named as lost", named)
	}
	if why := s.health.reason(); why != "" {
		t.Errorf("the store is said to be down: %s", why)
	}
}
