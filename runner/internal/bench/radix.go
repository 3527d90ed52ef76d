package bench

import (
	"math"
	"slices"
)

// Below these numbers of values sorting is faster than clearing and reading the tables of counters of a first and of a
// further digit.
const (
	smallEnoughToSort = 16384
	fewEnoughToSort   = 2048
)

// The widths of the radix digits. The first one of a float holds its sign, its exponent and six bits of its mantissa, so
// that a bucket is at most 1.6 % wide: a decade of values falls in about 210 counters, which stay in the first-level cache,
// and six quantiles keep few values for the next digit.
const (
	firstDigit = 18
	digit      = 16
)

// key maps a float to an integer with the same order: positive ones get the sign bit set, negative ones are inverted.
func key(v float64) uint64 {
	b := math.Float64bits(v)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// unkey is the inverse of key.
func unkey(k uint64) float64 {
	return math.Float64frombits(k ^ (uint64(int64(^k)>>63) | 1<<63))
}

// selectFloats returns the keys of the values at the given 0-based ranks of their order. Both passes work on the raw bits:
// making keys of all values would cost a third more than the pass itself.
func selectFloats(values []float64, ranks []int) []uint64 {
	const shift = 64 - firstDigit
	raw := new([1 << firstDigit]uint32)
	for _, v := range values {
		raw[math.Float64bits(v)>>shift]++
	}
	counts := make([]uint32, 1<<firstDigit)
	for k := range counts {
		counts[k] = raw[rawBucket(k)]
	}
	p := newPartition(counts, ranks)
	keep := new([1 << firstDigit]byte)
	for _, b := range p.bucket {
		keep[rawBucket(b)] = 1
	}
	kept := make([]uint64, 0, p.kept)
	i := 0
	for ; i+4 <= len(values); i += 4 { // few are kept, so one branch for four
		v := (*[4]float64)(values[i:])
		if keep[math.Float64bits(v[0])>>shift]|keep[math.Float64bits(v[1])>>shift]|
			keep[math.Float64bits(v[2])>>shift]|keep[math.Float64bits(v[3])>>shift] != 0 {
			kept = appendKept(kept, v[:], keep)
		}
	}
	return p.finish(appendKept(kept, values[i:], keep), ranks, shift)
}

func appendKept(kept []uint64, values []float64, keep *[1 << firstDigit]byte) []uint64 {
	for _, v := range values {
		if keep[math.Float64bits(v)>>(64-firstDigit)] != 0 {
			kept = append(kept, key(v))
		}
	}
	return kept
}

// rawBucket returns the first digit of the floats whose keys have the first digit k.
func rawBucket(k int) int {
	const sign = 1 << (firstDigit - 1)
	if k >= sign {
		return k - sign
	}
	return 1<<firstDigit - 1 - k
}

// selectKeys is selectFloats for keys that agree in all bits above the digit at shift.
func selectKeys(keys []uint64, ranks []int, shift int) []uint64 {
	if len(keys) < fewEnoughToSort || shift < 0 {
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
		if p.keep[k>>shift&(1<<digit-1)] {
			kept = append(kept, k)
		}
	}
	return p.finish(kept, ranks, shift)
}

// partition says which buckets hold a wanted rank.
type partition struct {
	keep   []bool // by bucket
	kept   int    // values in them
	bucket []int  // by rank: its bucket
	within []int  // by rank: its rank inside that bucket
	counts []uint32
}

func newPartition(counts []uint32, ranks []int) partition {
	p := partition{keep: make([]bool, len(counts)), bucket: make([]int, len(ranks)), within: make([]int, len(ranks)), counts: counts}
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
		if !p.keep[b] {
			p.keep[b] = true
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
		b := k >> shift & uint64(len(p.counts)-1)
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
