package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/power"
)

// probeLength is how long a source is watched: some twenty refreshes of a GPU, two of a BMC.
const probeLength = 2 * time.Second

// surveySource watches a source and describes what it saw.
func surveySource(ctx context.Context, o opened) (sourceSurvey, error) {
	seen, err := sampler.MeasurePeriod(ctx, o.source, probeLength)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return sourceSurvey{}, fmt.Errorf("probe %s: %w", o.name, err)
	}
	s := sourceSurvey{Name: o.name, Meters: []meterSurvey{}}
	for _, m := range seen {
		s.Meters = append(s.Meters, meterSurvey{
			Meter: m.Meter, Status: m.Last.Status, Changes: m.Changes,
			Update: m.Period, Bound: m.Bound, ReadP50: m.P50, ReadP99: m.P99,
		})
	}
	if slices.ContainsFunc(s.Meters, func(m meterSurvey) bool { return m.Status == power.Denied }) {
		s.Fix = o.access
	}
	return s, nil
}
