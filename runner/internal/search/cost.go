package search

import (
	"math"
	"runtime/metrics"
	"syscall"
	"time"

	"agentwatt/runner/internal/bench"
)

// The runtime's own measurements that say whether the load generator was the bottleneck.
const (
	schedLatency = "/sched/latencies:seconds"
	gcPauses     = "/sched/pauses/total/gc:seconds"
	heapLive     = "/memory/classes/heap/objects:bytes"
)

// meterSelf remembers where the process's costs stood at the begin of a phase.
type meterSelf struct {
	cpu          time.Duration
	host         []ticks // by processor; nil: not told
	sched, pause *metrics.Float64Histogram
}

// Costs returns a function that returns what the process cost since.
func Costs() (since func() bench.ClientCost) { return startCost().since }

func startCost() meterSelf {
	s := read()
	return meterSelf{cpu: cpuTime(), host: processors(procStat), sched: s[0].Value.Float64Histogram(), pause: s[1].Value.Float64Histogram()}
}

func read() []metrics.Sample {
	s := []metrics.Sample{{Name: schedLatency}, {Name: gcPauses}, {Name: heapLive}}
	metrics.Read(s)
	return s
}

// since returns the costs since the start.
func (m meterSelf) since() bench.ClientCost {
	s := read()
	sched := difference(s[0].Value.Float64Histogram(), m.sched)
	return bench.ClientCost{
		CPU:        cpuTime() - m.cpu,
		SchedP99:   upper(sched, 0.99),
		SchedMax:   upper(sched, 1),
		GCPauseMax: upper(difference(s[1].Value.Float64Histogram(), m.pause), 1),
		HeapBytes:  s[2].Value.Uint64(),
		Host:       load(m.host, processors(procStat)),
	}
}

// difference subtracts the counts of an earlier reading of the same histogram.
func difference(now, then *metrics.Float64Histogram) *metrics.Float64Histogram {
	d := &metrics.Float64Histogram{Counts: make([]uint64, len(now.Counts)), Buckets: now.Buckets}
	for i := range now.Counts {
		d.Counts[i] = now.Counts[i] - then.Counts[i]
	}
	return d
}

// upper returns the upper edge of the bucket that holds quantile q: never better than the truth.
func upper(h *metrics.Float64Histogram, q float64) time.Duration {
	var n, seen uint64
	for _, c := range h.Counts {
		n += c
	}
	need := uint64(math.Ceil(q * float64(n)))
	for i, c := range h.Counts {
		if seen += c; c > 0 && seen >= need {
			edge := h.Buckets[i+1]
			if math.IsInf(edge, 1) {
				edge = h.Buckets[i]
			}
			return time.Duration(edge * float64(time.Second))
		}
	}
	return 0
}

// cpuTime returns the process's user and system time.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
