package main

import (
	"context"
	"sync"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/servermetrics"
	"agentwatt/shared/fault"
)

// metricsScraper returns the scraper that a configuration asks for; nil where it asks for none.
func metricsScraper(c config) (*servermetrics.Scraper, error) {
	address := c.ServerMetrics
	switch address {
	case "none":
		return nil, nil
	case "auto":
		var err error
		if address, err = servermetrics.Beside(c.Endpoint); err != nil {
			return nil, fault.Misuse(err)
		}
	}
	key, err := c.key()
	if err != nil {
		return nil, err
	}
	s, err := servermetrics.New(address, c.Endpoint, key)
	return s, fault.Hint(fault.Misuse(err), "server_metrics: a URL, auto or none")
}

// openServerMetrics finds out whether the server tells anything about itself. A server that does not is no error: the run
// goes on, and the plan says why.
func openServerMetrics(ctx context.Context, c config) (*servermetrics.Scraper, bench.ServerPlan, error) {
	s, err := metricsScraper(c)
	if err != nil {
		return nil, bench.ServerPlan{}, err
	}
	if s == nil {
		return nil, bench.ServerPlan{None: "switched off"}, nil
	}
	if _, err := s.Read(ctx); err != nil {
		return nil, bench.ServerPlan{URL: s.URL(), None: err.Error()}, ctx.Err()
	}
	return s, bench.ServerPlan{URL: s.URL()}, nil
}

// watchServer reads the server's metrics into the run directory until the function that it returns is called, which returns
// what failed there.
func (r *session) watchServer(ctx context.Context) (stop func() error) {
	if r.scraper == nil {
		return func() error { return nil }
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = r.scraper.Run(ctx, r.clk.Now, r.dir.AppendServer) })
	return func() error {
		cancel()
		wg.Wait()
		return err
	}
}
