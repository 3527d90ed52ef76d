package redfish

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"agentwatt/shared/clock"
)

// Bounds on what one service may send and keep.
const (
	mostBytes     = 1 << 20          // of one document
	mostRedirects = 3                // within the service, e.g. from /redfish/v1 to /redfish/v1/
	connections   = 3                // polls, a discovery beside them, the event stream
	idleFor       = 90 * time.Second // longer than any poll interval that makes sense
)

// statusError is an answer that is not the document that was asked for.
type statusError struct{ code int }

func (e *statusError) Error() string {
	return fmt.Sprintf("status %d %s", e.code, http.StatusText(e.code))
}

var (
	errForeign = errors.New("the service points to another host, which is refused")
	errPinned  = errors.New("the certificate's fingerprint is not the one that is pinned")
	errAround  = errors.New("the service redirects in circles")
	errLong    = fmt.Errorf("the document has more than %d bytes", mostBytes)
)

// client speaks to one service and to nobody else. It is the only place that holds the password; it adds credentials to
// each request as it leaves, so they cannot follow a link or a redirect elsewhere. It is an http.RoundTripper, so gofish
// goes through it too. It is safe for concurrent use.
type client struct {
	base *url.URL
	wire *http.Transport
	http *http.Client // through this client

	login login
	hold  hold
}

func newClient(o Options, base *url.URL) (*client, error) {
	secure, err := tlsConfig(o)
	if err != nil {
		return nil, err
	}
	c := &client{base: base, login: newLogin(o), hold: hold{now: o.Now}}
	c.wire = &http.Transport{
		// No proxy: credentials of a management network have no business there. No compression: it costs the BMC.
		DialContext:            (&net.Dialer{Timeout: o.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        secure,
		TLSHandshakeTimeout:    o.Timeout,
		ResponseHeaderTimeout:  o.Timeout,
		MaxConnsPerHost:        connections,
		MaxIdleConnsPerHost:    connections,
		IdleConnTimeout:        idleFor,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	c.http = &http.Client{Transport: c, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > mostRedirects {
			return errAround
		}
		return c.own(r.URL)
	}}
	return c, nil
}

// tlsConfig says whose certificate is believed.
func tlsConfig(o Options) (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure, ClientSessionCache: tls.NewLRUClientSessionCache(connections)}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read the authorities: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the authorities: %s holds no certificate in PEM", o.CAFile)
		}
	}
	if o.Fingerprint == "" {
		return conf, nil
	}
	want, err := hex.DecodeString(strings.ReplaceAll(o.Fingerprint, ":", ""))
	if err != nil || len(want) != sha256.Size {
		return nil, errors.New("the fingerprint is not the 64 hex digits of a SHA-256")
	}
	conf.InsecureSkipVerify = true // instead of the signature, the whole certificate is compared
	conf.VerifyConnection = func(s tls.ConnectionState) error {
		got := sha256.Sum256(s.PeerCertificates[0].Raw)
		if subtle.ConstantTimeCompare(got[:], want) != 1 {
			return fmt.Errorf("%w: it is %x", errPinned, got)
		}
		return nil
	}
	return conf, nil
}

// own returns an error if u is not on this service.
func (c *client) own(u *url.URL) error {
	if u.Scheme != c.base.Scheme || u.Host != c.base.Host || u.User != nil {
		return errForeign
	}
	return nil
}

// RoundTrip sends one request with credentials, and once again with new ones if a session has ended. An answer other than a
// success, a redirect or "not modified" is an error. The body is bounded, unless it is an event stream.
func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := c.own(r.URL); err != nil {
		return nil, err
	}
	if err := c.hold.wait(); err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		signed := r.WithContext(r.Context()) // a copy, as a RoundTripper must not change what it is given
		signed.Header = maps.Clone(r.Header)
		used, err := c.login.sign(signed, c)
		if err != nil {
			return nil, err
		}
		resp, err := c.wire.RoundTrip(signed)
		if err != nil {
			return nil, err
		}
		code := resp.StatusCode
		switch {
		case code < 400:
			c.login.accepted(r)
			if r.Header.Get("Accept") != eventStream { // an answer does not decide for itself how long it may be
				resp.Body = &bounded{resp.Body, mostBytes}
			}
			return resp, nil
		case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
			c.hold.until(resp.Header.Get("Retry-After"))
		}
		drop(resp)
		if code == http.StatusUnauthorized && !again && c.login.refused(used) {
			continue
		}
		return nil, &statusError{code}
	}
}

// eventStream is the type of a body without an end.
const eventStream = "text/event-stream"

// request prepares a request for a document, or another type of content, to be sent any number of times.
func (c *client) request(uri, accept string) (*http.Request, error) {
	u, err := c.base.Parse(uri)
	if err != nil {
		return nil, errForeign // not a URI at all
	}
	r := &http.Request{
		Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{"Accept": {accept}},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return r, c.own(u)
}

// get fetches a document.
func (c *client) get(ctx context.Context, uri string) (*http.Response, error) {
	r, err := c.request(uri, "application/json")
	if err != nil {
		return nil, err
	}
	return c.send(ctx, r, "")
}

// send sends a prepared request. With an etag, an answer without a body says that the document is as it was.
func (c *client) send(ctx context.Context, r *http.Request, etag string) (*http.Response, error) {
	r = r.WithContext(ctx)
	if etag != "" {
		r.Header = maps.Clone(r.Header)
		r.Header.Set("If-None-Match", etag)
	}
	resp, err := c.RoundTrip(r) // not through http.Client, which copies much for redirects that hardly ever come
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified {
		drop(resp)
		if resp, err = c.http.Do(r); err != nil {
			return nil, bare(err)
		}
	}
	if resp.StatusCode >= 300 && resp.StatusCode != http.StatusNotModified {
		drop(resp)
		return nil, &statusError{resp.StatusCode}
	}
	return resp, nil
}

// bare takes off what http.Client wraps around an error: the URL is said by who asked.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// drop ends a response whose body nobody wants, keeping the connection if little of it is left.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // what is not read closes the connection, which is fine
	resp.Body.Close()
}

// bounded is a body that fails when it is longer than allowed.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if len(p) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, errLong
	}
	return n, err
}

// skew is how far the service's clock is ahead of ours at now, by the Date of its answer, which counts whole seconds: the
// middle of that second is taken, so the result is good to half a second.
func skew(h http.Header, now clock.Stamp) (time.Duration, bool) {
	text := h.Get("Date")
	if text == "" {
		return 0, false
	}
	date, err := http.ParseTime(text)
	if err != nil {
		return 0, false
	}
	return clock.At(date).Sub(now) + time.Second/2, true
}
