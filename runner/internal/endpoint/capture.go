package endpoint

import (
	"bytes"
	"errors"
	"time"

	"agentwatt/shared/clock"
)

const (
	keepKept    = 256 << 10 // bytes; larger buffers are not kept for the next request
	maxResponse = 64 << 20  // bytes of the body that are kept
	maxLearn    = 4 << 10   // bytes of an event; longer ones are no template
)

// errTooLong is the end of a response that would not end.
var errTooLong = errors.New("the response is longer than 64 MiB")

// mark is one read of body bytes that are kept: those before end had arrived by at.
type mark struct {
	end  int // into kept
	read int // ordinal of the read in its response
	at   clock.Stamp
	late time.Duration // from then to the reading; 0: not known
}

// run is a series of output events that differ from a kept one in their text only. They come where kept has its byte at.
type run struct {
	at          int
	events      int
	bytes       int  // of text
	answer      bool // not reasoning
	first, last clock.Stamp

	// Reads that hold more than one output event are counted; a run shares its first and last read with its neighbours.
	firstRead, lastRead int
	inFirst, inLast     int // events in them
	merged              int // reads with more than one event between them
}

// capture is a response as it arrived. While the stream is open an event is only compared with its predecessor: where
// nothing but the text differs, as is so with most tokens, it is counted and its bytes are forgotten. Whatever else comes is
// kept as it is, with the time of every read, for the parser to read after the end. So an open stream costs about a
// kilobyte however long it gets, and no JSON is read for it but that of a handful of events.
type capture struct {
	frame framer
	kept  []byte
	marks []mark
	runs  []run

	event    int  // kept[event:] is the event under way
	boundary bool // kept ends with a whole event: the next byte begins another
	like     template

	reads   int
	late    time.Duration // of the read under way
	user    bool          // a body read had no kernel stamp
	lagMax  time.Duration // largest difference between user and kernel stamp
	headers clock.Stamp   // of the read that completed the final header
	first   clock.Stamp   // of the first body byte
	last    clock.Stamp   // of the last read

	// seen is told of the text of every event of a run; for measurements of the client itself. nil: nobody.
	seen func(at clock.Stamp, text []byte)
}

func (c *capture) reset() {
	if cap(c.kept) > keepKept {
		c.kept, c.marks = nil, nil
	}
	*c = capture{kept: c.kept[:0], marks: c.marks[:0], runs: c.runs[:0], seen: c.seen}
}

// add takes the bytes of one read. It reports whether they complete the response.
func (c *capture) add(data []byte, r receipt) (done bool, err error) {
	r.at = max(r.at, c.last) // moving the kernel's stamps to our clock may swap two that are nanoseconds apart
	c.last = r.at
	c.reads++
	if c.late = 0; r.kernel {
		c.late = r.user.Sub(r.at)
		c.lagMax = max(c.lagMax, c.late)
	} else {
		c.user = true
	}
	for len(data) > 0 && err == nil {
		var piece []byte
		if piece, data, err = c.frame.next(data); c.frame.inBody() && c.headers == 0 {
			c.headers = r.at
		}
		if err == nil && len(piece) > 0 {
			err = c.take(piece, r.at)
		}
	}
	return c.frame.done(), err
}

// take takes bytes of the body.
func (c *capture) take(piece []byte, at clock.Stamp) error {
	if c.first == 0 {
		c.first = at
	}
	for len(piece) > 0 {
		if c.boundary {
			if n, text := c.like.match(c.kept, piece); n > 0 {
				c.count(text, at)
				piece = piece[n:]
				continue
			}
		}
		n := eventEnd(piece)
		if len(c.kept)+n > maxResponse {
			return errTooLong
		}
		c.kept = append(c.kept, piece[:n]...)
		c.mark(at)
		if c.boundary = endsEvent(c.kept); c.boundary {
			c.whole(at)
		}
		piece = piece[n:]
	}
	return nil
}

// whole takes the event that has just become whole: one that came in pieces may still be like the template.
func (c *capture) whole(at clock.Stamp) {
	if n, text := c.like.match(c.kept, c.kept[c.event:]); n > 0 && n == len(c.kept)-c.event {
		c.forget()
		c.count(text, at)
		return
	}
	c.like.learn(c.kept, c.event)
	c.event = len(c.kept)
}

// forget takes back the event under way.
func (c *capture) forget() {
	c.kept = c.kept[:c.event]
	for n := len(c.marks); n > 0 && c.marks[n-1].end > c.event; n-- {
		if n > 1 && c.marks[n-2].end < c.event || n == 1 && c.event > 0 {
			c.marks[n-1].end = c.event // the read held bytes before it
			return
		}
		c.marks = c.marks[:n-1]
	}
}

func (c *capture) mark(at clock.Stamp) {
	if n := len(c.marks); n > 0 && c.marks[n-1].read == c.reads {
		c.marks[n-1].end = len(c.kept)
		return
	}
	c.marks = append(c.marks, mark{end: len(c.kept), read: c.reads, at: at, late: c.late})
}

// count takes an event that is like the template.
func (c *capture) count(t text, at clock.Stamp) {
	if n := len(c.runs); n == 0 || c.runs[n-1].at != len(c.kept) {
		c.runs = append(c.runs, run{at: len(c.kept), answer: c.like.answer, first: at, firstRead: c.reads, lastRead: c.reads})
	}
	r := &c.runs[len(c.runs)-1]
	if c.reads != r.lastRead {
		if r.lastRead != r.firstRead && r.inLast > 1 {
			r.merged++
		}
		r.lastRead, r.inLast = c.reads, 0
	}
	if r.inLast++; r.lastRead == r.firstRead {
		r.inFirst = r.inLast
	}
	r.events++
	r.bytes += c.like.bytes + t.size
	r.last = at
	if c.seen != nil {
		c.seen(at, t.raw)
	}
}

// body returns what is kept of the body, framing removed.
func (c *capture) body() []byte { return c.kept }

// eventEnd returns the offset behind the first empty line, or the length of b if there is none.
func eventEnd(b []byte) int {
	for i := 0; ; {
		nl := bytes.IndexByte(b[i:], '\n')
		if nl < 0 {
			return len(b)
		}
		i += nl + 1
		switch rest := b[i:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return i + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return i + 2
		}
	}
}

// endsEvent reports whether b ends with an empty line.
func endsEvent(b []byte) bool {
	return bytes.HasSuffix(b, []byte("\n\n")) || bytes.HasSuffix(b, []byte("\n\r\n"))
}
