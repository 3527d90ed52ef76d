package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"agentwatt/shared/clock"
)

// reads makes one sample a second; missing is a value that the server did not tell.
func reads(q ServerQuantity, values ...float64) (list []ServerSample) {
	for i, v := range values {
		s := ServerSample{Time: clock.Stamp(1e18).Add(time.Duration(i) * time.Second), Values: map[ServerQuantity]float64{}}
		if v != missing {
			s.Values[q] = v
		}
		list = append(list, s)
	}
	return list
}

const missing = -1

// both puts the values of two lists of samples together.
func both(a, b []ServerSample) []ServerSample {
	for i := range a {
		for q, v := range b[i].Values {
			a[i].Values[q] = v
		}
	}
	return a
}

func TestIncrease(t *testing.T) {
	for name, c := range map[string]struct {
		values         []float64
		total, seconds float64
		ok             bool
	}{
		"nothing":           {nil, 0, 0, false},
		"one":               {[]float64{5}, 0, 0, false},
		"grows":             {[]float64{5, 7, 7, 12}, 7, 3, true},
		"begins again":      {[]float64{100, 110, 3, 8}, 18, 3, true},
		"begins again at 0": {[]float64{100, 0, 0, 4}, 4, 3, true},
		"a gap":             {[]float64{5, missing, missing, 9}, 4, 3, true},
		"told late":         {[]float64{missing, missing, 5, 9}, 4, 1, true},
	} {
		total, seconds, ok := Increase(reads(ServerGenerated, c.values...), ServerGenerated)
		if ok != c.ok || ok && (total != c.total || seconds != c.seconds) {
			t.Errorf("%s: got %v in %v s (%v), want %v in %v s (%v)", name, total, seconds, ok, c.total, c.seconds, c.ok)
		}
	}
}

func TestHitRate(t *testing.T) {
	for name, c := range map[string]struct {
		samples []ServerSample
		rate    float64
		ok      bool
	}{
		"not told":             {reads(ServerRunning, 1, 2), 0, false},
		"hits of queries":      {both(reads(ServerHits, 0, 30), reads(ServerQueries, 0, 40)), 0.75, true},
		"hits and misses":      {both(reads(ServerHits, 0, 30), reads(ServerMisses, 0, 10)), 0.75, true},
		"nothing looked up":    {both(reads(ServerHits, 30, 30), reads(ServerQueries, 40, 40)), 0, false},
		"a gauge":              {reads(ServerHitRate, 0.2, 0.4), 0.3, true},
		"counters before it":   {both(both(reads(ServerHits, 0, 30), reads(ServerQueries, 0, 40)), reads(ServerHitRate, 0.1, 0.1)), 0.75, true},
		"more hits than asked": {both(reads(ServerHits, 0, 50), reads(ServerQueries, 0, 40)), 1, true},
	} {
		rate, ok := HitRate(c.samples)
		if ok != c.ok || ok && cmp.Diff(c.rate, rate, cmpopts.EquateApprox(0, 1e-9)) != "" {
			t.Errorf("%s: got %v (%v), want %v (%v)", name, rate, ok, c.rate, c.ok)
		}
	}
}

func TestServerWindow(t *testing.T) {
	samples := both(reads(ServerRunning, 9, 2, 4, 9), both(reads(ServerPreemptions, 1, 3, 7, 20), reads(ServerGenerated, 0, 100, 400, 900)))
	e := ServerEvidence{Samples: samples}
	got := e.window(Window{samples[1].Time, samples[3].Time})
	want := &ServerWindow{Reads: 2, Values: map[string]float64{
		"requests_running_mean": 3, "requests_running_max": 4, "preemptions": 4, "generation_tokens_per_second": 300}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := e.window(Window{}); got != nil {
		t.Errorf("a phase without a window: got %+v, want nil", got)
	}
}
