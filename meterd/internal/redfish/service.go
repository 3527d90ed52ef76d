package redfish

import (
	"context"
	"net/http"
	"time"

	"agentwatt/shared/clock"
)

// down reports whether the service is lost and not yet to be asked again.
func (s *Source) down(now clock.Stamp) bool { return s.lost && now < s.retry }

// lose notes that the service does not answer.
func (s *Source) lose(err error) {
	if !s.lost {
		s.lost, s.wait = true, 0
		s.note("", "lost", err.Error())
	}
	s.wait = min(max(2*s.wait, retryFirst), loseMost)
	s.retry = s.now().Add(s.wait)
}

// found notes that it does. What it offers may have changed in between.
func (s *Source) found() {
	if s.lost {
		s.lost, s.search = false, true
		s.note("", "lost", "no-longer")
	}
}

// look asks for a search where there is reason to.
func (s *Source) look() {
	now := s.now()
	if !s.search || s.lost || now.Sub(s.looked) < s.pause {
		return
	}
	s.search, s.looked = false, now
	select {
	case s.wanted <- struct{}{}:
	default: // one is under way
	}
}

// searches looks for devices whenever it is asked to, beside the reads: it takes many requests.
func (s *Source) searches(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wanted:
		}
		l, err := discover(ctx, s.options, s.client)
		if err != nil {
			l = &layout{failed: err}
		}
		select {
		case <-ctx.Done():
			return
		case s.fresh <- l:
		}
	}
}

// adopt takes over what a search found. Where something did not answer, what is known stays unless more was found, and the
// next search comes later each time.
func (s *Source) adopt() {
	select {
	case l := <-s.fresh:
		if l.failed == nil && len(l.meters) > 0 {
			s.pause = searchAgain
			s.use(l)
			return
		}
		s.search, s.pause = true, min(2*s.pause, searchMost)
		if len(l.meters) > len(s.Meters()) {
			s.use(l)
		}
	default:
	}
}

// clockOf notes how far the service's clock is off, now and then.
func (s *Source) clockOf(h http.Header) {
	now := s.now()
	if s.dated != 0 && now.Sub(s.dated) < dateAgain {
		return
	}
	ahead, ok := skew(h, now)
	if !ok {
		return
	}
	if s.dated == 0 || (ahead-s.ahead).Abs() >= skewNoted {
		s.ahead = ahead
		s.note("", "clock_skew_seconds", seconds(ahead.Round(time.Second/2)))
	}
	s.dated = now
}
