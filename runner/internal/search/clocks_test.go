package search

import (
	"context"
	"testing"
	"time"

	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The clock of another host is asked for over a real bus, and what was measured is in the run directory; the runner's own host is
// not asked.
func TestClocksAreMeasured(t *testing.T) {
	segments := clock.NewSegments("P")
	s, err := bus.Serve(t.Context(), bus.ServerOptions{Dir: t.TempDir(), Host: "gpu"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Answer(bus.ClockSubject("gpu"), segments.Answerer("gpu", "boot-gpu")); err != nil {
		t.Fatal(err)
	}
	publisher, err := s.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	path := t.TempDir() + "/run"
	dir, err := rundir.Create(path, rundir.Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	own := clock.New()
	epoch, err := own.Epoch()
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	p := &Power{Conn: conn, Dir: dir, Now: own.Now, Boot: "boot-load", Epoch: epoch}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx, 0) }()
	for _, b := range []*power.Batch{{Host: "gpu", Boot: "boot-gpu", Run: "R", Source: "x", Seq: 1}, {Host: "load", Boot: "boot-load", Run: "R", Source: "x", Seq: 1}} {
		if err := publisher.Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(20 * time.Second); len(p.Exchanges()) == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no clock was measured")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	run := &rundir.Run{Path: path}
	list, err := run.Clocks()
	if err != nil || len(list) != 1 || list[0].Host != "gpu" {
		t.Fatalf("got %+v, %v", list, err)
	}
	// Both clocks are of this machine, so the monotonic clocks agree, within the bound.
	if ahead, within := list[0].Offset(); max(ahead, -ahead) > within+time.Millisecond {
		t.Errorf("ahead by %v ± %v", ahead, within)
	}
}
