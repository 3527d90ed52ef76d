package redfish

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// target is the meter that a pushed value belongs to.
type target struct {
	meter int
	kind  kind
}

// push keeps the values that the service sends on its own, until the next Read takes them.
type push struct {
	now func() clock.Stamp

	mu      sync.Mutex
	names   map[string]target
	waiting []power.Sample
	newest  map[int]clock.Stamp // device time of the last value of a meter: reports repeat old ones
	dropped int                 // because nobody took them
	notes   []string            // about the stream
	up      bool                // the stream, as last noted
	said    bool                // anything was noted
}

// Bounds on what waits, and on the pause between tries to connect.
const (
	mostWaiting    = 8192
	reconnectFirst = time.Second
	reconnectMost  = 2 * time.Minute
)

func newPush(now func() clock.Stamp) *push {
	return &push{now: now, newest: map[int]clock.Stamp{}}
}

// rename follows a change of meters. What waits belongs to the old ones.
func (p *push) rename(names map[string]target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.names, p.waiting, p.newest = names, p.waiting[:0], map[int]clock.Stamp{}
}

// listen reads the event stream at uri until ctx ends. When it is cut it connects again, less and less often while that
// fails; the polls go on meanwhile.
func (p *push) listen(ctx context.Context, c *client, uri string) {
	for wait := reconnectFirst; ; wait = min(2*wait, reconnectMost) {
		heard, err := p.stream(ctx, c, uri)
		if ctx.Err() != nil {
			return
		}
		p.say(false, "cut: "+err.Error())
		if heard {
			wait = reconnectFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// stream is one connection. It reports whether any event came.
func (p *push) stream(ctx context.Context, c *client, uri string) (heard bool, err error) {
	r, err := c.request(uri, eventStream)
	if err != nil {
		return false, err
	}
	resp, err := c.send(ctx, r, "")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	p.say(true, "connected")
	list := newEvents(resp.Body)
	for {
		var before clock.Stamp
		data, err := list.next(func() { before = p.now() })
		if err != nil {
			return heard, err
		}
		heard = true
		p.take(data, before, p.now(), true)
	}
}

// say notes that the stream is up or down, when that changes.
func (p *push) say(up bool, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if (up != p.up || !p.said) && len(p.notes) < mostParts {
		p.notes = append(p.notes, what)
	}
	p.up, p.said = up, true
}

// report is a MetricReport; of other events nothing of this is there.
type report struct {
	MetricValues []metricValue
}

type metricValue struct {
	MetricProperty text
	MetricValue    number
	Timestamp      text
}

// arrived is one value of a report.
type arrived struct {
	meter  int
	raw    int64
	device clock.Stamp // 0: not told
}

// oldest is how far back a report is believed to go. A time further back than that is of a clock that was set.
const oldest = time.Hour

// take keeps the values of a metric report that came between before and after; history says whether older values in it
// count at the first look. Foreign bytes that are no report are none.
func (p *push) take(body []byte, before, after clock.Stamp, history bool) {
	var r report
	if unmarshal(body, &r) != nil || len(r.MetricValues) == 0 {
		return
	}
	at, within := sampler.Stamp(before, after)
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.sorted(r.MetricValues)
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].meter == list[0].meter {
			n++
		}
		p.keep(list[:n], at, within, history)
		list = list[n:]
	}
}

// keep keeps the values of one meter that were not seen before. The newest one gets the time of its arrival, like one that
// was polled; an older one is put before it by the difference of the device's own times, which is known to their resolution.
func (p *push) keep(list []arrived, at clock.Stamp, within time.Duration, history bool) {
	last := list[len(list)-1]
	seen, ok := p.newest[last.meter]
	if last.device != 0 && last.device < seen.Add(-oldest) {
		seen, ok = 0, false // the device's clock was set back
	}
	if last.device != 0 && last.device <= seen {
		return
	}
	p.newest[last.meter] = last.device
	step := resolution(list)
	for _, v := range list {
		x := power.Sample{Meter: v.meter, Time: at, Within: within, Device: v.device, Raw: v.raw}
		if v != last {
			age := last.device.Sub(v.device)
			if v.device <= seen || v.device == 0 || age > oldest || !ok && !history {
				continue
			}
			x.Time, x.Within = at.Add(-age), within+step
		}
		if len(p.waiting) >= mostWaiting {
			p.dropped++
			continue
		}
		p.waiting = append(p.waiting, x)
	}
}

// sorted picks out what belongs to a meter, by meter and time. Of values of one meter with one time the last counts.
func (p *push) sorted(values []metricValue) (list []arrived) {
	for _, v := range values {
		t, ok := p.names[string(v.MetricProperty)]
		if !ok {
			continue
		}
		raw, _, err := count(v.MetricValue.text, kinds[t.kind].decimals)
		if err != nil {
			continue
		}
		device, _ := parseTime(string(v.Timestamp))
		list = append(list, arrived{t.meter, raw, device})
	}
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b arrived) int {
		return cmp.Or(cmp.Compare(a.meter, b.meter), cmp.Compare(a.device, b.device))
	})
	return slices.CompactFunc(list, func(a, b arrived) bool { return a.meter == b.meter && a.device == b.device })
}

// resolution is how well the difference of two of the device's times is known: to a second if they are whole seconds, else
// to a millisecond.
func resolution(list []arrived) time.Duration {
	for _, v := range list {
		if v.device%clock.Stamp(time.Second) != 0 {
			return time.Millisecond
		}
	}
	return time.Second
}

// pushed appends what the service sent since the last call. A value that arrived before the last poll of its meter is
// left out: that poll is newer.
func (s *Source) pushed(dst []power.Sample) []power.Sample {
	if s.push == nil {
		return dst
	}
	p := s.push
	p.mu.Lock()
	defer p.mu.Unlock()
	slices.SortStableFunc(p.waiting, func(a, b power.Sample) int { return cmp.Compare(a.Time, b.Time) })
	for _, x := range p.waiting {
		if x.Time > s.latest[x.Meter] {
			s.latest[x.Meter] = x.Time
			dst = append(dst, x)
		}
	}
	p.waiting = p.waiting[:0]
	for _, n := range p.notes {
		s.note("", "event_stream", n)
	}
	p.notes = p.notes[:0]
	if p.dropped > 0 {
		s.note("", "event_stream_lost_values", strconv.Itoa(p.dropped))
		p.dropped = 0
	}
	return dst
}
