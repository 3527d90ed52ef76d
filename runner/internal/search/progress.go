package search

import (
	"math"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

// Progress is what a person watching wants to know. It is for display only: no result depends on it.
type Progress struct {
	Stage        string        // "idle before", "growing", "settling", "window", "draining", "power", "done", "idle after"
	Phase        int           // from 1; 0: outside phases
	Agents       int           // N
	Active       int           // agents live now
	Purpose      string        // why this N
	Elapsed      time.Duration // since the phase began
	Left         time.Duration // of the stage, estimated; 0: not known
	Requests     int           // in the window so far
	Trajectories int           // completed in the window so far
	Need         int           // completed trajectories that the stop rule asks for
	Speed        float64       // P25 of output speed so far, tokens per second; 0: not known
	TTFT         time.Duration // P95 so far; 0: not known
	Failures     int           // in the window so far
	Power        power.Power   // of PowerScope, over the last seconds; 0: not known
	PowerScope   power.Scope   //
	Simulated    bool          // endpoint or meters are simulated
	Done         *bench.Phase  // the phase that just ended, with its verdicts
}

func (s *Search) tell(p Progress) {
	if s.Watch == nil {
		return
	}
	p.Simulated = s.Experiment.Simulated
	if s.Power != nil {
		p.Power, p.PowerScope, p.Simulated = s.Power.now(p.Simulated)
	}
	s.Watch(p)
}

// fill adds what the requests of the window say so far.
func (p *Progress) fill(records []bench.Record, w bench.Window) {
	var speeds, ttfts []float64
	for _, r := range records {
		if !w.Holds(r) || r.Failure == bench.Cancelled {
			continue
		}
		p.Requests++
		if r.Failure != "" {
			p.Failures++
		}
		if r.Completed() {
			p.Trajectories++
		}
		if v, ok := bench.OutputSpeed.Of(r); ok {
			speeds = append(speeds, v)
		}
		if v, ok := bench.TTFT.Of(r); ok {
			ttfts = append(ttfts, v)
		}
	}
	if len(speeds) > 0 {
		p.Speed = bench.Quantile(speeds, 0.25)
	}
	if ttft := bench.Quantile(ttfts, 0.95); len(ttfts) > 0 && !math.IsInf(ttft, 0) {
		p.TTFT = time.Duration(ttft * float64(time.Second))
	}
}
