package ipmi

import (
	"context"
	"encoding/binary"
	"strings"
)

// Offsets of the areas in the header of FRU data, in units of 8 bytes, and of the first text in each: IPMI FRU Information
// Storage Definition 1.0, chapters 8, 11 and 12.
const (
	fruHeader    = 8
	fruBoard     = 3
	fruProduct   = 4
	boardTexts   = 6
	productTexts = 3
	fruChunk     = 16
	fruMost      = 128 // bytes of an area that are read: manufacturer and name come first
)

// model returns the manufacturer and name of the product, or else of the board, from the FRU data of the BMC; empty if it
// has none.
func model(ctx context.Context, ask asker) string {
	header := readFRU(ctx, ask, 0, fruHeader)
	if len(header) < fruHeader {
		return ""
	}
	for _, area := range []struct{ at, texts int }{{fruProduct, productTexts}, {fruBoard, boardTexts}} {
		at := 8 * int(header[area.at])
		if at == 0 {
			continue
		}
		if name := parseArea(readFRU(ctx, ask, at, fruMost), area.texts); name != "" {
			return name
		}
	}
	return ""
}

// parseArea returns the first two texts of an area, manufacturer and name, with a blank between.
func parseArea(b []byte, at int) string {
	var words []string
	for range 2 {
		if at >= len(b) || b[at] == 0xc1 { // end of texts
			break
		}
		kind, n := b[at]>>6, int(b[at]&0x3f)
		at++
		if word := text(kind, b[min(at, len(b)):min(at+n, len(b))]); word != "" {
			words = append(words, word)
		}
		at += n
	}
	return strings.Join(words, " ")
}

// readFRU reads FRU data of the BMC itself; less than n bytes where there are no more, or no answer.
func readFRU(ctx context.Context, ask asker, at, n int) []byte {
	var data []byte
	for len(data) < n {
		offset := binary.LittleEndian.AppendUint16(nil, uint16(at+len(data)))
		count := min(n-len(data), fruChunk)
		f, err := ask(ctx, request{netFn: netFnStorage, cmd: cmdReadFRU, data: []byte{0, offset[0], offset[1], byte(count)}})
		if err != nil {
			break
		}
		b, err := f.body(1)
		if err != nil || len(b) < 2 {
			break // no more, or none at all
		}
		data = append(data, b[1:min(len(b), 1+count)]...)
	}
	return data
}

// text decodes a text of one of IPMI's kinds: 1 BCD plus, 2 ASCII in 6 bits, 3 (and elsewhere 0) ASCII or Latin 1. What is
// not printable ASCII becomes "?": a BMC does not choose what ends up on a terminal.
func text(kind byte, b []byte) string {
	var s strings.Builder
	switch kind {
	case 1:
		for _, c := range b {
			s.WriteByte("0123456789 -.:,_"[c>>4])
			s.WriteByte("0123456789 -.:,_"[c&0xf])
		}
	case 2: // the lowest bits of the first byte are the first character
		for i := range len(b) * 8 / 6 {
			bit := i * 6
			v := uint(b[bit/8]) >> (bit % 8)
			if bit/8+1 < len(b) {
				v |= uint(b[bit/8+1]) << (8 - bit%8)
			}
			s.WriteByte(' ' + byte(v&0x3f))
		}
	default:
		for _, c := range b {
			switch {
			case c == 0:
			case c < ' ' || c > '~':
				s.WriteByte('?')
			default:
				s.WriteByte(c)
			}
		}
	}
	return strings.TrimSpace(s.String())
}
