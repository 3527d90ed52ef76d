package redfish

import (
	"bufio"
	"bytes"
	"io"
)

// events reads a stream of server-sent events (WHATWG HTML, 9.2): lines of "field: value", an empty line after each event.
// Lines end in \n or \r\n; the lone \r that the standard also allows is not used by any service.
type events struct {
	r    *bufio.Reader
	data []byte
	size int
}

// mostEvent bounds one event; a metric report of some hundred values has some ten thousand bytes.
const mostEvent = mostBytes

func newEvents(r io.Reader) *events { return &events{r: bufio.NewReaderSize(r, 4096)} }

// next returns the data of the next event that has any; it is valid until the following call. began is called when the
// first byte of its data, or of what stands before, is there. An event that is too long is an error, after which the stream cannot be used.
func (e *events) next(began func()) ([]byte, error) {
	e.data, e.size = e.data[:0], 0
	some := false // the event has data
	for {
		line, err := e.line(began)
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if some {
				return e.data, nil
			}
			e.size = 0
			continue
		}
		value, ok := bytes.CutPrefix(line, []byte("data"))
		if !ok || len(value) > 0 && value[0] != ':' { // a comment, which keeps the connection alive, or another field
			if !some {
				e.size = 0
			}
			continue
		}
		value = bytes.TrimPrefix(bytes.TrimPrefix(value, []byte(":")), []byte(" "))
		if some {
			e.data = append(e.data, '\n')
		}
		e.data, some = append(e.data, value...), true
	}
}

// line reads one line without its end.
func (e *events) line(began func()) ([]byte, error) {
	if e.size == 0 {
		if _, err := e.r.Peek(1); err != nil {
			return nil, err
		}
		began()
	}
	var whole []byte
	for {
		part, err := e.r.ReadSlice('\n')
		if e.size += len(part); e.size > mostEvent {
			return nil, errLong
		}
		if err == nil && whole == nil {
			return trim(part), nil // the buffer's own, used before the next read
		}
		whole = append(whole, part...)
		switch err {
		case nil:
			return trim(whole), nil
		case bufio.ErrBufferFull:
		default:
			return nil, err
		}
	}
}

func trim(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
