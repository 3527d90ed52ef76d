package endpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxHeader bounds a response header, a chunk's size line and a trailer, in bytes.
const maxHeader = 64 << 10

// errCut says that the connection ended inside a response.
var errCut = errors.New("the connection was closed inside the response")

type frameState uint8

const (
	inHeader frameState = iota
	untilClose
	inLength   // remain bytes to go
	inSize     // hexadecimal digits of a chunk's size
	inSizeRest // extension and line end after them
	inChunk    // remain bytes to go
	inChunkEnd // line end after a chunk
	inTrailer  // line by line to an empty one
	complete
)

// framer finds the end of an HTTP/1.1 response incrementally and removes the transfer framing as it goes. It looks at
// size lines only; what is between them is moved, not read.
type framer struct {
	state  frameState
	bodyAt int    // where the body begins in the slab
	remain uint64 // bytes
	digits int    // of a size line
	line   int    // bytes of the line, or of the trailer, so far
	blank  bool   // the trailer line so far is empty

	status      int
	keep        bool // the server keeps the connection
	extra       bool // bytes followed the response
	contentType string
	location    string
}

func (f *framer) inBody() bool { return f.state != inHeader }
func (f *framer) done() bool   { return f.state == complete }

// reusable reports whether the connection can carry another request.
func (f *framer) reusable() bool { return f.state == complete && f.keep && !f.extra }

// feed takes raw, the bytes that were read right behind slab's end in the same memory, and returns slab with those that
// belong to header or body appended. It never writes beyond what it has read.
func (f *framer) feed(slab, raw []byte) ([]byte, error) {
	if f.state == inHeader {
		var err error
		if slab, raw, err = f.header(slab, raw); err != nil {
			return slab, err
		}
	}
	for len(raw) > 0 {
		switch f.state {
		case inHeader:
			return slab, nil
		case untilClose:
			return append(slab, raw...), nil
		case inLength, inChunk:
			n := len(raw)
			if uint64(n) > f.remain {
				n = int(f.remain)
			}
			slab = append(slab, raw[:n]...)
			raw = raw[n:]
			if f.remain -= uint64(n); f.remain == 0 {
				f.after()
			}
		case complete:
			f.extra = true
			return slab, nil
		default:
			if err := f.framing(raw[0]); err != nil {
				return slab, err
			}
			raw = raw[1:]
		}
	}
	return slab, nil
}

// after moves on from data that has been read whole.
func (f *framer) after() {
	if f.state == inLength {
		f.state = complete
		return
	}
	f.state, f.line = inChunkEnd, 0
}

// eof takes the end of the connection: right where the response is delimited by it, errCut elsewhere.
func (f *framer) eof() error {
	if f.state == untilClose {
		f.state = complete
		f.keep = false
	}
	if f.state != complete {
		return errCut
	}
	return nil
}

// framing takes one byte between chunks.
func (f *framer) framing(b byte) error {
	if f.line++; f.line > maxHeader {
		return errors.New("chunked encoding: line without an end")
	}
	switch f.state {
	case inSize:
		if d, ok := hexDigit(b); ok {
			if f.digits++; f.digits > 15 {
				return errors.New("chunked encoding: size too large")
			}
			f.remain = f.remain<<4 | uint64(d)
			return nil
		}
		if f.digits == 0 {
			return fmt.Errorf("chunked encoding: %q where a size should be", b)
		}
		if b == '\n' {
			f.sized()
			return nil
		}
		if b != '\r' && b != ';' && b != ' ' && b != '\t' {
			return fmt.Errorf("chunked encoding: %q in a size", b)
		}
		f.state = inSizeRest
	case inSizeRest:
		if b == '\n' {
			f.sized()
		}
	case inChunkEnd:
		switch {
		case b == '\n':
			f.state, f.digits, f.line, f.remain = inSize, 0, 0, 0
		case b != '\r' || f.line > 1:
			return fmt.Errorf("chunked encoding: %q after a chunk", b)
		}
	case inTrailer:
		switch {
		case b == '\n' && f.blank:
			f.state = complete
		case b == '\n':
			f.blank = true
		case b != '\r':
			f.blank = false
		}
	}
	return nil
}

// sized moves on from a size line.
func (f *framer) sized() {
	f.line = 0
	if f.remain == 0 {
		f.state, f.blank = inTrailer, true
		return
	}
	f.state = inChunk
}

func hexDigit(b byte) (byte, bool) {
	switch {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b|0x20 >= 'a' && b|0x20 <= 'f':
		return b | 0x20 - 'a' + 10, true
	}
	return 0, false
}

// header gathers the header in the slab until it is complete, skips 1xx responses, and returns what follows it.
func (f *framer) header(slab, raw []byte) ([]byte, []byte, error) {
	from := len(slab)
	slab = append(slab, raw...)
	for { // once for every interim response, and for the real one
		end := headerEnd(slab, from)
		if end < 0 {
			if len(slab) > maxHeader {
				return slab, nil, errors.New("response header without an end")
			}
			return slab, nil, nil
		}
		if err := f.parse(slab[:end]); err != nil {
			return slab, nil, err
		}
		if f.status >= 200 {
			f.bodyAt = end
			return slab[:end], slab[end:], nil
		}
		n := copy(slab, slab[end:])
		slab, from = slab[:n], 0
	}
}

// headerEnd returns the offset behind the first empty line, or -1. Bytes before from were searched before.
func headerEnd(b []byte, from int) int {
	for i := max(from-3, 0); i < len(b); {
		nl := bytes.IndexByte(b[i:], '\n')
		if nl < 0 {
			return -1
		}
		i += nl + 1
		switch rest := b[i:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
	return -1
}

// parse reads a complete header and decides how the body is delimited.
func (f *framer) parse(b []byte) error {
	line, rest, _ := bytes.Cut(b, []byte("\n"))
	if err := f.statusLine(strings.TrimRight(string(line), "\r")); err != nil {
		return err
	}
	var chunked bool
	length := int64(-1)
	f.contentType, f.location = "", ""
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		name, value, ok := strings.Cut(strings.TrimRight(string(line), "\r"), ":")
		if !ok {
			continue // the empty line, or a folded one
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "content-length":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 0 || length >= 0 && n != length {
				return fmt.Errorf("content-length %q", value)
			}
			length = n
		case "transfer-encoding":
			if !strings.EqualFold(value, "chunked") {
				return fmt.Errorf("transfer encoding %q", value)
			}
			chunked = true
		case "content-encoding":
			if value != "" && !strings.EqualFold(value, "identity") {
				return fmt.Errorf("content is encoded as %q although identity was asked for", value)
			}
		case "connection":
			for option := range strings.SplitSeq(value, ",") {
				switch strings.ToLower(strings.TrimSpace(option)) {
				case "close":
					f.keep = false
				case "keep-alive":
					f.keep = true
				}
			}
		case "content-type":
			f.contentType = value
		case "location":
			f.location = value
		}
	}
	if f.status >= 200 {
		f.delimit(chunked, length)
	}
	return nil
}

func (f *framer) delimit(chunked bool, length int64) {
	switch {
	case f.status == 204 || f.status == 304:
		f.state = complete
	case chunked:
		f.state, f.line = inSize, 0
		if length >= 0 {
			f.keep = false // two opinions on the length: this one is taken, the connection is not trusted again
		}
	case length == 0:
		f.state = complete
	case length > 0:
		f.state, f.remain = inLength, uint64(length)
	default:
		f.state, f.remain, f.keep = untilClose, math.MaxUint64, false
	}
}

func (f *framer) statusLine(s string) error {
	proto, rest, _ := strings.Cut(s, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	n, err := strconv.Atoi(code)
	switch {
	case proto != "HTTP/1.1" && proto != "HTTP/1.0":
		return fmt.Errorf("not an HTTP/1.1 response: it begins %q", brief(s, 40))
	case err != nil || n < 100 || n > 999:
		return fmt.Errorf("status line %q", brief(s, 60))
	case n == 101:
		return errors.New("the server switched protocols unasked")
	}
	f.status, f.keep = n, proto == "HTTP/1.1"
	return nil
}
