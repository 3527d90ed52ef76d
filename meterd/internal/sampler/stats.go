package sampler

import (
	"sync/atomic"
	"time"
)

// Stats is what a sampler knows about itself, since it started. The observer measures itself.
type Stats struct {
	Ticks    uint64    // ticks served: reads begun
	Missed   uint64    // ticks that were due but not served
	Failed   uint64    // reads that returned an error
	Samples  uint64    // samples read, those without a value included
	Batches  uint64    // batches published
	Dropped  uint64    // batches lost: their Seq stays missing
	Refused  uint64    // attempts to publish that failed
	Queued   int       // batches waiting for the bus now
	Read     Latency   // duration of one Source.Read
	Reads    string    // their histogram by powers of two of nanoseconds, e.g. "32.768µs:120": so many took less than that, and not less than half
	Late     Latency   // how long after the tick that it waited for the reader woke
	Served   time.Time // when the last tick was begun; zero: none yet
	Schedule string    // what wakes the reader: "timer", "thread" or "fifo thread"; empty before the start
}

// counters are the live form of Stats. The reader and the publisher write, anyone reads.
type counters struct {
	ticks, missed, failed, samples, batches, dropped, refused atomic.Uint64
	read, late                                                histogram
	schedule                                                  atomic.Pointer[string]
	queued, served                                            atomic.Int64 // served: Unix time in ns
}

// Stats returns a picture of the counters; safe to call at any time from any goroutine.
func (s *Sampler) Stats() Stats {
	c := &s.stats
	st := Stats{
		Ticks: c.ticks.Load(), Missed: c.missed.Load(), Failed: c.failed.Load(), Samples: c.samples.Load(),
		Batches: c.batches.Load(), Dropped: c.dropped.Load(), Refused: c.refused.Load(),
		Queued: int(c.queued.Load()), Read: c.read.summary(), Reads: c.read.String(), Late: c.late.summary(),
	}
	if ns := c.served.Load(); ns != 0 {
		st.Served = time.Unix(0, ns)
	}
	if p := c.schedule.Load(); p != nil {
		st.Schedule = *p
	}
	return st
}
