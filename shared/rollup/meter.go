package rollup

import (
	"math"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Resolutions are those of rows, from the finest; each is a whole multiple of the one before.
var Resolutions = [3]time.Duration{time.Second, time.Minute, time.Hour}

const (
	// lateness is how long after the newest reading of a source a reading of one of its meters may come: after that, a time
	// without fresh values is a gap.
	lateness = 10 * time.Second
	// patience is how long a counter that does not move is waited for. What it counted meanwhile is lost to rows if it moves again
	// later. A rack's counter of 0.1 kWh moves that often from 100 W on.
	patience = time.Hour
	// mostCourse bounds how many seconds one rise or fall of the power is cut into. No real meter has a period that long.
	mostCourse = 600
	// mostFacts bounds what is kept of a time whose energy is not known yet: the seconds in which reads failed, mostly.
	mostFacts = 4096
)

// meter makes rows of one meter in one run of meterd.
type meter struct {
	meter  power.Meter
	run    string
	follow *power.Follower
	reach  clock.Stamp // all before it is in rows, full or open
	gap    bool        // reach lies in a gap that is counted already
	facts  []fact      // that no full row has yet, in order
	folds  [3]Fold     // seconds, minutes, hours
	rows   [3][]Row    // that are full and not stored yet
}

// fact is what happened in one second beside fresh values.
type fact struct {
	at                                     clock.Stamp // the beginning of the second
	absent, impossible, late, missed, lost int64
	statuses                               Statuses
}

// newMeter begins rows in the second of from, or where an earlier run of meterd ended: the time in between is a row of which
// nothing is known. An earlier run that ended later was on a clock that was put back since: then both have rows of that time.
func newMeter(m power.Meter, from, ended clock.Stamp) *meter {
	x := &meter{meter: m, follow: power.Follow(m, power.FollowerState{}), folds: newFolds()}
	x.reach = floor(from, Resolutions[0])
	if ended != 0 && ended <= x.reach.Add(Resolutions[0]) {
		begin := x.reach
		x.reach = ended
		x.nothing(begin, true)
	}
	return x
}

func newFolds() (f [3]Fold) {
	for i := range f {
		f[i].Resolution = Resolutions[i]
	}
	return f
}

// take reads a sample.
func (x *meter) take(s power.Sample) {
	st, what := x.follow.Take(s)
	f := fact{at: floor(s.Time, Resolutions[0])}
	switch what {
	case power.Fresh:
		x.stretch(st)
		return
	case power.Absent:
		f.absent, f.statuses = 1, 1<<min(s.Status, 7)
	case power.Impossible:
		f.impossible = 1
	case power.Late:
		f.late = 1
	default:
		return
	}
	x.note(f)
}

// note keeps a fact until the row that it belongs to is full. What is in full rows is not changed: a later row has it then.
func (x *meter) note(f fact) {
	f.at = max(f.at, floor(x.reach, Resolutions[0]))
	n := len(x.facts)
	if n == 0 || x.facts[n-1].at < f.at && n < mostFacts {
		x.facts = append(x.facts, f)
		return
	}
	x.facts[n-1].add(f)
}

func (f *fact) add(g fact) {
	f.absent, f.impossible, f.late = f.absent+g.absent, f.impossible+g.impossible, f.late+g.late
	f.missed, f.lost, f.statuses = f.missed+g.missed, f.lost+g.lost, f.statuses|g.statuses
}

// due accounts for the time that no reading can cover any more, now that the source has read until newest.
func (x *meter) due(newest clock.Stamp) {
	shift, wait := x.follow.Shift(), x.follow.Limit()
	since := x.reach.Add(shift)
	if at := x.follow.State().At; at != 0 {
		since = max(since, clock.Stamp(at*int64(time.Microsecond)))
	}
	switch {
	case x.gap:
		wait = 0
	case x.meter.Quantity == power.Counter:
		wait = max(patience, wait)
	}
	if newest.Sub(since) > wait+lateness {
		x.nothing(floor(newest.Add(-shift-lateness), Resolutions[0]), true)
	}
}

// stretch accounts for the time up to a fresh value. The first has none.
func (x *meter) stretch(st power.Stretch) {
	if st.End == 0 {
		return
	}
	x.nothing(st.Begin, st.Begin.Sub(x.reach) > x.follow.Limit())
	switch {
	case st.End <= x.reach:
		return
	case st.Begin < x.reach: // it was given up
		x.nothing(st.End, true)
	case st.From == st.To || !st.Covered || st.End.Sub(st.Begin) > mostCourse*Resolutions[0]:
		x.add(piece(st, st.Begin, st.End))
	default:
		for from := st.Begin; from < st.End; {
			to := min(st.End, floor(from, Resolutions[0]).Add(Resolutions[0]))
			x.add(piece(st, from, to))
			from = to
		}
	}
	x.gap = false
}

// piece is the row of a part of a stretch.
func piece(st power.Stretch, from, to clock.Stamp) Row {
	r := Row{Begin: from, Length: to.Sub(from)}
	if from == st.Begin {
		r.Fresh = 1
		if st.Gap {
			r.Gaps = 1
		}
		if st.Reset {
			r.Resets = 1
		}
	}
	if st.Known {
		r.Measured, r.Energy = r.Length, st.Until(to)-st.Until(from)
		r.EdgeBegin, r.EdgeEnd = edge(st, from), edge(st, to)
		milli := st.Chance / float64(power.Millijoule)
		r.Chance = uint64(math.Min(milli*milli, math.MaxInt64) * float64(r.Length) / float64(st.End-st.Begin))
	}
	if st.Covered {
		r.Covered = r.Length
		r.Least, r.Greatest = min(st.At(from), st.At(to)), max(st.At(from), st.At(to))
	} else {
		r.holes()
	}
	return r
}

// edge is the uncertainty of a cut at t, k = 1.
func edge(st power.Stretch, t clock.Stamp) power.Energy {
	return power.Energy(math.Round(float64(st.At(t)) * st.Blur.Seconds() / math.Sqrt(12)))
}

// nothing accounts for the time until end as one of which nothing is known; gap says that METHOD 6 calls it a gap.
func (x *meter) nothing(end clock.Stamp, gap bool) {
	if end <= x.reach {
		return
	}
	r := Nothing(x.reach, end)
	if gap && !x.gap {
		r.Gaps = 1
	}
	x.gap = gap || x.gap
	x.add(r)
}

// add accounts for a row that begins at reach.
func (x *meter) add(r Row) {
	x.reach = r.End()
	x.folds[0].Add(r, x.full)
}

// full takes a row of whole seconds.
func (x *meter) full(r Row) {
	n := 0
	for ; n < len(x.facts) && x.facts[n].at < r.End(); n++ {
		f := x.facts[n]
		r.Absent, r.Impossible, r.Late = r.Absent+f.absent, r.Impossible+f.impossible, r.Late+f.late
		r.Missed, r.Lost, r.Statuses = r.Missed+f.missed, r.Lost+f.lost, r.Statuses|f.statuses
	}
	x.facts = x.facts[:copy(x.facts, x.facts[n:])]
	x.rows[0] = append(x.rows[0], r)
	x.folds[1].Add(r, x.minute)
}

func (x *meter) minute(r Row) {
	x.rows[1] = append(x.rows[1], r)
	x.folds[2].Add(r, x.hour)
}

func (x *meter) hour(r Row) { x.rows[2] = append(x.rows[2], r) }

// end ends the rows with the second of the newest reading: the run is over.
func (x *meter) end(newest clock.Stamp) {
	end := max(x.reach, newest.Add(-x.follow.Shift()))
	end = floor(end.Add(Resolutions[0]-1), Resolutions[0])
	if len(x.facts) > 0 && end == x.reach {
		end = end.Add(Resolutions[0])
	}
	for i := range x.facts { // those of readings after the last moment that they tell of
		x.facts[i].at = min(x.facts[i].at, end.Add(-Resolutions[0]))
	}
	x.nothing(end, x.gap)
	x.folds[1].Close(x.minute)
	x.folds[2].Close(x.hour)
}
