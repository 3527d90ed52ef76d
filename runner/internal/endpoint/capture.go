package endpoint

import (
	"errors"
	"time"

	"agentwatt/shared/clock"
)

const (
	firstSlab   = 16 << 10 // bytes; a short answer fits
	minRead     = 4 << 10  // free bytes below which the slab grows before a read
	keepSlab    = 4 << 20  // bytes; larger slabs are not kept for the next request
	maxResponse = 64 << 20 // bytes of header and body
)

// errTooLong is the end of a response that would not end.
var errTooLong = errors.New("the response is longer than 64 MiB")

// mark is one read of body bytes: those before end had arrived by at.
type mark struct {
	end int // into the slab, framing removed
	at  clock.Stamp
}

// capture is a response as it arrived: header and body in one slab, and a mark for every read of body bytes. It is all that is
// kept while the stream is open; it is reused by later requests of any lane.
type capture struct {
	slab    []byte
	marks   []mark
	user    bool          // a body read had no kernel stamp
	lagMax  time.Duration // largest difference between user and kernel stamp
	headers clock.Stamp   // of the read that completed the final header
	last    clock.Stamp   // of the last read
	frame   framer
}

func (c *capture) reset() {
	if cap(c.slab) > keepSlab {
		c.slab, c.marks = nil, nil
	}
	*c = capture{slab: c.slab[:0], marks: c.marks[:0]}
}

// room returns where the next read goes.
func (c *capture) room() ([]byte, error) {
	if len(c.slab) >= maxResponse {
		return nil, errTooLong
	}
	if free := cap(c.slab) - len(c.slab); free < minRead {
		grown := make([]byte, len(c.slab), min(max(firstSlab, 2*cap(c.slab)), maxResponse+minRead))
		copy(grown, c.slab)
		c.slab = grown
	}
	return c.slab[len(c.slab):cap(c.slab)], nil
}

// add takes the n bytes just read into room. It reports whether they complete the response.
func (c *capture) add(n int, r receipt) (done bool, err error) {
	r.at = max(r.at, c.last) // moving the kernel's stamps to our clock may swap two that are nanoseconds apart
	before := len(c.slab)
	c.slab, err = c.frame.feed(c.slab, c.slab[before:before+n])
	if c.frame.inBody() {
		if c.headers == 0 {
			c.headers, before = r.at, c.frame.bodyAt
		}
		if len(c.slab) > before {
			c.marks = append(c.marks, mark{end: len(c.slab), at: r.at})
		}
	}
	c.last = r.at
	if r.kernel {
		c.lagMax = max(c.lagMax, r.user.Sub(r.at))
	} else {
		c.user = true
	}
	return c.frame.done(), err
}

// body returns the body so far, framing removed.
func (c *capture) body() []byte {
	if !c.frame.inBody() {
		return nil
	}
	return c.slab[c.frame.bodyAt:]
}

// firstByte returns when the first body byte had arrived; zero: it has not.
func (c *capture) firstByte() clock.Stamp {
	if len(c.marks) == 0 {
		return 0
	}
	return c.marks[0].at
}
