// Package endpoint sends one streaming chat-completions request at a time and says exactly when what happened (METHOD 3).
//
// It owns its HTTP/1.1 connections: net/http retries a request silently, hides when it was written, and wakes three
// goroutines per stream. Here one goroutine reads into a slab and notes the kernel's receive stamp of every read;
// while the stream is open nothing is parsed but the framing that tells where it ends. Events, JSON and token counts
// come afterwards, so that the client's own work is no part of what it measures.
//
//	New(Options) → Client ── Lane() → Lane.Prepare, Lane.Send → bench.Reply
package endpoint

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

// Mode says how long answers may be (METHOD 2, output length).
type Mode string

// The output modes of METHOD 2.
const (
	Free     Mode = "free"     // up to Options.Cap tokens
	Exact    Mode = "exact"    // the recorded length, enforced with ignore_eos and min_tokens
	Recorded Mode = "recorded" // up to the recorded length
	Fixed    Mode = "fixed"    // up to Options.Fixed tokens
)

// Defaults of Options.
const (
	DefaultCap       = 16384           // tokens; the public method's
	DefaultIdleReuse = 4 * time.Second // below the shortest keep-alive in use (uvicorn: 5 s)
)

// Timeouts are the deadlines of the stages of one request. Zero means the default in brackets.
type Timeouts struct {
	Connect   time.Duration // name look-up, TCP and TLS [10 s]
	FirstByte time.Duration // from the start of the request to the first body byte of the answer [10 min]
	Idle      time.Duration // between two reads after that [2 min]
	Total     time.Duration // of the request [1 h]
}

// Options describe the endpoint and the load's fixed part.
type Options struct {
	URL           string            // base, such as http://host:8000/v1
	Key           string            // bearer token; empty: none. Never logged, cut out of every error text
	Model         string            // as the server knows it
	Output        Mode              // empty: Free
	Cap           int               // tokens; of Free, and of turns whose recorded length is unknown; 0: DefaultCap
	Fixed         int               // tokens; of Fixed
	CapField      string            // name of the cap in the request; empty: max_tokens, else max_completion_tokens
	Continuous    bool              // ask for usage in every chunk (vLLM, SGLang): tokens of the first chunk are then known
	Sampling      json.RawMessage   // object whose fields join the request: temperature, top_p, reasoning_effort, ...
	Headers       map[string]string // sent with every request
	SessionHeader string            // header that names the play, for routers that pin sessions; empty: none
	TLS           *tls.Config       // for https; nil: the system's roots
	Timeouts      Timeouts          //
	Fresh         bool              // a new connection for every request, made before it is due: for a server that does not keep them (Probe.Closes)
	IdleReuse     time.Duration     // a connection idle for longer is replaced before the next request; 0: DefaultIdleReuse

	// Dial replaces the dialler, for tests; nil: TCP. Connections that are no *net.TCPConn get user stamps.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Seen is told of the text of nearly every output event and its stamp while a stream is open: of those that differ from one
	// before in their text only. It is for measuring the client itself, and is called from its loops. nil: nobody.
	Seen func(at clock.Stamp, text []byte)
	// Clock is the process's; it moves the kernel's stamps onto itself.
	Clock *clock.Clock
}

// Client is one endpoint under test. It is safe for concurrent use; its lanes are not.
type Client struct {
	opt    Options
	url    *url.URL // base, without trailing slash
	addr   string   // host:port to dial
	common string   // header lines of every request, authorization included
	head   []byte   // body fields of every request: `"model":...,"stream":true,...`

	captures sync.Pool // of *capture
	buffers  sync.Pool // of *[readSize]byte
}

// New checks the options and returns a client; it does not connect. Its errors are the user's mistakes.
func New(o Options) (*Client, error) {
	o = o.withDefaults()
	if o.Clock == nil {
		return nil, errors.New("new endpoint client: no clock")
	}
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, fault.Misuse(fmt.Errorf("endpoint url %q: %w", redactURL(o.URL), err))
	}
	if err := o.validate(); err != nil {
		return nil, fault.Misuse(fmt.Errorf("endpoint options: %w", err))
	}
	head, err := bodyHead(o)
	if err != nil {
		return nil, fault.Misuse(fmt.Errorf("endpoint options: %w", err))
	}
	common, err := headerLines(o, u)
	if err != nil {
		return nil, fault.Misuse(fmt.Errorf("endpoint options: %w", err))
	}
	c := &Client{opt: o, url: u, addr: dialAddress(u), common: common, head: head}
	c.captures.New = func() any { return new(capture) }
	c.buffers.New = func() any { return new([readSize]byte) }
	return c, nil
}

// capture returns an empty capture, to be given back.
func (c *Client) capture() *capture {
	got := c.captures.Get().(*capture)
	got.reset()
	got.seen = c.opt.Seen
	return got
}

// URL returns the base URL. It holds no credentials.
func (c *Client) URL() string { return c.url.String() }

// Mode returns the output mode in force.
func (c *Client) Mode() Mode { return c.opt.Output }

// Cap returns the cap on output tokens that is sent with the turn: bench.Record.Requested.
func (c *Client) Cap(t trajectory.Turn) int {
	switch {
	case c.opt.Output == Fixed:
		return c.opt.Fixed
	case c.opt.Output != Free && t.Output > 0:
		return t.Output
	}
	return c.opt.Cap
}

// Lane returns one agent's way to the endpoint: a connection of its own that persists between requests.
// A lane is not safe for concurrent use.
func (c *Client) Lane() *Lane { return &Lane{c: c} }

func (o Options) withDefaults() Options {
	o.Output = or(o.Output, Free)
	o.Cap = or(o.Cap, DefaultCap)
	o.CapField = or(o.CapField, "max_tokens")
	o.IdleReuse = or(o.IdleReuse, DefaultIdleReuse)
	o.Timeouts.Connect = or(o.Timeouts.Connect, 10*time.Second)
	o.Timeouts.FirstByte = or(o.Timeouts.FirstByte, 10*time.Minute)
	o.Timeouts.Idle = or(o.Timeouts.Idle, 2*time.Minute)
	o.Timeouts.Total = or(o.Timeouts.Total, time.Hour)
	o.Key = strings.TrimSpace(o.Key) // keys come from files with a final newline
	return o
}

// or returns v, or def where v is zero.
func or[T comparable](v, def T) T {
	if v == *new(T) {
		return def
	}
	return v
}

func (o Options) validate() error {
	switch o.Output {
	case Free, Exact, Recorded, Fixed:
	default:
		return fmt.Errorf("unknown output mode %q: want free, exact, recorded or fixed", o.Output)
	}
	switch {
	case o.Model == "":
		return errors.New("no model name")
	case o.Cap < 0:
		return fmt.Errorf("cap of %d output tokens is negative", o.Cap)
	case o.Output == Fixed && o.Fixed <= 0:
		return fmt.Errorf("output mode fixed with %d tokens: want at least 1", o.Fixed)
	case o.CapField != "max_tokens" && o.CapField != "max_completion_tokens":
		return fmt.Errorf("unknown cap field %q: want max_tokens or max_completion_tokens", o.CapField)
	}
	return nil
}

// parseURL accepts a base URL and nothing that would be dropped or sent on silently.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) { // its text repeats the URL, credentials included
			err = ue.Err
		}
		return nil, err
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme is %q: want http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.User != nil:
		return nil, errors.New("has credentials in it: give the key by environment or file")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("has a query: want the base URL only")
	case u.Fragment != "":
		return nil, errors.New("has a fragment: want the base URL only")
	case path.Base(u.Path) == "completions":
		return nil, errors.New("ends in /completions: want the base URL, such as http://host:8000/v1")
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, fmt.Errorf("port %s: want 1 to 65535", p)
		}
	}
	return u, nil
}

// redactURL cuts credentials out of a URL that may not even parse.
func redactURL(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	if i := strings.Index(s, "://"); i >= 0 && i < at {
		return s[:i+3] + "***" + s[at:]
	}
	return "***" + s[at:]
}

func dialAddress(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
