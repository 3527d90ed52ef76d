package redfish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// pollState is what polls of one document remember.
type pollState struct {
	request *http.Request // prepared; nil: not yet
	etag    string        // of last; empty: none, or not to be trusted
	last    *resource     // as last read; nil: never
	saved   int           // polls since the body was last fetched: how often "not modified" was believed
	lies    bool          // the ETag stayed while values changed, so it is not asked for any more

	status power.Status  // of the last poll
	retry  clock.Stamp   // not polled again before
	wait   time.Duration // after the next failure
}

// Failing documents are polled less and less often: first at once, as one answer may fail for any reason.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// believe is how often "not modified" is taken in a row before the document is fetched whole to see whether that is true.
const believe = 10

// poll reads one document and appends one sample per point.
func (s *Source) poll(ctx context.Context, d *document, dst []power.Sample) []power.Sample {
	if errors.Is(ctx.Err(), context.Canceled) {
		return dst
	}
	p := &d.poll
	before := s.now()
	var r *resource
	var err error
	status := p.status
	asked := before >= p.retry && !s.down(before)
	switch {
	case asked && ctx.Err() != nil:
		status = power.Failed // the time of this Read is used up
	case asked:
		r, err = s.fetch(ctx, d)
		if errors.Is(ctx.Err(), context.Canceled) {
			return dst // called off, which says nothing about the device
		}
		status = statusOf(err)
		s.judge(d, status, err)
	case s.down(before):
		status = power.Lost
	}
	after := s.now()
	at, within := sampler.Stamp(before, after)
	for i := range d.points {
		x := power.Sample{Meter: d.points[i].meter, Time: at, Within: within, Status: status}
		if r != nil {
			s.fill(&x, &d.points[i], r)
		}
		if x.Time > s.latest[x.Meter] {
			s.latest[x.Meter] = x.Time
			dst = append(dst, x)
		}
	}
	return dst
}

// fetch gets the document, or the one that was read last if the service says that it is the same.
func (s *Source) fetch(ctx context.Context, d *document) (*resource, error) {
	p := &d.poll
	etag := p.etag
	if p.last == nil || p.lies || p.saved >= believe {
		etag = ""
	}
	if p.request == nil {
		r, err := s.client.request(d.uri, "application/json")
		if err != nil {
			return nil, err
		}
		p.request = r
	}
	resp, err := s.client.send(ctx, p.request, etag)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	s.clockOf(resp.Header)
	if resp.StatusCode == http.StatusNotModified {
		if etag == "" {
			return nil, &statusError{resp.StatusCode}
		}
		p.saved++
		return p.last, nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, &bodyError{err}
	}
	r, err := decode(body)
	if err != nil {
		return nil, &bodyError{err}
	}
	if e := resp.Header.Get("ETag"); !p.lies {
		if p.last != nil && p.saved > 0 && e == p.etag && d.differ(p.last, r) {
			p.lies = true
			s.note(short(d.uri), "etag", "stays-while-values-change")
		}
		p.etag = e
	}
	p.last, p.saved = r, 0
	return r, nil
}

// differ reports whether a and b show different values.
func (d *document) differ(a, b *resource) bool {
	for _, p := range d.points {
		x, _ := a.value(p)
		y, _ := b.value(p)
		if x != y {
			return true
		}
	}
	return false
}

// bodyError is a document that came but could not be used.
type bodyError struct{ error }

func (e *bodyError) Unwrap() error { return e.error }

// statusOf says what an error means for the values of a document. No answer at all means that the device is lost.
func statusOf(err error) power.Status {
	if err == nil {
		return power.OK
	}
	var s *statusError
	var body *bodyError
	switch {
	case errors.Is(err, errRefused):
		return power.Denied
	case errors.Is(err, errHeld), errors.Is(err, errForeign), errors.Is(err, errAround), errors.Is(err, errNoToken), errors.As(err, &body):
		return power.Failed
	case !errors.As(err, &s):
		return power.Lost
	}
	switch s.code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return power.Denied
	case http.StatusNotFound, http.StatusGone:
		return power.Lost
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return power.Unsupported
	}
	return power.Failed
}

// judge decides when d, or the whole service, is asked again, and notes changes.
func (s *Source) judge(d *document, status power.Status, err error) {
	p := &d.poll
	var answer *statusError
	if err == nil || errors.As(err, &answer) {
		s.found()
	} else if status == power.Lost {
		s.lose(err)
		return
	}
	if status != p.status && !errors.Is(err, errHeld) {
		if err != nil {
			s.note(short(d.uri), "read_failed", fmt.Sprint(err))
		} else {
			s.note(short(d.uri), "read_failed", "no-longer")
		}
	}
	p.status = status
	switch {
	case status == power.OK:
		p.wait = 0
		return
	case errors.Is(err, errHeld), errors.Is(err, errRefused):
		return // the client keeps these back itself
	case answer != nil && (answer.code == http.StatusNotFound || answer.code == http.StatusGone):
		s.search = true // devices have come or gone
	}
	p.retry = s.now().Add(p.wait)
	p.wait = min(max(2*p.wait, retryFirst), retryMost)
}

// fill puts the value of one point, or why there is none, into x.
func (s *Source) fill(x *power.Sample, p *point, r *resource) {
	n, around := r.value(*p)
	if n.text == "" {
		x.Status = power.Unsupported
		return
	}
	raw, rounded, err := count(n.text, kinds[p.kind].decimals)
	if err != nil {
		x.Status = power.Failed
		return
	}
	x.Raw = raw
	if p.own {
		x.Device, _ = parseTime(string(r.ReadingTime))
	}
	s.watch(p, x, n, rounded, around, r)
}
