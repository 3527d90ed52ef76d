package rundir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/servermetrics"
	"agentwatt/shared/clock"
)

func TestServerMetricsRoundTrip(t *testing.T) {
	d, path := create(t)
	at := clock.Stamp(1_700_000_000_000_000_000)
	reads := []servermetrics.Record{
		{Time: at, Text: []byte("vllm:num_requests_running 3\n")},
		{Time: at.Add(time.Second), Err: errors.New("status 503")},
		{Time: at.Add(2 * time.Second), Err: errors.New("timeout")},
		{Time: at.Add(3 * time.Second), Text: []byte("vllm:num_requests_running 4\n")},
	}
	for _, r := range reads {
		if err := d.AppendServer(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Finish(nil); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Manifest.Files["server/metrics.zst"]) != 64 {
		t.Error("no digest of the server's metrics in the manifest")
	}
	got, doubts, err := r.Server()
	if err != nil || len(doubts) > 0 {
		t.Fatalf("doubts %q, %v", doubts, err)
	}
	value := func(v float64) map[bench.ServerQuantity]float64 {
		return map[bench.ServerQuantity]float64{bench.ServerRunning: v}
	}
	want := bench.ServerEvidence{Failed: 2, Failure: "status 503", Samples: []bench.ServerSample{
		{Time: at, Server: "vllm", Values: value(3)}, {Time: at.Add(3 * time.Second), Server: "vllm", Values: value(4)}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestServerMetricsTornOrMissing(t *testing.T) {
	d, path := create(t)
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, doubts, err := r.Server(); err != nil || len(doubts) > 0 || len(got.Samples) > 0 {
		t.Errorf("a run without: %+v, %q, %v", got, doubts, err)
	}
	for range 2 * readsPerFlush {
		if err := d.AppendServer(servermetrics.Record{Time: 1, Text: []byte("vllm:num_requests_running 3\n")}); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(path, serverFile)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data[:len(data)-5], 0o644); err != nil {
		t.Fatal(err)
	}
	got, doubts, err := r.Server()
	if err != nil || len(doubts) != 1 || !strings.Contains(doubts[0], "server/metrics.zst") || len(got.Samples) != readsPerFlush {
		t.Errorf("%d samples, doubts %q, %v, want the %d of the first flush and a doubt", len(got.Samples), doubts, err, readsPerFlush)
	}
}
