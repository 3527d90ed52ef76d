package influx

import (
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// InfluxDB overwrites a point by another with the same tags and time, without a word. Stamps are whole microseconds, so three
// digits of its nanoseconds are free, and tell apart what has the same stamp:
//
//	(run mod 31)·32 + (batch mod 4)·8 + repeat
//
// The first term is for runs whose times overlap because the clock was set back; segments of one process are told apart for
// certain, processes 30 times of 31. The second is for devices that hand over a value in two batches, and 0 for others. Without
// the digits a time is the sample's stamp, exactly.
const (
	runSlots   = 31
	batchSlots = 4
	repeats    = 8
)

// slot returns the digits of a meter's first sample with a stamp.
func slot(b *power.Batch, buffered bool) int64 {
	n := runSlot(b.Run) * batchSlots
	if buffered {
		n += int64(b.Seq % batchSlots)
	}
	return n * repeats
}

// runSlot numbers the runs of one process, "ID.2" after "ID" or "ID.1", one after the other.
func runSlot(run string) int64 {
	process, number, _ := strings.Cut(run, ".")
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		process, n = run, 0
	}
	h := fnv.New32a()
	h.Write([]byte(process))
	return int64((uint64(h.Sum32()) + n) % runSlots)
}

// Stamps outside of this are not times that the server takes.
const (
	earliest = 1
	latest   = math.MaxInt64 - int64(1e9)
)

// at returns a stamp with room for the digits: its microsecond in ns. otherwise stands in for one that is not known.
func at(t, otherwise clock.Stamp) int64 {
	if t <= 0 {
		t = otherwise
	}
	ns := min(max(int64(t), earliest), latest)
	return ns - ns%1000
}

// placed appends the time of each sample of one meter to dst, in ns, no two the same: repeats of a stamp follow each other by 1 ns.
// It depends on nothing but the batch.
func placed(dst []int64, samples []power.Sample, buffered bool, slot int64, otherwise clock.Stamp) []int64 {
	begin, ordered := len(dst), true
	for _, x := range samples {
		t := x.Time
		if buffered && x.Device > 0 {
			t = x.Device
		}
		ns := at(t, otherwise) + slot
		ordered = ordered && (len(dst) == begin || dst[len(dst)-1] < ns)
		dst = append(dst, ns)
	}
	if !ordered {
		spread(dst[begin:])
	}
	return dst
}

// spread moves equal times apart.
func spread(times []int64) {
	order := make([]int, len(times))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(max(min(times[a]-times[b], 1), -1)) })
	for k := 1; k < len(order); k++ {
		if before := times[order[k-1]]; times[order[k]] <= before {
			times[order[k]] = before + 1
		}
	}
}
