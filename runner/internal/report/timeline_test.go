package report

import (
	"math"
	"testing"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// TestTimeline draws a constant 100 W with a hole of 10 s in the samples: a number outside the hole, none inside.
func TestTimeline(t *testing.T) {
	const step = 100 * time.Millisecond
	meter := power.Meter{ID: "gpu/energy", Device: "gpu", Scope: power.Accelerator, Quantity: power.Counter, Scale: power.Scale{Num: 1, Den: 1}, Period: step, Accuracy: 0.05}
	batch := power.Batch{Host: "h", Boot: "b", Source: "s", Run: "r", Meters: []power.Meter{meter}}
	for at := time.Duration(0); at <= time.Minute; at += step {
		if at > 20*time.Second && at < 30*time.Second {
			continue
		}
		batch.Samples = append(batch.Samples, power.Sample{Time: started.Add(at), Raw: int64((100 * power.Watt).Over(at))})
	}
	r := bench.NewRecording([]power.Batch{batch}, bench.HostClock{Host: "h", Boot: "b"})
	span := bench.Window{Begin: started, End: started.Add(time.Minute)}
	got := NewTimeline(r, span, bench.PowerPlan{})
	if len(got.Scopes) != 1 || len(got.Scopes[0].Watts) != 60 {
		t.Fatalf("got %d scopes, want one of 60 bins of a second", len(got.Scopes))
	}
	for i, w := range got.Scopes[0].Watts {
		hole := i >= 20 && i < 30
		if math.IsNaN(w) != hole || !hole && math.Abs(w-100) > 0.1 {
			t.Errorf("bin %d: got %v W, in the hole: %v", i, w, hole)
		}
	}
	if empty := NewTimeline(r, bench.Window{}, bench.PowerPlan{}); len(empty.Scopes) != 0 {
		t.Error("a run without length has a course")
	}
}
