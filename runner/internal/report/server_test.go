package report

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentwatt/runner/internal/bench"
)

// TestServerCourse bins reads of one a second, with a hole of 4 s and a restart of the server in it.
func TestServerCourse(t *testing.T) {
	var samples []bench.ServerSample
	add := func(second int, running, hits, asked, preempted float64) {
		samples = append(samples, bench.ServerSample{Time: started.Add(time.Duration(second)*time.Second + 10*time.Millisecond),
			Values: map[bench.ServerQuantity]float64{bench.ServerRunning: running, bench.ServerHits: hits, bench.ServerQueries: asked, bench.ServerPreemptions: preempted}})
	}
	add(0, 1, 0, 0, 3)
	add(1, 3, 50, 100, 3)
	add(2, 4, 60, 110, 5)
	add(3, 4, 70, 120, 5)
	add(8, 2, 9, 10, 1) // the counters began again
	add(9, 2, 9, 10, 1)
	got := NewServerCourse(samples, bench.Window{Begin: started, End: started.Add(10 * time.Second)})
	none := math.NaN()
	want := ServerCourse{
		Running: []float64{2, 4, none, none, 2}, Waiting: []float64{none, none, none, none, none}, KV: []float64{none, none, none, none, none},
		HitRate: []float64{0.5, 1, none, none, 0.9}, Preemptions: []float64{0, 2, none, none, 3}, Span: got.Span,
	}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-9)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if n := len(got.panels()); n != 3 {
		t.Errorf("%d panels, want 3: nothing is drawn of what was not told", n)
	}
	if c := NewServerCourse(nil, got.Span); len(c.panels()) != 0 || serverTimeline(Run{Server: c}, "x", widePicture) != "" {
		t.Error("a server that told nothing has a picture")
	}
}

func TestServerWords(t *testing.T) {
	at := bench.ServerPlan{URL: "http://h/metrics"}
	for want, m := range map[string]*bench.ServerMetrics{
		"server metrics: none (not read)":                                             nil,
		"server metrics: none (status 404)":                                           {ServerPlan: bench.ServerPlan{None: "status 404"}},
		"server metrics: none (timeout)":                                              {ServerPlan: at, Failed: 3, Failure: "timeout"},
		"server metrics: vllm names at http://h/metrics, read 5 times, 1 read failed": {ServerPlan: at, Servers: []string{"vllm"}, Reads: 5, Failed: 1},
	} {
		if got := serverWords(m); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
