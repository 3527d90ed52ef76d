package rollup

import (
	"slices"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Source makes rows of all meters of one source on one host, batch by batch. The zero Source is one of which nothing was seen.
type Source struct {
	run      string
	seq      uint64 // of the last batch
	missed   uint64 // its ticks missed
	newest   clock.Stamp
	meters   []*meter               // in the order in which they were seen first
	finished []*meter               // that are not read any more, or not as they were declared
	ended    map[string]clock.Stamp // meters of the run before: where their rows ended
}

// Series is a meter and rows of it, in order and without a hole between them.
type Series struct {
	Meter power.Meter
	Run   string
	Rows  []Row
}

// Take adds a batch. Another run than that of the batch before ends the rows.
func (s *Source) Take(b *power.Batch) {
	if s.run != b.Run {
		s.End()
		s.run, s.seq, s.missed, s.newest = b.Run, 0, 0, 0
	}
	if len(b.Samples) == 0 && len(s.meters) == 0 {
		s.seq, s.missed = b.Seq, b.Missed
		return
	}
	facts := fact{missed: int64(b.Missed - min(b.Missed, s.missed)), lost: int64(max(b.Seq, s.seq+1) - s.seq - 1)}
	s.seq, s.missed = max(s.seq, b.Seq), b.Missed
	meters := s.describe(b)
	for _, x := range b.Samples {
		if x.Meter < 0 || x.Meter >= len(meters) || x.Time <= 0 {
			continue
		}
		s.newest = max(s.newest, x.Time)
		m := meters[x.Meter]
		if m.x == nil {
			m.x = s.begin(b.Meters[x.Meter], x)
			meters[x.Meter] = m
		}
		m.x.take(x)
	}
	facts.at = floor(s.newest, Resolutions[0])
	for _, x := range s.meters {
		if facts.missed > 0 || facts.lost > 0 {
			x.note(facts)
		}
		x.due(s.newest)
	}
}

// Drain returns the rows of one resolution, by its place in Resolutions, that became full since it was drained last.
func (s *Source) Drain(resolution int) (out []Series) {
	for _, x := range slices.Concat(s.finished, s.meters) {
		if len(x.rows[resolution]) > 0 {
			out = append(out, Series{x.meter, x.run, x.rows[resolution]})
			x.rows[resolution] = nil
		}
	}
	s.finished = slices.DeleteFunc(s.finished, func(x *meter) bool { return len(x.rows[0])+len(x.rows[1])+len(x.rows[2]) == 0 })
	return out
}

type described struct{ x *meter }

// describe finds the meters of b among those known, and finishes those that are gone or declared anew.
func (s *Source) describe(b *power.Batch) []described {
	out := make([]described, len(b.Meters))
	known := s.meters
	s.meters = s.meters[:0:0]
	for _, x := range known {
		i := slices.Index(b.Meters, x.meter)
		if i >= 0 && out[i].x == nil {
			out[i].x = x
			s.meters = append(s.meters, x)
			continue
		}
		s.finish(x)
	}
	return out
}

// begin begins the rows of a meter with its first sample.
func (s *Source) begin(m power.Meter, first power.Sample) *meter {
	if m.Buffered && first.Device != 0 {
		first.Time = first.Device
	}
	shift := power.Follow(m, power.FollowerState{}).Shift()
	x := newMeter(m, first.Time.Add(-shift), s.ended[m.ID])
	x.run = s.run
	delete(s.ended, m.ID)
	s.meters = append(s.meters, x)
	return x
}

func (s *Source) finish(x *meter) {
	x.end(s.newest)
	if s.ended == nil {
		s.ended = map[string]clock.Stamp{}
	}
	s.ended[x.meter.ID] = x.reach
	s.finished = append(s.finished, x)
}

// End ends the run: all that is pending is due.
func (s *Source) End() {
	clear(s.ended) // of the run before this one
	for _, x := range s.meters {
		s.finish(x)
	}
	s.meters = nil
}
