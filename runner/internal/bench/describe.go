package bench

import (
	"cmp"
	"math"
	"slices"
	"time"

	"agentwatt/shared/clock"
)

// describe fills in what a phase looked like, whatever its verdicts.
func (e *evaluation) describe(p *Phase) {
	p.Metrics = map[string]Summary{}
	for _, m := range append(Metrics(), Lag) {
		values, _ := e.values(m, 0)
		p.Metrics[string(m)] = Summarise(values)
	}
	p.Agentwise = e.byAgent()
	p.spread()
	p.ByContext = e.byContext()
	p.Tokens = e.tokens()
	p.Reading = e.reading()
	p.InFlight = e.inFlightMean()
	if e.facts.Agents > 0 {
		p.DutyCycle = p.InFlight / float64(e.facts.Agents)
	}
}

// spread compares the agents: the pooled percentiles can hide one that starves.
func (p *Phase) spread() {
	p.SlowestAgent, p.LatestAgent = -1, -1
	slowest, latest := math.Inf(1), math.Inf(-1)
	var speeds, waits []float64
	for _, a := range p.Agentwise {
		if !math.IsNaN(a.SpeedP25) {
			speeds = append(speeds, a.SpeedP25)
		}
		if !math.IsNaN(a.TTFTP95) {
			waits = append(waits, a.TTFTP95)
		}
		if a.SpeedP25 < slowest { // false for NaN
			p.SlowestAgent, slowest = a.Agent, a.SpeedP25
		}
		if a.TTFTP95 > latest {
			p.LatestAgent, latest = a.Agent, a.TTFTP95
		}
	}
	p.SpeedSpread, p.TTFTSpread = Summarise(speeds), Summarise(waits)
}

// Summarise gives the distribution of the values.
func Summarise(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	q := Quantiles(values, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
	return Summary{N: len(values), P5: q[0], P25: q[1], P50: q[2], P75: q[3], P90: q[4], P95: q[5], P99: q[6]}
}

// part is a share of the members: of one agent, or of one range of contexts.
type part struct {
	requests, trajectories int
	speeds, waits          []float64
}

func (e *evaluation) add(p *part, r *Record) {
	p.requests++
	if e.completed(r) {
		p.trajectories++
	}
	if v, ok := e.value(OutputSpeed, r, 0); ok {
		p.speeds = append(p.speeds, v)
	}
	if v, ok := e.value(TTFT, r, 0); ok {
		p.waits = append(p.waits, v)
	}
}

// byAgent gives each agent's share, ordered by slot. Agents without a request are listed with none.
func (e *evaluation) byAgent() []AgentSummary {
	parts := map[int]*part{}
	for _, r := range e.members {
		if parts[r.Agent] == nil {
			parts[r.Agent] = &part{}
		}
		e.add(parts[r.Agent], r)
	}
	list := make([]AgentSummary, 0, len(parts))
	for agent, p := range parts {
		list = append(list, AgentSummary{agent, p.requests, p.trajectories, Quantile(p.speeds, 0.25), Quantile(p.waits, 0.95)})
	}
	slices.SortFunc(list, func(a, b AgentSummary) int { return cmp.Compare(a.Agent, b.Agent) })
	return list
}

// The context buckets double from 1K to 128K tokens, the range of METHOD 2's datasets.
const (
	smallestContext = 1 << 10
	largestContext  = 1 << 17
)

// byContext splits the members by prompt length; requests without usage are in no bucket, and empty buckets are left out.
func (e *evaluation) byContext() (list []ContextBucket) {
	parts := map[int]*part{}
	for _, r := range e.members {
		if r.Prompt < 0 {
			continue
		}
		from := 0
		for edge := smallestContext; edge <= min(r.Prompt, largestContext); edge *= 2 {
			from = edge
		}
		if parts[from] == nil {
			parts[from] = &part{}
		}
		e.add(parts[from], r)
	}
	for from, p := range parts {
		b := ContextBucket{From: from, To: max(2*from, smallestContext), Requests: p.requests}
		if from == largestContext {
			b.To = 0
		}
		b.SpeedP25, b.TTFTP95 = Quantile(p.speeds, 0.25), Quantile(p.waits, 0.95)
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b ContextBucket) int { return cmp.Compare(a.From, b.From) })
	return list
}

// tokens sums the server's usage over the members.
func (e *evaluation) tokens() (t Tokens) {
	for _, r := range e.members {
		if r.Prompt < 0 || r.Output < 0 {
			if !r.failed() {
				t.Unknown++
			}
		}
		t.Prompt += int64(max(0, r.Prompt))
		t.Output += int64(max(0, r.Output))
		t.Reasoning += int64(max(0, r.Reasoning))
		if r.Cached < 0 {
			t.CachedUnknown++
			t.PromptUncached += int64(max(0, r.Prompt))
		}
		t.Cached += int64(max(0, r.Cached))
	}
	return t
}

// reading describes how the answers were read.
func (e *evaluation) reading() (r Reading) {
	var latest []float64
	merged := 0
	for _, m := range e.members {
		r.Chunks += m.Chunks
		merged += m.MergedReads
		switch {
		case m.FirstOutput == 0:
		case m.Stamps != KernelStamps:
			r.UserStamps++
		default:
			latest = append(latest, m.UserLagMax.Seconds())
		}
		if m.FirstRead > 1 && m.FirstReadLag > lateRead {
			r.LateFirsts++
		}
	}
	r.Latest = Summarise(latest)
	if r.Chunks > 0 {
		r.Merged = float64(merged) / float64(r.Chunks)
	}
	if s := e.window.Length().Seconds(); s > 0 {
		r.PerSecond = float64(r.Chunks) / s
	}
	return r
}

// inFlightMean returns the time-weighted mean number of requests in flight over the window, those included that began
// before it during the same phase.
func (e *evaluation) inFlightMean() float64 {
	if e.window.Length() == 0 {
		return 0
	}
	var sum time.Duration
	for i := range e.all {
		r := &e.all[i]
		done := r.Done
		if done == 0 {
			done = e.facts.End
		}
		if r.WriteBegin != 0 {
			sum += e.window.overlap(r.WriteBegin, done)
		}
	}
	return float64(sum) / float64(e.window.Length())
}

// overlap returns how much of [begin, end) lies in the window.
func (w Window) overlap(begin, end clock.Stamp) time.Duration {
	return max(0, min(end, w.End).Sub(max(begin, w.Begin)))
}
