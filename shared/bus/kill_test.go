package bus

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/wire"
)

// childEnv names the store in which this test binary, started by TestKilledServerKeepsWhatItAcknowledged, is to serve
// and publish until it is killed. childRun is the run it publishes as.
const (
	childEnv = "AGENTWATT_BUS_TEST_DIR"
	childRun = "AGENTWATT_BUS_TEST_RUN"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		fmt.Fprintln(os.Stderr, publishUntilKilled(dir, os.Getenv(childRun)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// publishUntilKilled prints the number of each batch when Publish has returned for it.
func publishUntilKilled(dir, run string) error {
	s, err := Serve(context.Background(), ServerOptions{Dir: dir})
	if err != nil {
		return err
	}
	p, err := s.Publisher()
	if err != nil {
		return err
	}
	for n := uint64(1); ; n++ {
		if err := p.Publish(context.Background(), batch(run, n)); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

// Whatever Publish returned for is there after kill -9, in order, once; over several kills of one store.
func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]uint64{}
	for round, batches := range []uint64{50, 400, 1} {
		run := fmt.Sprint("run ", round)
		acknowledged[run] = killAfter(t, dir, run, batches)
	}
	s := serveTest(t, ServerOptions{Dir: dir})
	got, err := reader(t, s).Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]uint64{}
	for i, m := range got {
		b, err := wire.Decode(m.Payload)
		if err != nil {
			t.Fatalf("sequence %d: %v", m.Sequence, err)
		}
		if b.Seq != last[b.Run]+1 || m.Sequence != uint64(i+1) || m.Gap != nil {
			t.Fatalf("sequence %d: batch %d of %s after %d, gap %v", m.Sequence, b.Seq, b.Run, last[b.Run], m.Gap)
		}
		last[b.Run] = b.Seq
	}
	for run, n := range acknowledged {
		t.Logf("%s: %d acknowledged, %d stored", run, n, last[run])
		if last[run] < n {
			t.Errorf("%s: %d batches were acknowledged, %d are stored", run, n, last[run])
		}
		if last[run] > n+1 { // one may have been stored without word of it getting out
			t.Errorf("%s: %d batches were acknowledged, but %d are stored", run, n, last[run])
		}
	}
}

// killAfter lets a child publish that many batches, kills it, and returns the last that it said was acknowledged.
func killAfter(t *testing.T, dir, run string, batches uint64) uint64 {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childEnv+"="+dir, childRun+"="+run)
	child.Stderr = t.Output()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if last, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
			t.Fatal(err)
		}
		if last == batches {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil || last < batches {
		t.Fatalf("the child ended by itself after %d batches: %v", last, err)
	}
	return last
}
