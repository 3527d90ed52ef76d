package rollup

import (
	"slices"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Source makes rows of all meters of one source on one host, batch by batch. What it returns to be stored says how to go on from
// there (Resume), so rows are stored once each, whenever it is interrupted: a message of seconds holds, beside its rows, all that
// the batches before it left behind, and the messages of minutes and hours that it makes due are stored after it.
//
// The zero Source is a source of which nothing was seen.
type Source struct {
	host, boot, run, source string
	through                 Mark   // what was taken last
	seq                     uint64 // of that batch
	missed                  uint64 // its ticks missed
	newest                  clock.Stamp
	numbers                 [3]uint64              // of the messages stored last
	due                     [3]bool                // messages of this resolution are to be stored
	meters                  []*meter               // in the order in which they were seen first
	finished                []*meter               // that are not read any more, or not as they were declared: their rows are not stored yet
	ended                   map[string]clock.Stamp // meters of the run before: where their rows ended
}

// Mark is the place of a batch in its stream: position, and when it was stored. A store that was made anew begins again with
// position 1, but later.
type Mark struct {
	Sequence uint64
	Stored   clock.Stamp
}

// Has reports whether a batch at m was taken already.
func (s *Source) Has(m Mark) bool {
	return m.Sequence <= s.through.Sequence && m.Stored <= s.through.Stored
}

// Begins reports whether b begins another run than the one that s is in. Then End and storing what is pending come first.
func (s *Source) Begins(b *power.Batch) bool { return s.run != "" && s.run != b.Run }

// Take adds a batch, whose place in the stream is at.
func (s *Source) Take(b *power.Batch, at Mark) {
	s.through = at
	if s.run != b.Run {
		s.host, s.boot, s.run, s.source = b.Host, b.Boot, b.Run, b.Source
		s.seq, s.missed, s.newest = 0, 0, 0
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
	s.due = [3]bool{s.due[0], true, true}
}

// End ends the run: all that is pending is due.
func (s *Source) End() {
	clear(s.ended) // of the run before this one
	for _, x := range s.meters {
		s.finish(x)
	}
	s.meters = nil
}
