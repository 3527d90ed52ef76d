package main

import (
	"cmp"
	"slices"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// board is what meterd top knows: the last values of every meter, and what was lost on the way. It is pure; take feeds it.
type board struct {
	meters map[meterKey]*series
	feeds  map[feedKey]*feed
	losses []string // what the store lost before it was read
}

type meterKey struct{ host, id string }

type feedKey struct{ host, source string }

// series is the recent past of one meter.
type series struct {
	meter power.Meter
	host  string
	fresh []reading // of a counter: its changes over the last recent
	last  reading   // the last value, fresh or not
	state power.Status
}

type reading struct {
	at  clock.Stamp
	raw int64
}

// feed is the completeness of one source on one host.
type feed struct {
	run      string
	seq      uint64
	start    uint64 // ticks missed before the watch began
	missed   uint64 // ticks, as the current run counts them
	before   uint64 // ticks, of earlier runs that were seen
	lost     uint64 // batches
	restarts int
}

// recent is how far back a counter is looked at for its present power.
const recent = 2 * time.Second

func newBoard() *board {
	return &board{meters: map[meterKey]*series{}, feeds: map[feedKey]*feed{}}
}

// take adds one batch. Batches of one source come in order; one that comes twice is ignored.
func (b *board) take(batch *power.Batch) {
	if !b.count(batch) {
		return
	}
	for _, s := range batch.Samples {
		if s.Meter < 0 || s.Meter >= len(batch.Meters) {
			continue
		}
		m := batch.Meters[s.Meter]
		key := meterKey{batch.Host, m.ID}
		if b.meters[key] == nil {
			b.meters[key] = &series{host: batch.Host}
		}
		b.meters[key].meter = m
		b.meters[key].add(s)
	}
}

// count keeps the account of batches and ticks, and reports whether the batch is new.
func (b *board) count(batch *power.Batch) bool {
	key := feedKey{batch.Host, batch.Source}
	f := b.feeds[key]
	switch {
	case f == nil:
		f = &feed{run: batch.Run, start: batch.Missed}
		b.feeds[key] = f
	case f.run != batch.Run:
		f.run, f.restarts = batch.Run, f.restarts+1
		f.before += f.missed
		f.lost += batch.Seq - 1
	case batch.Seq <= f.seq:
		return false
	default:
		f.lost += batch.Seq - f.seq - 1
	}
	f.seq, f.missed = batch.Seq, batch.Missed
	return true
}

// add takes one sample in.
func (s *series) add(sample power.Sample) {
	s.state = sample.Status
	if sample.Status != power.OK {
		return
	}
	r := reading{sample.Time, sample.Raw}
	known := s.last.at != 0
	backward := known && r.raw < s.last.raw && s.meter.Wrap == 0
	// When the first value was counted is not known: only a change has a time.
	if s.meter.Quantity == power.Counter && known && r.raw != s.last.raw {
		if backward {
			s.fresh = s.fresh[:0] // a reset: nothing before it counts
		}
		s.fresh = append(s.fresh, r)
		old := 0
		for old < len(s.fresh)-2 && r.at.Sub(s.fresh[old+1].at) >= recent {
			old++
		}
		s.fresh = slices.Delete(s.fresh, 0, old)
	}
	s.last = r
}

// power returns the present power of the meter. A counter gives the mean between two of its changes about 2 s apart.
func (s *series) power() (power.Power, bool) {
	scale := s.meter.Scale
	if s.last.at == 0 || scale.Den == 0 {
		return 0, false
	}
	if s.meter.Quantity != power.Counter {
		return power.Power(float64(s.last.raw) * float64(scale.Num) / float64(scale.Den)), true
	}
	if len(s.fresh) < 2 {
		return 0, false
	}
	var counts int64
	for i := 1; i < len(s.fresh); i++ {
		step := s.fresh[i].raw - s.fresh[i-1].raw
		if step < 0 {
			step += s.meter.Wrap
		}
		counts += step
	}
	e := power.Energy(float64(counts) * float64(scale.Num) / float64(scale.Den))
	return e.Over(s.fresh[len(s.fresh)-1].at.Sub(s.fresh[0].at)), true
}

// row is one device at one scope, shown by its best meter.
type row struct {
	host, device, name string
	scope              power.Scope
	watts              power.Power
	known              bool
	quantity           power.Quantity
	age                time.Duration // since the last value
	state              power.Status
	simulated          bool
}

// rows lists every device and scope once, in a stable order, by its meter of the best quantity that has a value: a counter
// before instant power, before a mean, before a held value (METHOD 6).
func (b *board) rows(now clock.Stamp) []row {
	type place struct {
		host, device string
		scope        power.Scope
	}
	best := map[place]row{}
	for _, s := range b.meters {
		r := row{
			host: s.host, device: s.meter.Device, name: s.meter.Name, scope: s.meter.Scope,
			quantity: s.meter.Quantity, state: s.state, simulated: s.meter.Simulated,
		}
		r.watts, r.known = s.power()
		if s.last.at != 0 {
			r.age = max(0, now.Sub(s.last.at))
		}
		at := place{r.host, r.device, r.scope}
		old, ok := best[at]
		r.simulated = r.simulated || old.simulated
		if !ok || r.known && !old.known || r.known == old.known && r.quantity < old.quantity {
			best[at] = r
		} else if r.simulated {
			old.simulated = true
			best[at] = old
		}
	}
	var out []row
	for _, r := range best {
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b row) int {
		return cmp.Or(cmp.Compare(rank(a.scope), rank(b.scope)), cmp.Compare(a.scope, b.scope),
			cmp.Compare(a.host, b.host), cmp.Compare(a.device, b.device))
	})
	return out
}

// rank orders the scopes: those with a headline first, the components last.
func rank(s power.Scope) int {
	order := []power.Scope{power.Accelerator, power.Module, power.Node, power.Rack, power.CPU, power.Memory}
	if i := slices.Index(order, s); i >= 0 {
		return i
	}
	return len(order)
}

// total is the sum over the devices of one scope.
type total struct {
	scope     power.Scope
	watts     power.Power
	counted   int // devices with a present value
	devices   int
	simulated bool
}

// totals sums each scope over its devices. Scopes are never added to each other, and components, which may lie inside each
// other, have no sum. A value older than stale is not counted.
func totals(rows []row) []total {
	var out []total
	for _, r := range rows {
		if r.scope == power.Component {
			continue
		}
		if len(out) == 0 || out[len(out)-1].scope != r.scope {
			out = append(out, total{scope: r.scope})
		}
		t := &out[len(out)-1]
		t.devices++
		t.simulated = t.simulated || r.simulated
		if r.present() {
			t.watts += r.watts
			t.counted++
		}
	}
	return out
}

// stale is when a value says nothing about now any more.
const stale = 5 * time.Second

func (r row) present() bool { return r.known && r.state == power.OK && r.age < stale }
