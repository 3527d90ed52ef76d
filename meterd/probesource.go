package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"agentwatt/meterd/internal/redfish"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/power"
)

// How long a source is watched: some twenty refreshes of a GPU, and at a decent pace a few of a PDU or BMC.
const (
	probeLength = 2 * time.Second
	probeSlow   = 8 * time.Second
	slowDecent  = 500 * time.Millisecond
)

// surveyAll watches every source: those of the host one after the other, remote ones side by side.
func surveyAll(ctx context.Context, found []opened) ([]sourceSurvey, error) {
	out, errs := make([]sourceSurvey, len(found)), make([]error, len(found))
	var remote sync.WaitGroup
	for i, o := range found {
		if o.remote {
			remote.Go(func() { out[i], errs[i] = surveySource(ctx, o) })
		}
	}
	for i, o := range found {
		if !o.remote {
			out[i], errs[i] = surveySource(ctx, o)
		}
	}
	remote.Wait()
	return out, errors.Join(errs...)
}

// surveySource watches a source and describes what it saw.
func surveySource(ctx context.Context, o opened) (sourceSurvey, error) {
	every, length := time.Millisecond, probeLength
	if o.slow {
		every, length = slowDecent, probeSlow
	}
	seen, err := sampler.MeasurePeriod(ctx, o.source, every, length)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return sourceSurvey{}, fmt.Errorf("probe %s: %w", o.name, err)
	}
	s := sourceSurvey{Name: o.name, Meters: []meterSurvey{}, Notes: latest(seen.Notes)}
	for _, m := range seen.Meters {
		x := meterSurvey{
			Meter: m.Meter, Status: m.Last.Status, Raw: m.Last.Raw, Changes: m.Changes,
			Update: m.Period, Bound: m.Bound, ReadP50: m.P50, ReadP99: m.P99,
		}
		if x.Status == power.OK {
			x.Value = amount(x.Meter, x.Raw)
		}
		s.Meters = append(s.Meters, x)
	}
	if r, ok := o.source.(*redfish.Source); ok {
		for _, x := range r.Conformance() {
			s.Rules = append(s.Rules, ruleSurvey{x.Device, x.Property, x.Profile, x.Honoured})
		}
	}
	if slices.ContainsFunc(s.Meters, func(m meterSurvey) bool { return m.Status == power.Denied }) {
		s.Fix = o.access
	}
	return s, nil
}

// latest keeps of each device and key the last note, in the order of their first.
func latest(notes []power.Note) []noteSurvey {
	at := map[[2]string]int{}
	out := []noteSurvey{}
	for _, n := range notes {
		key := [2]string{n.Device, n.Key}
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, noteSurvey{Device: n.Device, Key: n.Key})
		}
		out[i].Value = n.Value
	}
	return out
}
