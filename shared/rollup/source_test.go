package rollup

import (
	"math/rand/v2"
	"testing"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

const epoch = clock.Stamp(1_780_000_123 * 1e9)

// history makes the batches of some runs of a source: a counter and a sampled power, ten times a second, with gaps.
func history(random *rand.Rand, runs int) (batches []*power.Batch) {
	now, counter := epoch, int64(1e9)
	for run := range runs {
		id := "RUN" + string(rune('A'+run))
		seq := uint64(0)
		for range 60 + random.IntN(4000) {
			seq++
			b := &power.Batch{Host: "h", Run: id, Source: "nvml", Seq: seq, Meters: []power.Meter{
				{ID: "c", Device: "d", Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1}, Period: 100 * time.Millisecond},
				{ID: "i", Device: "d", Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}, Period: 100 * time.Millisecond},
			}}
			for range 10 {
				watts := 100 + random.Int64N(600)
				counter += watts * 100
				at := now.Add(time.Duration(random.IntN(1000)) * time.Microsecond)
				b.Samples = append(b.Samples, power.Sample{Meter: 0, Time: at, Raw: counter}, power.Sample{Meter: 1, Time: at, Raw: watts * 1000})
				now = now.Add(100 * time.Millisecond)
			}
			switch {
			case random.IntN(200) == 0:
				now = now.Add(time.Duration(random.IntN(30)) * time.Second) // nothing is read for a while
			case random.IntN(300) == 0:
				seq++ // a batch is lost
			}
			batches = append(batches, b)
		}
		now = now.Add(time.Duration(random.IntN(100)) * time.Second)
	}
	return batches
}

// truth is the energy of a meter's samples, by the follower, run by run.
func truth(batches []*power.Batch, meter int) (sum power.Energy) {
	var f *power.Follower
	run := ""
	for _, b := range batches {
		if b.Run != run {
			f, run = power.Follow(b.Meters[meter], power.FollowerState{}), b.Run
		}
		for _, s := range b.Samples {
			if s.Meter != meter {
				continue
			}
			if st, _ := f.Take(s); st.End != 0 && st.Known {
				sum += st.Energy
			}
		}
	}
	return sum
}

// Rows of every resolution have no hole between them, and their energies add up to that of the samples, to the microjoule.
func TestRowsAddUp(t *testing.T) {
	for seed := range uint64(8) {
		batches := history(rand.New(rand.NewPCG(seed, 1)), 3)
		var s Source
		rows := map[int]map[string][]Row{0: {}, 1: {}, 2: {}}
		drain := func() {
			for i := range Resolutions {
				for _, x := range s.Drain(i) {
					rows[i][x.Meter.ID] = append(rows[i][x.Meter.ID], x.Rows...)
				}
			}
		}
		for _, b := range batches {
			s.Take(b)
			drain()
		}
		s.End()
		drain()
		for i, resolution := range Resolutions {
			for m, id := range []string{"c", "i"} {
				var sum power.Energy
				for n, r := range rows[i][id] {
					sum += r.Energy
					if n > 0 && rows[i][id][n-1].End() != r.Begin {
						t.Fatalf("seed %d, %v, %s: row %d ends at %v, the next begins at %v", seed, resolution, id, n, rows[i][id][n-1].End(), r.Begin)
					}
					if r.Covered > r.Measured || r.Measured > r.Length || r.Covered > 0 && r.Least > r.Greatest {
						t.Fatalf("seed %d: row %+v", seed, r)
					}
				}
				if want := truth(batches, m); sum != want {
					t.Errorf("seed %d, %v, %s: %v in the rows, %v in the samples", seed, resolution, id, sum, want)
				}
			}
		}
	}
}

// Whoever begins to read two hours before the end of what is there makes the same rows from there on as whoever read all.
func TestRowsAreTheSameFromLaterOn(t *testing.T) {
	batches := history(rand.New(rand.NewPCG(9, 9)), 4)
	all, late := map[clock.Stamp]Row{}, 0
	var whole, part Source
	last := batches[len(batches)-1].Samples[0].Time
	from := last.Add(-90 * time.Minute)
	for _, b := range batches {
		whole.Take(b)
		for _, x := range whole.Drain(0) {
			for _, r := range x.Rows {
				if x.Meter.ID == "c" {
					all[r.Begin] = r
				}
			}
		}
		if b.Samples[0].Time < from {
			continue
		}
		part.Take(b)
		for _, x := range part.Drain(0) {
			for _, r := range x.Rows {
				if x.Meter.ID != "c" || r.Begin < from.Add(time.Minute) {
					continue
				}
				late++
				if all[r.Begin] != r {
					t.Fatalf("row at %v: %+v, read from the beginning %+v", r.Begin, r, all[r.Begin])
				}
			}
		}
	}
	if late < 1000 {
		t.Errorf("only %d rows were compared", late)
	}
}
