// Package status shows what meterd measures and how it is: /metrics for Prometheus, /healthz and /readyz. It is the only importer
// of the Prometheus library.
package status

import (
	"slices"
	"strings"
	"sync"
	"time"

	"agentwatt/shared/power"
)

// Meters keep the last power of every meter, and its energy since the start. Batches may be seen again; it is safe for
// concurrent use. The zero Meters is ready.
type Meters struct {
	mu    sync.Mutex
	known map[key]*meter
}

// mostMeters bounds what one process shows; nothing real comes near.
const mostMeters = 1 << 14

type key struct{ source, id string }

// meter is one meter under way.
type meter struct {
	follow *power.Follower
	what   power.Meter
	run    string
	seq    uint64 // of the last batch
	joules float64
	watts  power.Power
	fresh  time.Time // of the last energy or power that is known; zero: none
	within time.Duration
}

// See takes in a batch.
func (m *Meters) See(b *power.Batch) {
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[key]*meter{}
	}
	for i, what := range b.Meters {
		k := key{b.Source, what.ID}
		x := m.known[k]
		if x == nil {
			if len(m.known) >= mostMeters {
				continue
			}
			x = &meter{}
			m.known[k] = x
		}
		if x.run == b.Run && x.seq >= b.Seq {
			continue // seen before: publishing it was tried again
		}
		if x.follow == nil || x.run != b.Run || x.what != what {
			x.follow = power.Follow(what, power.FollowerState{}) // nothing is added up over a change of the clock or of the meter
		}
		x.what, x.run, x.seq = what, b.Run, b.Seq
		x.take(samplesOf(b, i), now)
	}
}

// samplesOf returns the samples of one meter of a batch, in the order of reading.
func samplesOf(b *power.Batch, meter int) []power.Sample {
	var out []power.Sample
	for _, s := range b.Samples {
		if s.Meter == meter {
			out = append(out, s)
		}
	}
	return out
}

// take adds samples up.
func (x *meter) take(samples []power.Sample, now time.Time) {
	for _, s := range x.what.Placed(samples) {
		stretch, _ := x.follow.Take(s)
		if stretch.End == 0 || !stretch.Known {
			continue
		}
		x.joules += stretch.Energy.Joules()
		if length := stretch.End.Sub(stretch.Begin); length > 0 {
			x.watts = stretch.To
			if x.what.Quantity == power.Counter {
				x.watts = stretch.Energy.Over(length)
			}
			x.fresh, x.within = now, x.follow.Limit()
		}
	}
}

// MeterValue is one meter as it is shown.
type MeterValue struct {
	Source string
	Meter  power.Meter
	Joules float64 // since meterd started, of what is known: gaps are not filled
	Watts  float64
	Stale  bool // there is no present power
}

// Values returns all meters, in the order of source and ID.
func (m *Meters) Values(now time.Time) []MeterValue {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []MeterValue
	for k, x := range m.known {
		out = append(out, MeterValue{
			Source: k.source, Meter: x.what, Joules: x.joules, Watts: x.watts.Watts(),
			Stale: x.fresh.IsZero() || now.Sub(x.fresh) > staleAfter+x.within,
		})
	}
	slices.SortFunc(out, func(a, b MeterValue) int {
		return strings.Compare(a.Source+"\x00"+a.Meter.ID, b.Source+"\x00"+b.Meter.ID)
	})
	return out
}

// staleAfter is how old a power may be, beyond what METHOD 6 calls a gap of its meter: batches come about once a second.
const staleAfter = 5 * time.Second
