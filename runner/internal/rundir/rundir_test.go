package rundir

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

func create(t *testing.T) (*Dir, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "run")
	d, err := Create(path, Manifest{Experiment: bench.Experiment{ID: "x", Model: "m"}})
	if err != nil {
		t.Fatal(err)
	}
	return d, path
}

// batch makes a small power batch: one counter, ten readings.
func batch(t *testing.T, host string, seq uint64) (power.Batch, []byte) {
	t.Helper()
	b := power.Batch{Host: host, Boot: "b", Run: "r", Source: "nvml", Seq: seq, Meters: []power.Meter{{
		ID: "nvml/GPU-1/energy", Device: "GPU-1", Scope: power.Accelerator, Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1},
		Period: 100 * time.Millisecond, Accuracy: 0.05, Model: "nvml/x",
	}}}
	for i := range 10 {
		at := clock.Stamp(1_700_000_000_000_000_000).Add(time.Duration(int(seq)*10+i) * 100 * time.Millisecond)
		b.Samples = append(b.Samples, power.Sample{Time: at, Within: 5 * time.Microsecond, Raw: int64(seq)*700 + int64(i)*70})
	}
	data, err := wire.Encode(nil, &b)
	if err != nil {
		t.Fatal(err)
	}
	return b, data
}

func TestCreateNeverOverwrites(t *testing.T) {
	_, path := create(t)
	if _, err := Create(path, Manifest{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second Create: %v, want fs.ErrExist", err)
	}
	empty := t.TempDir()
	if _, err := Create(empty, Manifest{}); err != nil {
		t.Errorf("Create in an empty directory: %v", err)
	}
}

func TestRoundTrip(t *testing.T) {
	d, path := create(t)
	records := []bench.Record{
		{Phase: 1, Agent: 2, Trajectory: "a", Turns: 3, Sched: 5, ToolPlanned: time.Second, Reply: bench.Reply{WriteBegin: 6, Stamps: bench.KernelStamps, Output: 7, Cached: bench.Unknown, Failure: bench.FailStream, Detail: "x"}},
		{Phase: 1, Agent: 3, Trajectory: "b", Salt: "s", Reply: bench.Reply{FirstKnown: true, Reused: true}},
	}
	facts := bench.PhaseFacts{Index: 1, Agents: 4, Reason: bench.EndStopRule, WindowBegin: 1, WindowEnd: 9}
	if err := d.WritePhase(1, records); err != nil {
		t.Fatal(err)
	}
	if err := d.Update(func(m *Manifest) { m.Phases = append(m.Phases, facts) }); err != nil {
		t.Fatal(err)
	}
	var want []power.Batch
	for seq := range uint64(5) {
		b, data := batch(t, "gpu1", seq+1)
		want = append(want, b)
		if err := d.AppendBatch("gpu1", Received{Sequence: seq, Stored: 1, Payload: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(map[string][]byte{"result.json": []byte("{}\n")}); err != nil {
		t.Fatal(err)
	}

	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Manifest.Complete || len(r.Manifest.Phases) != 1 || !cmp.Equal(r.Manifest.Phases[0], facts) {
		t.Errorf("manifest %+v", r.Manifest)
	}
	for _, name := range []string{"requests/phase-0001.parquet", "result.json"} {
		if len(r.Manifest.Files[name]) != 64 {
			t.Errorf("no digest of %s in the manifest", name)
		}
	}
	got, err := r.Records(1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(records, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	batches, warnings, err := r.Batches()
	if err != nil || len(warnings) > 0 {
		t.Fatalf("batches: %v, warnings %q", err, warnings)
	}
	if diff := cmp.Diff(want, batches); diff != "" {
		t.Errorf("batches (-want +got):\n%s", diff)
	}
	rows, err := parquet.ReadFile[PowerRow](filepath.Join(path, "power", "gpu1.parquet"))
	if err != nil || len(rows) != 50 || rows[49].Raw != want[4].Samples[9].Raw || rows[49].ScaleNum != 1000 {
		t.Errorf("power table: %d rows, %v", len(rows), err)
	}
}

func TestTornEvidenceKeepsWhatCameBefore(t *testing.T) {
	d, path := create(t)
	file := filepath.Join(path, batchFile("h"))
	whole := map[int]int{0: 0} // batches by file size at the edges of flushes
	for seq := range uint64(6) {
		_, data := batch(t, "h", seq+1)
		if err := d.AppendBatch("h", Received{Sequence: seq, Payload: data}); err != nil {
			t.Fatal(err)
		}
		if err := d.FlushBatches(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		whole[int(info.Size())] = int(seq) + 1
	}
	all, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for n := range len(all) + 1 { // cut everywhere
		edge, isEdge := whole[n]
		if isEdge {
			want = edge
		}
		if err := os.WriteFile(file, all[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		batches, warnings, err := r.Batches()
		if err != nil || len(batches) != want || (len(warnings) == 0) != isEdge {
			t.Fatalf("%d of %d bytes: %d batches, warnings %q, %v; want %d batches", n, len(all), len(batches), warnings, err, want)
		}
	}
}

func TestUndecodableBatchIsDoubtNotAnEnd(t *testing.T) {
	d, path := create(t)
	_, good := batch(t, "h", 1)
	for i, payload := range [][]byte{good, []byte("not a batch"), good} {
		if err := d.AppendBatch("h", Received{Sequence: uint64(i), Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.FlushBatches(); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	batches, warnings, err := r.Batches()
	if err != nil || len(batches) != 2 || len(warnings) != 1 || !strings.Contains(warnings[0], "power batch 1 of h.batches.zst left out") {
		t.Errorf("%d batches, warnings %q, %v", len(batches), warnings, err)
	}
}

// TestKill kills a writer at random points: the directory stays readable, with every phase that was closed.
func TestKill(t *testing.T) {
	if path := os.Getenv("RUNDIR_KILL_CHILD"); path != "" {
		writeForEver(path)
	}
	for i := range 4 {
		path := filepath.Join(t.TempDir(), "run")
		cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
		cmd.Env = append(os.Environ(), "RUNDIR_KILL_CHILD="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		closed := 0
		for buf := make([]byte, 1); closed < 3+i; { // one byte per closed phase
			if _, err := out.Read(buf); err != nil {
				t.Fatal(err)
			}
			closed++
		}
		time.Sleep(time.Duration(i) * 700 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed

		r, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if r.Manifest.Complete || len(r.Manifest.Phases) < closed {
			t.Errorf("complete %v, %d phases, want at least %d", r.Manifest.Complete, len(r.Manifest.Phases), closed)
		}
		for _, p := range r.Manifest.Phases {
			if records, err := r.Records(p.Index); err != nil || len(records) != 1000 {
				t.Errorf("phase %d: %d records, %v", p.Index, len(records), err)
			}
		}
		if batches, _, err := r.Batches(); err != nil || len(batches) < closed {
			t.Errorf("%d batches, %v, want at least %d", len(batches), err, closed)
		}
	}
}

// writeForEver closes phase after phase and says so with a byte each, until it is killed.
func writeForEver(path string) {
	fail := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	d, err := Create(path, Manifest{})
	fail(err)
	t := &testing.T{}
	for i := 1; ; i++ {
		_, data := batch(t, "h", uint64(i))
		fail(d.AppendBatch("h", Received{Sequence: uint64(i), Payload: data}))
		fail(d.FlushBatches())
		fail(d.WritePhase(i, make([]bench.Record, 1000)))
		fail(d.Update(func(m *Manifest) { m.Phases = append(m.Phases, bench.PhaseFacts{Index: i}) }))
		_, err := os.Stdout.Write([]byte{'.'})
		fail(err)
	}
}

func TestFinishWithDamagedEvidence(t *testing.T) {
	d, path := create(t)
	_, good := batch(t, "h", 1)
	for i, payload := range [][]byte{good, []byte("not a batch"), good} {
		if err := d.AppendBatch("h", Received{Sequence: uint64(i), Payload: payload}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(nil); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[PowerRow](filepath.Join(path, "power", "h.parquet"))
	if err != nil || len(rows) != 20 {
		t.Errorf("%d rows of the two good batches, %v, want 20", len(rows), err)
	}
}
