package snmp

import (
	"context"
	"errors"
	"time"

	"agentwatt/shared/clock"
)

// search is a discovery in the background, with a socket of its own: reading goes on meanwhile.
type search struct {
	cancel context.CancelFunc
	result chan outcome // of the search in progress; nil: none
	failed int          // in a row
	next   clock.Stamp  // not before; after a failure
}

type outcome struct {
	layout layout
	err    error
}

// Pauses between searches that fail.
const (
	firstSearchPause   = 5 * time.Second
	longestSearchPause = 5 * time.Minute
)

// begin starts a search, unless one is going on or has just failed.
func (s *search) begin(o Options, profiles []*Profile) {
	if s.result != nil || o.Now() < s.next {
		return
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(context.Background())
	result := make(chan outcome, 1)
	s.result = result
	go func() {
		l, c, err := explore(ctx, o, profiles)
		if c != nil {
			err = errors.Join(err, c.close())
		}
		result <- outcome{l, err}
	}()
}

// done returns the outcome of a search that has ended.
func (s *search) done(now clock.Stamp) (outcome, bool) {
	select {
	case out := <-s.result: // never, where there is none
		s.cancel()
		s.result = nil
		if out.err == nil {
			s.failed, s.next = 0, 0
			return out, true
		}
		s.next = now.Add(min(longestSearchPause, firstSearchPause<<min(s.failed, 8)))
		s.failed++
		return out, true
	default:
		return outcome{}, false
	}
}

// stop ends a search and waits for it.
func (s *search) stop() {
	if s.result != nil {
		s.cancel()
		<-s.result
		s.result = nil
	}
}
