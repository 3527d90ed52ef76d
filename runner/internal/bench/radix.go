package bench

import (
	"math"
	"slices"
)

// Below this many values sorting is faster than two passes over a table of 2^digit counters.
const smallEnoughToSort = 4096

// digit is the width of a radix digit. The first one of a float holds its sign, exponent and four bits of its mantissa: a
// decade of values falls in about 50 counters, which stay in the first-level cache.
const digit = 16

// key maps a float to an integer with the same order: positive ones get the sign bit set, negative ones are inverted.
func key(v float64) uint64 {
	b := math.Float64bits(v)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// unkey is the inverse of key.
func unkey(k uint64) float64 {
	return math.Float64frombits(k ^ (uint64(int64(^k)>>63) | 1<<63))
}

// selectFloats returns the keys of the values at the given 0-based ranks of their order.
func selectFloats(values []float64, ranks []int) []uint64 {
	const shift = 64 - digit
	// Two tables, because neighbours often fall in one bucket and an increment waits for the one before it.
	var even, odd [1 << digit]uint32
	n := len(values) &^ 1
	for i := 0; i < n; i += 2 {
		even[key(values[i])>>shift]++
		odd[key(values[i+1])>>shift]++
	}
	if n < len(values) {
		even[key(values[n])>>shift]++
	}
	for i, c := range odd[:] {
		even[i] += c
	}
	p := newPartition(even[:], ranks)
	kept := make([]uint64, p.kept+1) // one more than needed: the loop below writes before it decides
	at := 0
	for _, v := range values {
		k := key(v)
		kept[at] = k
		at += int(p.keep[k>>shift]) // no branch: it would be mispredicted for every value kept
	}
	return p.finish(kept[:at], ranks, shift)
}

// selectKeys is selectFloats for keys that agree in all digits at and above shift+digit.
func selectKeys(keys []uint64, ranks []int, shift int) []uint64 {
	if len(keys) < smallEnoughToSort || shift < 0 {
		slices.Sort(keys)
		out := make([]uint64, len(ranks))
		for i, r := range ranks {
			out[i] = keys[r]
		}
		return out
	}
	counts := make([]uint32, 1<<digit)
	for _, k := range keys {
		counts[k>>shift&(1<<digit-1)]++
	}
	p := newPartition(counts, ranks)
	kept := make([]uint64, 0, p.kept)
	for _, k := range keys {
		if p.keep[k>>shift&(1<<digit-1)] != 0 {
			kept = append(kept, k)
		}
	}
	return p.finish(kept, ranks, shift)
}

// partition says which buckets hold a wanted rank.
type partition struct {
	keep   []byte // 1 for buckets that are kept
	kept   int    // values in them
	bucket []int  // by rank: its bucket
	within []int  // by rank: its rank inside that bucket
	counts []uint32
}

func newPartition(counts []uint32, ranks []int) partition {
	p := partition{keep: make([]byte, len(counts)), bucket: make([]int, len(ranks)), within: make([]int, len(ranks)), counts: counts}
	order := make([]int, len(ranks))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return ranks[a] - ranks[b] })
	below, b := 0, 0
	for _, i := range order {
		for below+int(counts[b]) <= ranks[i] {
			below += int(counts[b])
			b++
		}
		p.bucket[i], p.within[i] = b, ranks[i]-below
		if p.keep[b] == 0 {
			p.keep[b] = 1
			p.kept += int(counts[b])
		}
	}
	return p
}

// finish splits the kept keys by bucket and selects inside each by the next digit.
func (p partition) finish(kept []uint64, ranks []int, shift int) []uint64 {
	start := make(map[int]int, len(ranks)) // by bucket, where its keys begin in split
	at := 0
	place := make([]int32, len(p.counts)) // by bucket, where its next key goes
	for _, b := range p.bucket {
		if _, seen := start[b]; !seen {
			start[b], place[b] = at, int32(at)
			at += int(p.counts[b])
		}
	}
	split := make([]uint64, len(kept))
	for _, k := range kept {
		b := k >> shift & (1<<digit - 1)
		split[place[b]] = k
		place[b]++
	}
	out := make([]uint64, len(ranks))
	for b, from := range start {
		var mine, inside []int
		for i := range ranks {
			if p.bucket[i] == b {
				mine, inside = append(mine, i), append(inside, p.within[i])
			}
		}
		for j, k := range selectKeys(split[from:from+int(p.counts[b])], inside, shift-digit) {
			out[mine[j]] = k
		}
	}
	return out
}
