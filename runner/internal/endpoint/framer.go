package endpoint

import (
	"errors"
	"fmt"
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

// framer finds the end of an HTTP/1.1 response incrementally and takes the transfer framing off. It looks at size lines only;
// what is between them is handed on, not read.
type framer struct {
	state  frameState
	head   []byte // header so far, while it is incomplete
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

// next takes raw, bytes that were read, and returns the first piece of the body among them, which may be empty, and what is
// behind it. Both alias raw.
func (f *framer) next(raw []byte) (piece, rest []byte, err error) {
	if f.state == inHeader {
		if raw, err = f.header(raw); err != nil || f.state == inHeader {
			return nil, nil, err
		}
	}
	for len(raw) > 0 {
		switch f.state {
		case untilClose:
			return raw, nil, nil
		case inLength, inChunk:
			n := len(raw)
			if uint64(n) > f.remain {
				n = int(f.remain)
			}
			if f.remain -= uint64(n); f.remain == 0 {
				f.after()
			}
			return raw[:n], raw[n:], nil
		case complete:
			f.extra = true
			return nil, nil, nil
		default:
			if err := f.framing(raw[0]); err != nil {
				return nil, nil, err
			}
			raw = raw[1:]
		}
	}
	return nil, nil, nil
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
