package endpoint

import "bytes"

// events walks through the server-sent events of a body: lines end with LF, CRLF or CR, an empty line ends an event, and
// an event at the end of the body counts without one.
type events struct {
	body   []byte
	at     int
	lf, cr int // the next of each from at on, or the body's end: looked for once, since a body may have one kind only

	name   []byte // event field; nil: none
	data   []byte // data fields joined by LF; aliases the body if there is one only
	end    int    // offset behind the byte that completed the event
	closed bool   // by an empty line; false only for the last
	joined []byte // holds data of several lines
}

func newEvents(body []byte) *events {
	e := &events{body: body, lf: -1, cr: -1}
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		e.at = 3
	}
	return e
}

// next moves to the next event with non-empty data.
func (e *events) next() bool {
	e.name, e.data, e.closed = nil, nil, false
	lines := 0
	for e.at < len(e.body) {
		line, end := e.line()
		if len(line) == 0 {
			if len(e.data) > 0 {
				e.end, e.closed = end, true
				return true
			}
			e.name, e.data, lines = nil, nil, 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			e.name = value
		case "data":
			e.add(value, lines)
			lines++
		}
	}
	e.end = len(e.body)
	return len(e.data) > 0
}

func (e *events) add(value []byte, lines int) {
	switch lines {
	case 0:
		e.data = value
		return
	case 1:
		e.joined = append(e.joined[:0], e.data...)
	}
	e.joined = append(append(e.joined, '\n'), value...)
	e.data = e.joined
}

// line returns the next line without its end, and the offset behind it. Of a CRLF the CR ends the line: an event is
// complete with it, whichever read brings the LF.
func (e *events) line() ([]byte, int) {
	e.lf, e.cr = e.find('\n', e.lf), e.find('\r', e.cr)
	begin, n := e.at, min(e.lf, e.cr)
	e.at = min(n+1, len(e.body))
	end := e.at
	if e.cr == n && e.lf == n+1 {
		e.at++
	}
	return e.body[begin:n], end
}

// find returns the offset of the next b, of which known was the one before or still is.
func (e *events) find(b byte, known int) int {
	if known >= e.at {
		return known
	}
	if i := bytes.IndexByte(e.body[e.at:], b); i >= 0 {
		return e.at + i
	}
	return len(e.body)
}
