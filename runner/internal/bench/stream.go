package bench

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// The doubts that the join adds to those of the meters.
const (
	LostBatches   power.Code = "lost-batches"   // batches of the window never arrived
	Restart       power.Code = "restart"        // meterd was restarted inside the window
	MissedTicks   power.Code = "missed-ticks"   // reads of the window were due and not made
	ClockFree     power.Code = "clock"          // the host's clock was not compared with the runner's
	CoarseCounter power.Code = "coarse-counter" // the counter's counts are too coarse for the window: sampled power was used
	SecondChoice  power.Code = "second-choice"  // the preferred meter of a device was not valid
	MissingDevice power.Code = "missing-device" // expected and not valid
	NotCounted    power.Code = "not-counted"    // metered and not expected
)

// stream is what one source on one host published, over all its runs.
type stream struct{ host, source string }

// head is what is kept of a batch for the accounting of losses.
type head struct {
	run         string
	seq, missed uint64
	first, last clock.Stamp // of its samples, on the runner's clock; zero: it has none
}

func (r *Recording) addHead(b power.Batch, shift time.Duration) {
	h := head{run: b.Run, seq: b.Seq, missed: b.Missed}
	for _, s := range b.Samples {
		at := s.Time.Add(shift)
		if h.first == 0 || at < h.first {
			h.first = at
		}
		h.last = max(h.last, at)
	}
	k := stream{b.Host, b.Source}
	r.streams[k] = append(r.streams[k], h)
}

// losses says what is missing of a stream in the window: lost batches, restarts, missed ticks.
func (r *Recording) losses(k stream, w Window) (list []power.Warning) {
	heads := slices.DeleteFunc(slices.Clone(r.streams[k]), func(h head) bool { return h.first == 0 })
	runs := map[string]clock.Stamp{}
	for _, h := range heads {
		if at, ok := runs[h.run]; !ok || h.first < at {
			runs[h.run] = h.first
		}
	}
	slices.SortFunc(heads, func(a, b head) int {
		return cmp.Or(cmp.Compare(runs[a.run], runs[b.run]), cmp.Compare(a.run, b.run), cmp.Compare(a.seq, b.seq))
	})
	var lost, missed uint64
	restarts := 0
	for i := 1; i < len(heads); i++ {
		a, b := heads[i-1], heads[i]
		between := w.overlap(a.last, b.first) > 0
		switch {
		case a.run != b.run && between:
			restarts++
		case a.run != b.run:
		case between && b.seq > a.seq+1:
			lost += b.seq - a.seq - 1
			fallthrough
		default:
			if b.missed > a.missed && w.overlap(a.last, b.last) > 0 {
				missed += b.missed - a.missed
			}
		}
	}
	add := func(n uint64, code power.Code, what string) {
		if n > 0 {
			list = append(list, power.Warning{Code: code, Detail: fmt.Sprintf("%s on %s: %d %s inside the window", k.source, k.host, n, what)})
		}
	}
	add(lost, LostBatches, "batches were lost")
	add(uint64(restarts), Restart, "restarts of meterd")
	add(missed, MissedTicks, "reads were missed")
	return list
}
