package bench

import (
	"time"

	"agentwatt/shared/clock"
)

// Worker is a process on some host that made a part of the load. Agent k of a run with n workers is that of worker k mod n.
type Worker struct {
	Name        string       `json:"name"`
	Host        string       `json:"host"`
	Boot        string       `json:"boot"`          // kernel boot id
	Tool        string       `json:"tool"`          // "runner <version>"
	Binary      string       `json:"binary_sha256"` //
	Processors  int          `json:"processors"`    //
	Calibration *Calibration `json:"calibration,omitempty"`
}

// WorkerFacts is what a worker did and cost during a phase.
type WorkerFacts struct {
	Name     string      `json:"name"`
	Answered bool        `json:"answered"` // it told its costs
	Records  int         `json:"records"`  // received since the phase before
	Client   ClientCost  `json:"client"`
	Clock    WorkerClock `json:"clock"`
}

// WorkerClock is what is known of a worker's monotonic clock against the coordinator's. Times within a request are the worker's
// alone; the offset matters for which window a request belongs to, and to the power beside it.
type WorkerClock struct {
	Ahead        time.Duration `json:"ahead_nanos"`       // last measured: the worker's clock less the coordinator's
	Within       time.Duration `json:"within_nanos"`      // bound of its error, the worst of the run: half the way of question and answer
	Way          time.Duration `json:"way_nanos"`         // last measured
	Drift        time.Duration `json:"drift_nanos"`       // largest change from one measurement to the next
	Measurements int           `json:"measurements"`      //
	SameBoot     bool          `json:"same_kernel_clock"` // one boot, one clock: stamps were moved without the measured offset
}

// Error bounds how far a stamp of the worker may be off on the coordinator's clock.
func (c WorkerClock) Error() time.Duration {
	if c.SameBoot {
		return 0
	}
	return c.Within + c.Drift
}

// Shift returns the record with d added to every stamp.
func (r Record) Shift(d time.Duration) Record {
	for _, s := range []*clock.Stamp{
		&r.Sched, &r.WriteBegin, &r.WriteEnd, &r.Headers, &r.FirstByte, &r.FirstOutput, &r.FirstAnswer, &r.LastOutput, &r.Done,
	} {
		if *s != 0 {
			*s = s.Add(d)
		}
	}
	return r
}

// Together returns the costs of several processes as those of one load generator: sums of what adds up, else the worst.
func Together(costs ...ClientCost) (all ClientCost) {
	for _, c := range costs {
		all.CPU += c.CPU
		all.HeapBytes += c.HeapBytes
		all.GCPauseMax = max(all.GCPauseMax, c.GCPauseMax)
		all.SchedP99 = max(all.SchedP99, c.SchedP99)
		all.SchedMax = max(all.SchedMax, c.SchedMax)
		if c.Host == nil {
			continue
		}
		if all.Host == nil {
			all.Host = &HostLoad{}
		}
		all.Host.Stolen = max(all.Host.Stolen, c.Host.Stolen)
		all.Host.Busiest = max(all.Host.Busiest, c.Host.Busiest)
	}
	return all
}

// Crew returns the calibration of workers together. Those of one boot share its processors: they were calibrated one after the
// other, so the least of them is what all of them together are held to. Steps are those of the host that was proven for least.
func Crew(workers []Worker) *Calibration {
	hosts := map[string]*Calibration{}
	var order []string
	for _, w := range workers {
		if w.Calibration == nil {
			return nil
		}
		key := w.Boot
		if key == "" {
			key = w.Host
		}
		if hosts[key] == nil {
			order = append(order, key)
		}
		if h := hosts[key]; h == nil || w.Calibration.Proven < h.Proven {
			hosts[key] = w.Calibration
		}
	}
	var all *Calibration
	sum := 0.0
	for _, key := range order {
		c := hosts[key]
		sum += c.Proven
		if all == nil || c.Proven < all.Proven {
			all = c
		}
	}
	if all == nil {
		return nil
	}
	together := *all
	together.Proven = sum
	return &together
}
