// Package rollup sums a meter's samples up into rows of a second, a minute and an hour, for measurements that go on for longer
// than the samples are kept.
//
// The package is pure. A Source takes the batches of one source and makes rows, by the estimator of METHOD 6 (power.Follower);
// rows of a minute are rows of a second merged, rows of an hour those of a minute. Nothing is extrapolated: what no fresh values
// cover stays uncovered in every row that has it.
package rollup

import (
	"math"
	"math/bits"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// Row is what one meter says about [Begin, Begin+Length): one bucket, or several over which the power is one straight course
// (a counter between two changes) or nothing at all is known. Rows are cut at whole buckets, those of minutes and hours also
// where a run of meterd begins or ends. The energies of all rows of a meter add up, to the microjoule, to that of the whole.
//
// The time axis is that of the device: a reading counts for the moment that it describes. A Mean meter smears power over its
// window; its rows are not cut at their edges, as Between's are, because their edges are no edges of the load.
type Row struct {
	Begin    clock.Stamp   // a whole second
	Length   time.Duration // whole seconds
	Energy   power.Energy  // drawn in the Measured part
	Measured time.Duration // energy known
	Covered  time.Duration // the course of the power known, too; a counter measures across a gap, without its course

	// The extremes of the power over the covered part. Of a counter: of the mean power between one change and the next.
	Least, Greatest power.Power // meaningless unless Covered

	Fresh   int64         // fresh values
	Gaps    int64         // stretches without fresh values, of more than max(3 periods, 0.5 s), that begin here
	Lead    time.Duration // how much at the beginning is not covered,
	Longest time.Duration // the longest stretch that is not,
	Trail   time.Duration // and how much at the end

	Absent     int64    // reads without a value,
	Statuses   Statuses // and why
	Impossible int64    // values left out: they cannot be
	Late       int64    // samples left out: they came too late
	Resets     int64    // of the counter: energy is missing
	Missed     int64    // ticks of the source that were due and not served
	Lost       int64    // batches of the source that are not in the stream

	// What an uncertainty is made from, beside what the meter declares (power.Meter.Budget).
	EdgeBegin power.Energy // of a cut at Begin, k = 1
	EdgeEnd   power.Energy // of a cut at the end
	Chance    uint64       // mJ², k = 1: what a part-time sensor did not see
}

// Statuses is a set of power.Status.
type Statuses uint8

// Has reports whether s is in the set.
func (x Statuses) Has(s power.Status) bool { return x&(1<<s) != 0 }

// End returns the end of the row.
func (r Row) End() clock.Stamp { return r.Begin.Add(r.Length) }

// Merge returns what a and then b say together. b begins where a ends. Merging is associative: what comes first is all the same.
// The zero Row merges with any as if it were not there.
func Merge(a, b Row) Row {
	switch {
	case a.Length == 0:
		return b
	case b.Length == 0:
		return a
	}
	m := Row{
		Begin: a.Begin, Length: a.Length + b.Length, Energy: a.Energy + b.Energy,
		Measured: a.Measured + b.Measured, Covered: a.Covered + b.Covered, Least: a.Least, Greatest: a.Greatest,
		Fresh: a.Fresh + b.Fresh, Gaps: a.Gaps + b.Gaps,
		Lead: a.Lead, Trail: b.Trail, Longest: max(a.Longest, b.Longest, a.Trail+b.Lead),
		Absent: a.Absent + b.Absent, Statuses: a.Statuses | b.Statuses, Impossible: a.Impossible + b.Impossible, Late: a.Late + b.Late,
		Resets: a.Resets + b.Resets, Missed: a.Missed + b.Missed, Lost: a.Lost + b.Lost,
		EdgeBegin: a.EdgeBegin, EdgeEnd: b.EdgeEnd, Chance: add(a.Chance, b.Chance),
	}
	if a.Lead == a.Length {
		m.Lead += b.Lead
	}
	if b.Trail == b.Length {
		m.Trail += a.Trail
	}
	switch {
	case a.Covered == 0:
		m.Least, m.Greatest = b.Least, b.Greatest
	case b.Covered > 0:
		m.Least, m.Greatest = min(a.Least, b.Least), max(a.Greatest, b.Greatest)
	}
	return m
}

// add saturates, so that it stays associative.
func add(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry > 0 {
		return math.MaxUint64
	}
	return sum
}

// Cut returns the parts of r before and from at. It is for rows of several buckets, in which everything is spread evenly: what
// happens at the beginning, such as a fresh value, stays with the first part.
func (r Row) Cut(at clock.Stamp) (before, rest Row) {
	part := at.Sub(r.Begin)
	if part <= 0 {
		return Row{}, r
	}
	if part >= r.Length {
		return r, Row{}
	}
	share := func(v int64) int64 { return scale(v, int64(part), int64(r.Length)) }
	before, rest = r, r
	before.Length, rest.Begin, rest.Length = part, at, r.Length-part
	split := func(whole int64, a, b *int64) { *a = share(whole); *b = whole - *a }
	split(int64(r.Energy), (*int64)(&before.Energy), (*int64)(&rest.Energy))
	split(int64(r.Measured), (*int64)(&before.Measured), (*int64)(&rest.Measured))
	split(int64(r.Covered), (*int64)(&before.Covered), (*int64)(&rest.Covered))
	split(r.Absent, &before.Absent, &rest.Absent)
	split(r.Impossible, &before.Impossible, &rest.Impossible)
	split(r.Late, &before.Late, &rest.Late)
	split(r.Missed, &before.Missed, &rest.Missed)
	split(r.Lost, &before.Lost, &rest.Lost)
	before.Chance = scaleUint(r.Chance, uint64(part), uint64(r.Length))
	rest.Chance = r.Chance - before.Chance
	rest.Fresh, rest.Gaps, rest.Resets = 0, 0, 0
	before.holes()
	rest.holes()
	before.EdgeEnd, rest.EdgeBegin = r.EdgeBegin, r.EdgeEnd
	return before, rest
}

// holes sets what is not covered of a part in which all is or nothing.
func (r *Row) holes() {
	r.Lead, r.Longest, r.Trail = 0, 0, 0
	if r.Covered == 0 {
		r.Lead, r.Longest, r.Trail = r.Length, r.Length, r.Length
	} else if r.Covered < r.Length { // a foreign row that is not even
		r.Longest = r.Length - r.Covered
	}
}

// scale returns v·part/whole, rounded to the nearest; part is not negative and not above whole.
func scale(v, part, whole int64) int64 {
	if v < 0 {
		return -scale(-max(v, -math.MaxInt64), part, whole)
	}
	return int64(scaleUint(uint64(v), uint64(part), uint64(whole)))
}

func scaleUint(v, part, whole uint64) uint64 {
	hi, lo := bits.Mul64(v, part)
	lo, carry := bits.Add64(lo, whole/2, 0)
	if hi+carry >= whole {
		return math.MaxUint64
	}
	q, _ := bits.Div64(hi+carry, lo, whole)
	return q
}

// Mean returns the mean power over the measured part.
func (r Row) Mean() power.Power { return r.Energy.Over(r.Measured) }

// Coverage returns the covered part, from 0 to 1.
func (r Row) Coverage() float64 {
	if r.Length <= 0 {
		return 0
	}
	return float64(r.Covered) / float64(r.Length)
}

// Uncertainty returns the budget of the energy in the measured part, for meter m. Time without energy is in its term Gaps: what
// the meter could have drawn meanwhile against its mean.
func (r Row) Uncertainty(m power.Meter) power.Uncertainty {
	edges := math.Hypot(float64(r.EdgeBegin), float64(r.EdgeEnd))
	if m.Quantity == power.Mean { // what lies within a window of the edge is smeared over it
		edges = math.Hypot(edges, math.Sqrt(2.0/3)*float64(r.Greatest-r.Least)*m.Averaging.Seconds())
	}
	return m.Budget(r.Energy, r.Measured, r.Length-r.Measured, edges, 1000*math.Sqrt(float64(r.Chance)))
}

// Fold merges rows into buckets of Resolution. Rows come in order without a hole between them. The first bucket begins with the
// first row, and the last ends with the last, so those can be shorter.
type Fold struct {
	Resolution time.Duration
	Open       Row // the bucket that is not full yet; zero: none
}

// Add takes a row and hands the buckets that are full to emit.
func (f *Fold) Add(r Row, emit func(Row)) {
	for r.Length > 0 {
		begin := floor(r.Begin, f.Resolution)
		if begin == r.Begin && r.Length >= f.Resolution {
			var whole Row
			whole, r = r.Cut(floor(r.End(), f.Resolution))
			emit(whole)
			continue
		}
		var part Row
		part, r = r.Cut(begin.Add(f.Resolution))
		if f.Open = Merge(f.Open, part); f.Open.End() == begin.Add(f.Resolution) {
			f.Close(emit)
		}
	}
}

// Close hands out the open bucket as far as it goes.
func (f *Fold) Close(emit func(Row)) {
	if f.Open.Length > 0 {
		emit(f.Open)
	}
	f.Open = Row{}
}

// Nothing is the row of a time of which nothing is known.
func Nothing(begin, end clock.Stamp) Row {
	d := max(0, end.Sub(begin))
	return Row{Begin: begin, Length: d, Lead: d, Longest: d, Trail: d}
}

// floor returns the last whole multiple of d since the Unix epoch that is not after t.
func floor(t clock.Stamp, d time.Duration) clock.Stamp {
	rest := t % clock.Stamp(d)
	if rest < 0 {
		rest += clock.Stamp(d)
	}
	return t - rest
}
