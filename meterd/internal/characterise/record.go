package characterise

import (
	"context"
	"fmt"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// mostSamples bounds a recording: 16 meters at 1 kHz for 10 minutes.
const mostSamples = 10_000_000

// Record reads a source every so often until ctx ends, and returns what it said, one trace per meter in the order of their
// appearance. A reading that takes longer than every delays the next; nothing is made up for it. It returns an error if
// the source fails as a whole, or says too much; the traces are then those until then.
func Record(ctx context.Context, src sampler.Source, every time.Duration) ([]Trace, error) {
	var traces []Trace
	index := map[string]int{}
	var samples []power.Sample
	total := 0
	for due := time.Now(); clock.Sleep(ctx, time.Until(due)); {
		due = due.Add(every)
		if late := time.Now(); due.Before(late) {
			due = late
		}
		var err error
		if samples, err = src.Read(ctx, samples[:0]); err != nil {
			if ctx.Err() != nil {
				break
			}
			return traces, fmt.Errorf("record a source: %w", err)
		}
		if total += len(samples); total > mostSamples {
			return traces, fmt.Errorf("record a source: more than %d samples", mostSamples)
		}
		meters := src.Meters()
		for _, s := range samples {
			m := meters[s.Meter]
			i, ok := index[m.ID]
			if !ok {
				i = len(traces)
				index[m.ID] = i
				traces = append(traces, Trace{Meter: m})
			}
			traces[i].Samples = append(traces[i].Samples, s)
		}
	}
	return traces, nil
}
