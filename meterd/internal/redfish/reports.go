package redfish

import (
	"context"
	"io"
)

// mostReports bounds the metric reports that are polled, one request each.
const mostReports = 4

// telemetry finds the metric reports that have values of our meters: a service without an event stream may still keep a
// finer history than the polls see.
func (w *walk) telemetry(uri string) {
	t, err := w.get(uri)
	if err != nil {
		return
	}
	for _, uri := range w.members(t.MetricReports.String()) {
		body, err := fetchAll(w.ctx, w.client, uri)
		var r report
		if err != nil || unmarshal(body, &r) != nil {
			continue
		}
		for _, v := range r.MetricValues {
			if _, ok := w.pushed[string(v.MetricProperty)]; ok && len(w.reports) < mostReports {
				w.reports = append(w.reports, uri)
				break
			}
		}
	}
}

// collect polls the metric reports. One that fails is left to the next Read: its values are polled one by one too.
func (s *Source) collect(ctx context.Context) {
	if s.down(s.now()) {
		return
	}
	for _, uri := range s.layout.Load().reports {
		before := s.now()
		if body, err := fetchAll(ctx, s.client, uri); err == nil {
			s.push.take(body, before, s.now(), false)
		}
	}
}

// fetchAll gets the body of a document.
func fetchAll(ctx context.Context, c *client, uri string) ([]byte, error) {
	resp, err := c.get(ctx, uri)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}
