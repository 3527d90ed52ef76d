package bench

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// mostClockError is the error of a worker's clock above which it is told: windows are seconds to minutes long.
const mostClockError = 10 * time.Millisecond

// mostStolen is the share of stolen processor time above which it is told.
const mostStolen = 0.02

// Differences that are worth a warning. They question the measurement without deciding about it.
const (
	toolTimeOff = 0.02 // actual against planned tool time, relative
	cacheLeak   = 0.05 // share of prompt tokens cached above what one play can share with itself; templates and tools blur it
	cacheLoss   = 0.10 // share of prompt tokens below it
)

// warnings lists doubts about the phase that do not make it invalid.
func (e *evaluation) warnings(p Phase) (list []string) {
	add := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	if n := p.Failures[InFlight]; n > 0 {
		add("%d requests were still in flight when the phase was closed; those that had not waited past a tier's TTFT limit are excluded", n)
	}
	if p.SingleChunk > 0 {
		add("%d one-chunk answers have no output speed and are excluded from it", p.SingleChunk)
	}
	if p.NoUsage > 0 {
		add("%d answers came without token usage and have no speed", p.NoUsage)
	}
	if n := p.Reading.UserStamps; n > 0 {
		add("%d of %d requests have receive stamps of the reader, not of the kernel", n, len(e.members))
	}
	if n := p.Reading.LateFirsts; n > 0 {
		add("the client read %d first outputs late, together with later ones", n)
	}
	if h := p.Client.Host; h != nil && h.Stolen > mostStolen {
		add("%.1f %% of the load generator's processor time was given to others by its hypervisor (steal)", 100*h.Stolen)
	}
	for _, w := range e.facts.Workers {
		if !w.Answered {
			add("worker %s did not tell its costs", w.Name)
		}
		if off := w.Clock.Error(); off > mostClockError {
			add("stamps of worker %s may be off by %v on the coordinator's clock", w.Name, off.Round(time.Microsecond))
		}
	}
	if models := e.models(); len(models) > 1 {
		add("the server named more than one model: %s", strings.Join(models, ", "))
	}
	return append(append(list, e.toolTime()...), e.cache()...)
}

func (e *evaluation) models() []string {
	names := map[string]bool{}
	for _, r := range e.members {
		if r.Model != "" {
			names[r.Model] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// toolTime compares the tool times that were waited with the planned ones: think time that is cut short or stretched
// changes the load.
func (e *evaluation) toolTime() []string {
	var planned, actual time.Duration
	for _, r := range e.members {
		if r.ToolPlanned > 0 && r.WriteBegin != 0 {
			planned += r.ToolPlanned
			actual += r.ToolActual
		}
	}
	if planned == 0 {
		return nil
	}
	off := float64(actual-planned) / float64(planned)
	if off > -toolTimeOff && off < toolTimeOff {
		return nil
	}
	return []string{fmt.Sprintf("the agents waited %+.1f %% against the planned tool time (%v planned)", 100*off, planned.Round(time.Millisecond))}
}

// cache compares the cached tokens that the server reports with the longest prefix that each request shares with its own
// play, taken in proportion of bytes (METHOD 2, salt).
func (e *evaluation) cache() []string {
	var prompt, cached, theory float64
	for _, r := range e.members {
		if r.Cached < 0 || r.Prompt <= 0 || r.Messages <= 0 {
			continue
		}
		prompt += float64(r.Prompt)
		cached += float64(r.Cached)
		theory += float64(r.Prompt) * float64(r.Shared) / float64(r.Messages)
	}
	if prompt == 0 {
		return nil
	}
	got, want := cached/prompt, theory/prompt
	figures := fmt.Sprintf("%.1f %% of the prompt tokens came from the cache, %.1f %% were sent before by the same play", 100*got, 100*want)
	switch {
	case got > want+cacheLeak:
		return []string{figures + ": reuse between plays (a leak, or a shared system prompt)"}
	case got < want-cacheLoss:
		return []string{figures + ": eviction, or routing away from the cache"}
	}
	return nil
}
