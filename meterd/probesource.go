package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// A source is watched for 3 s, finely enough to tell a 20 ms refresh from a 100 ms one. Faster reading would cost more
// in the driver than the answer is worth.
const (
	probeStep   = 10 * time.Millisecond
	probeLength = 3 * time.Second
	fewChanges  = 5 // below this many, a period is a guess
)

// surveySource reads a source on an absolute schedule and describes what it saw.
func surveySource(ctx context.Context, o opened) (sourceSurvey, error) {
	p := &prober{source: o.source, seen: map[string]*history{}}
	timer := time.NewTimer(0)
	defer timer.Stop()
	begin := time.Now()
	for due := begin; due.Sub(begin) < probeLength; {
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if err := ctx.Err(); err != nil {
			return sourceSurvey{}, fmt.Errorf("probe %s: %w", o.name, err)
		}
		if err := p.read(ctx); err != nil {
			return sourceSurvey{}, fmt.Errorf("probe %s: %w", o.name, err)
		}
		for !due.After(time.Now()) {
			due = due.Add(probeStep)
		}
		timer.Reset(time.Until(due))
	}
	s := p.survey(o.name)
	if slices.ContainsFunc(s.Meters, func(m meterSurvey) bool { return m.Status == power.Denied }) {
		s.Fix = o.access
	}
	return s, nil
}

// prober watches one source.
type prober struct {
	source  sampler.Source
	samples []power.Sample
	took    []time.Duration
	seen    map[string]*history // by meter ID
}

// history is what one meter did.
type history struct {
	last    int64
	status  power.Status
	values  int
	changes []clock.Stamp
}

// read reads once and takes notes. A source that fails for now is noted too; one that is gone ends the probe.
func (p *prober) read(ctx context.Context) error {
	before := time.Now()
	samples, err := p.source.Read(ctx, p.samples[:0])
	p.took = append(p.took, time.Since(before))
	if errors.Is(err, sampler.ErrGone) || ctx.Err() != nil {
		return err
	}
	p.samples = samples
	meters := p.source.Meters()
	for _, s := range samples {
		p.note(meters[s.Meter].ID, s)
	}
	return nil
}

func (p *prober) note(id string, s power.Sample) {
	h := p.seen[id]
	if h == nil {
		h = &history{}
		p.seen[id] = h
	}
	if h.status = s.Status; s.Status != power.OK {
		return
	}
	if h.values++; h.values > 1 && s.Raw != h.last {
		h.changes = append(h.changes, s.Time)
	}
	h.last = s.Raw
}

// survey sums up.
func (p *prober) survey(name string) sourceSurvey {
	slices.Sort(p.took)
	out := sourceSurvey{
		Name: name, Reads: len(p.took), ReadP50: nearestRank(p.took, 50), ReadP99: nearestRank(p.took, 99),
		Meters: []meterSurvey{},
	}
	for _, m := range p.source.Meters() {
		s := meterSurvey{Meter: m, Status: power.Failed}
		if h := p.seen[m.ID]; h != nil {
			s.Status, s.Fresh, s.Update = h.status, len(h.changes), h.period()
		}
		out.Meters = append(out.Meters, s)
	}
	return out
}

// period returns the median time between changes; 0 if there were too few. A value that changes at every read may change
// more often than it was read: the result is then at most the step of the probe.
func (h *history) period() time.Duration {
	if len(h.changes) < fewChanges {
		return 0
	}
	var apart []time.Duration
	for i := 1; i < len(h.changes); i++ {
		apart = append(apart, h.changes[i].Sub(h.changes[i-1]))
	}
	slices.Sort(apart)
	return nearestRank(apart, 50)
}

// nearestRank returns the percentile of sorted durations.
func nearestRank(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, (len(sorted)*percent+99)/100-1)]
}
