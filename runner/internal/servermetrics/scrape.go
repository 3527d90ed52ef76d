package servermetrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"agentwatt/shared/clock"
)

const (
	interval = time.Second
	timeout  = 5 * time.Second // a busy server answers late; reads that are due meanwhile are left out
	maxBody  = 16 << 20        // bytes of one page: several hundred engines
)

// Scraper reads one server's metrics, over a connection that is not the load's.
type Scraper struct {
	url    string
	key    string
	client *http.Client
}

// Record is what one read brought.
type Record struct {
	Time clock.Stamp // middle of the read
	Text []byte      // the lines kept; empty: nothing
	Err  error       // why nothing
}

// Beside returns where an endpoint has its metrics unless told otherwise: /metrics on the same host.
func Beside(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", fmt.Errorf("metrics beside the endpoint: %w", err)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: "/metrics"}).String(), nil
}

// New returns a scraper of a URL. The key goes along only where the metrics have the origin of the endpoint that it is for.
func New(address, endpoint, key string) (*Scraper, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("metrics URL: %w", plain(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("metrics URL: want http://host:port/metrics, without credentials")
	}
	s := &Scraper{url: u.String()}
	if e, err := url.Parse(endpoint); err == nil && e.Scheme == u.Scheme && e.Host == u.Host {
		s.key = strings.TrimSpace(key)
	}
	s.client = &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{Proxy: nil, MaxIdleConns: 1, IdleConnTimeout: 4 * time.Second}, // below uvicorn's 5 s
		// Where a server sends us on to is not where the key may go.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// plain cuts off the URL that errors of net/url and net/http repeat.
func plain(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// URL returns what is read. It holds no credentials.
func (s *Scraper) URL() string { return s.url }

// Read fetches the metrics once and returns the lines whose names are known. The error says why there are none.
func (s *Scraper) Read(ctx context.Context) ([]byte, error) {
	body, err := s.fetch(ctx)
	if err != nil {
		return nil, err
	}
	kept := Keep(body)
	if _, err := Parse(kept); err != nil {
		return nil, err
	}
	return kept, nil
}

func (s *Scraper) fetch(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", plain(err))
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	req.Header.Set("User-Agent", "agentwatt-runner")
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", plain(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics: status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read metrics: %w", plain(err))
	case len(body) > maxBody:
		return nil, fmt.Errorf("read metrics: more than %d MiB", maxBody>>20)
	}
	return body, nil
}

// Run reads once a second until ctx ends and hands every read to keep, whose error ends it. A read that fails is a record
// that says so.
func (s *Scraper) Run(ctx context.Context, now func() clock.Stamp, keep func(Record) error) error {
	defer s.client.CloseIdleConnections()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		asked := now()
		text, err := s.Read(ctx)
		got := now()
		if ctx.Err() != nil {
			return nil
		}
		if err := keep(Record{Time: asked.Add(got.Sub(asked) / 2), Text: text, Err: err}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return nil
}
