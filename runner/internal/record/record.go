// Package record is a proxy between an agent and its model that writes down what they say, so that it can be replayed.
//
//	j, err := record.CreateJournal("session.jsonl.journal", record.JournalOptions{Upstream: upstream})
//	p, err := record.New(record.Options{Upstream: upstream})
//	err = p.Serve(ctx, j, listener) // until ctx ends
//	written, err := j.Close()
//
// Requests are forwarded and answers stream back as they come. Each exchange with a chat completions, messages or responses
// API is appended to the journal, secrets replaced (docs/record.md). Package trajectory imports journals.
package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options say what is forwarded, and how. Upstream must be set.
type Options struct {
	Upstream *url.URL     // base URL of the API, as an agent is given it
	AsSent   bool         // requests are not asked to report usage where the agent did not ask
	Log      *slog.Logger // for what goes wrong; nil: nowhere
}

// Proxy is an HTTP handler that records. Make it with New.
type Proxy struct {
	options Options
	forward *httputil.ReverseProxy
	journal *Journal
	began   time.Time // that all stamps are counted from
	running sync.WaitGroup

	mu     sync.Mutex
	next   int            // number of the next exchange
	passed map[string]int // requests that were forwarded and not recorded, by method and path
}

// New returns a proxy. It connects to nothing yet.
func New(o Options) (*Proxy, error) {
	u := o.Upstream
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("upstream %q: want a URL like https://api.example.com/v1", u.Redacted())
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("upstream %q: want a URL without password, query and fragment", u.Redacted())
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true // what is compressed comes late, and is not to be read
	transport.MaxIdleConnsPerHost = 64  // the default of 2 would connect again for most requests of parallel agents
	p := &Proxy{options: o, began: time.Now(), passed: map[string]int{}}
	p.forward = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: transport, FlushInterval: -1, ModifyResponse: capture, ErrorHandler: p.unreachable,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelWarn),
	}
	return p, nil
}

// patience is how long exchanges under way may take to end once the proxy is to stop.
const patience = 5 * time.Second

// Serve answers requests on ln and records them in j, until ctx ends; it closes ln, not j. Serve once. Exchanges under way have a few seconds to end. It returns nil if
// ctx ended, and only when every exchange is with the journal.
func (p *Proxy) Serve(ctx context.Context, j *Journal, ln net.Listener) error {
	p.journal = j
	server := &http.Server{Handler: p, ReadHeaderTimeout: 30 * time.Second, ErrorLog: p.forward.ErrorLog}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		if server.Shutdown(grace) != nil {
			server.Close()
		}
		cancel()
		err = <-ended
	}
	server.Close()
	p.running.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving on %s: %w", ln.Addr(), err)
}

// Passed returns how many requests were forwarded and not recorded, by method and path.
func (p *Proxy) Passed() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.passed)
}

// mostPassed bounds the paths that are counted apart: a client may ask for any.
const mostPassed = 100

func (p *Proxy) pass(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	what := r.Method + " " + r.URL.Path
	if len(p.passed) >= mostPassed && p.passed[what] == 0 {
		what = "others"
	}
	p.passed[what]++
}

// now is a stamp that never steps: the wall clock when the proxy began, and what has passed since.
func (p *Proxy) now() time.Time { return p.began.Round(0).Add(time.Since(p.began)).UTC() }

// rewrite addresses a request to the upstream. A path that begins with that of the upstream's base URL is kept; any other
// is put behind it.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	base := strings.TrimSuffix(p.options.Upstream.Path, "/")
	in := r.In.URL
	out := r.Out.URL
	out.Scheme, out.Host = p.options.Upstream.Scheme, p.options.Upstream.Host
	out.Path, out.RawPath, out.RawQuery = in.Path, in.RawPath, in.RawQuery
	if in.Path != base && !strings.HasPrefix(in.Path, base+"/") {
		out.Path = base + in.Path
		if in.RawPath != "" {
			out.RawPath = base + in.RawPath
		}
	}
	r.Out.Host = ""
	r.Out.Header.Del("Accept-Encoding")
}

// ServeHTTP forwards a request, and records it if it is one to a model.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.running.Add(1)
	defer p.running.Done()
	api := apiOf(r)
	if api == "" {
		p.pass(r)
		p.forward.ServeHTTP(w, r)
		return
	}
	x := &exchange{proxy: p, api: api, path: r.URL.Path, arrived: p.now(), credentials: credentials(r.Header)}
	if err := x.read(w, r); err != nil {
		p.options.Log.Warn("request not forwarded", "path", r.URL.Path, "err", err)
		writeError(w, err.status, err.Error())
		return
	}
	p.mu.Lock()
	p.next++
	x.number = p.next
	p.mu.Unlock()
	defer x.finish() // also when the agent goes away and the copying panics
	p.forward.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// apiOf tells which API a request is for; empty: none that is recorded.
func apiOf(r *http.Request) string {
	if r.Method != http.MethodPost {
		return ""
	}
	for suffix, api := range map[string]string{"/chat/completions": "chat", "/messages": "messages", "/responses": "responses"} {
		if strings.HasSuffix(r.URL.Path, suffix) {
			return api
		}
	}
	return ""
}

// credentials are the secrets in a request's headers.
func credentials(h http.Header) (all []string) {
	for _, name := range []string{"Authorization", "Proxy-Authorization", "X-Api-Key", "Api-Key", "X-Goog-Api-Key", "Cookie"} {
		for _, value := range h.Values(name) {
			if _, token, ok := strings.Cut(value, " "); ok && strings.HasSuffix(name, "Authorization") {
				value = token
			}
			all = append(all, strings.TrimSpace(value))
		}
	}
	return all
}

// unreachable answers a request that the upstream did not.
func (p *Proxy) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if x, ok := r.Context().Value(exchangeKey{}).(*exchange); ok {
		if r.Context().Err() != nil {
			x.problem = "the agent went away before the answer"
			return
		}
		x.status, x.problem = http.StatusBadGateway, "the upstream did not answer"
	}
	p.options.Log.Warn("upstream did not answer", "path", r.URL.Path, "err", err)
	writeError(w, http.StatusBadGateway, fmt.Sprintf("runner record: the upstream %s did not answer: %v", p.options.Upstream.Host, err))
}
