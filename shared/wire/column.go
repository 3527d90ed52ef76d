package wire

import (
	"encoding/binary"
	"errors"
	"slices"
)

var errColumn = errors.New("broken varint")

// zigzag maps small negative and positive numbers to small unsigned ones.
func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

// unzigzag undoes zigzag.
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// appendColumn appends the steps of values from start on, each less step, without the zeros at the end.
func appendColumn(dst []byte, values []int64, start, step int64) []byte {
	n := len(values)
	for n > 1 && values[n-1]-values[n-2] == step {
		n--
	}
	if n == 1 && values[0]-start == step {
		n = 0
	}
	return appendSteps(dst, values[:n], start, step)
}

// appendSteps appends the steps of values from start on, each less step.
func appendSteps(dst []byte, values []int64, start, step int64) []byte {
	n := len(dst)
	dst = slices.Grow(dst, binary.MaxVarintLen64*len(values))
	out, last := dst[:cap(dst)], start
	for _, v := range values {
		u := zigzag(v - last - step)
		last = v
		if u < 1<<14 { // one byte or two, without a branch, because which of them is hard to predict
			two := (1<<7 - 1 - u) >> 63
			w := u + u&^0x7f + two<<7
			out[n+1], out[n] = byte(w>>8), byte(w)
			n += 1 + int(two)
		} else {
			n += binary.PutUvarint(out[n:], u)
		}
	}
	return out[:n]
}

// usualStep returns the median of a few steps of values: what a column goes on by when nothing special happens. A
// median, because one missed tick would spoil a mean.
func usualStep(values []int64) int64 {
	const most = 9
	n := len(values) - 1
	if n < 2 {
		return 0
	}
	var few [most]int64
	k := min(n, most)
	for i := range k {
		at := 1 + i*n/k
		few[i] = values[at] - values[at-1]
	}
	slices.Sort(few[:k])
	return few[k/2]
}

// countVarints returns how many varints end in col.
func countVarints(col []byte) int {
	n := 0
	for len(col) >= 8 {
		// The top bit of a byte is clear where a varint ends.
		ends := ^binary.LittleEndian.Uint64(col) >> 7 & 0x0101010101010101
		n += int(ends * 0x0101010101010101 >> 56)
		col = col[8:]
	}
	for _, b := range col {
		n += int(^b >> 7)
	}
	return n
}

// steps reads a column piece by piece. Past the end of the column every entry is 0.
type steps struct {
	col        []byte
	last, step int64
	broken     bool
}

// fill puts the next values into dst.
func (s *steps) fill(dst []int64) {
	for len(dst) >= 8 && len(s.col) >= 8 {
		// Most columns have entries of one size for long stretches. The top bit of a byte says that the entry goes on.
		const ends = 0x8080808080808080
		word := binary.LittleEndian.Uint64(s.col)
		switch word & ends {
		case 0:
			s.eight(dst, word)
			dst, s.col = dst[8:], s.col[8:]
			continue
		case 0x0080008000800080:
			s.four(dst, word)
			dst, s.col = dst[4:], s.col[8:]
			continue
		}
		s.oneByOne(dst[:4])
		dst = dst[4:]
	}
	s.oneByOne(dst)
}

// eight puts eight entries of one byte each.
func (s *steps) eight(dst []int64, word uint64) {
	last, step := s.last, s.step
	for i := range dst[:8] {
		last += step + unzigzag(word&0x7f)
		dst[i] = last
		word >>= 8
	}
	s.last = last
}

// four puts four entries of two bytes each.
func (s *steps) four(dst []int64, word uint64) {
	last, step := s.last, s.step
	for i := range dst[:4] {
		last += step + unzigzag(word&0x7f|word>>1&0x3f80)
		dst[i] = last
		word >>= 16
	}
	s.last = last
}

// oneByOne puts entries of any size.
func (s *steps) oneByOne(dst []int64) {
	col, last, step := s.col, s.last, s.step
	for i := range dst {
		var u uint64
		switch {
		case len(col) == 0:
		case col[0] < 0x80:
			u, col = uint64(col[0]), col[1:]
		case len(col) >= 2 && col[1] < 0x80:
			u, col = uint64(col[0]&0x7f)|uint64(col[1])<<7, col[2:]
		default:
			n := 0
			if u, n = binary.Uvarint(col); n <= 0 {
				s.broken, n = true, len(col)
			}
			col = col[n:]
		}
		last += step + unzigzag(u)
		dst[i] = last
	}
	s.col, s.last = col, last
}

// end reports a column that was broken or that is longer than what was read of it.
func (s *steps) end() error {
	switch {
	case s.broken, len(s.col) > 0 && countVarints(s.col) == 0:
		return errColumn
	case len(s.col) > 0:
		return errors.New("more entries than column raw")
	}
	return nil
}
