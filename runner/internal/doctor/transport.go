package doctor

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/servermetrics"
)

// dial opens a connection that offers the protocols; none is TLS without a choice.
func (e *examination) dial(ctx context.Context, protocols ...string) (net.Conn, string, error) {
	u, err := url.Parse(e.Endpoint.URL)
	if err != nil {
		return nil, "", err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	address := net.JoinHostPort(u.Hostname(), port)
	if u.Scheme != "https" {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		return conn, "", err
	}
	config := e.Endpoint.TLS.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	config.NextProtos = protocols
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, "", err
	}
	return conn, conn.(*tls.Conn).ConnectionState().NegotiatedProtocol, nil
}

// transport says which protocol the load will use.
func (e *examination) transport(ctx context.Context) {
	if !strings.HasPrefix(e.Endpoint.URL, "https:") {
		e.add("protocol", OK, "HTTP/1.1 over plain TCP: stamps of tokens are the kernel's, requests need no goroutine", "")
		return
	}
	conn, chosen, err := e.dial(ctx, "h2", "http/1.1")
	if err != nil {
		return // what was reached before is gone: the other findings say so
	}
	conn.Close()
	offered := "HTTP/2 is not offered"
	if chosen == "h2" {
		offered = "HTTP/2 is offered and not used"
	}
	e.add("protocol", OK, "HTTP/1.1 over TLS, one connection per agent; "+offered, "")
}

// keepAlive leaves a connection idle and sees whether the server closes it.
func (e *examination) keepAlive(ctx context.Context) Finding {
	if e.KeepAlive <= 0 {
		return Finding{}
	}
	const hint = "an agent's request may meet a connection that is closing and fail: raise the server's keep-alive time-out above 5 s (docs/servers.md)"
	conn, _, err := e.dial(ctx, "http/1.1")
	if err != nil {
		return Finding{"keep-alive", Warn, fmt.Sprintf("a second connection: %v", err), "does the server limit connections? Every agent needs one"}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(e.Endpoint.URL, "/")+"/models", nil)
	if err != nil {
		return Finding{"keep-alive", Warn, err.Error(), ""}
	}
	e.sign(req, nil)
	_ = conn.SetDeadline(time.Now().Add(askTimeout)) // a connection without deadlines fails at the read, too
	in := bufio.NewReader(conn)
	err = req.Write(conn)
	var resp *http.Response
	if err == nil {
		resp, err = http.ReadResponse(in, req)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	}
	if err != nil {
		return Finding{"keep-alive", Warn, fmt.Sprintf("a request on a connection of its own: %v", err), hint}
	}
	if resp.Close {
		return Finding{"keep-alive", Warn, "the server closes the connection after every answer", "every request then waits for a new connection, and that is part of its TTFT"}
	}
	began := time.Now()
	_ = conn.SetReadDeadline(began.Add(e.KeepAlive))
	_, err = in.ReadByte()
	idle := time.Since(began)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return Finding{"keep-alive", OK, fmt.Sprintf("open after %s idle; runner replaces connections after %s", e.KeepAlive, endpoint.DefaultIdleReuse), ""}
	case idle > endpoint.DefaultIdleReuse:
		return Finding{"keep-alive", OK, fmt.Sprintf("closed after %.1f s idle; runner replaces connections after %s", idle.Seconds(), endpoint.DefaultIdleReuse), ""}
	}
	return Finding{"keep-alive", Warn, fmt.Sprintf("closed after %.1f s idle; runner keeps connections for %s", idle.Seconds(), endpoint.DefaultIdleReuse), hint}
}

// metrics looks for the server's metrics.
func (e *examination) metrics(ctx context.Context) {
	if e.Metrics == nil {
		return
	}
	text, err := e.Metrics.Read(ctx)
	var s bench.ServerSample
	if err == nil {
		s, err = servermetrics.Parse(text)
	}
	if err != nil {
		e.add("metrics", Warn, fmt.Sprintf("none at %s: %v", e.Metrics.URL(), err), "the run goes on without: docs/servers.md says which option turns them on; --server-metrics names another URL")
		return
	}
	e.report.Server, e.report.Simulated = s.Server, e.report.Simulated || s.Simulated
	var names []string
	for q := range s.Values {
		names = append(names, string(q))
	}
	slices.Sort(names)
	e.add("metrics", OK, fmt.Sprintf("%d of %s: %s", len(names), s.Server, strings.Join(names, ", ")), "")
}

// name guesses what kind of server it is, by what it says of itself.
func (e *examination) name() {
	header := strings.ToLower(e.header.Get("Server"))
	owner := strings.ToLower(e.owner)
	kinds := []struct{ kind, sign string }{
		{"vllm", "vllm"}, {"sglang", "sglang"}, {"llamacpp", "llamacpp"}, {"llamacpp", "llama.cpp"}, {"trtllm", "tensorrt"}, {"trtllm", "trtllm"},
		{"dynamo", "dynamo"}, {"ollama", "library"}, {"ollama", "ollama"}, {"simulate", "agentwatt"},
	}
	why := "its metrics"
	for _, k := range kinds {
		if e.report.Server == "" && (strings.Contains(owner, k.sign) || strings.Contains(header, k.sign)) {
			e.report.Server, why = k.kind, "its list of models or its Server header"
		}
	}
	switch {
	case e.report.Simulated:
		e.report.Server = "simulate"
		e.add("server", Warn, "SIMULATED: runner simulate, or something that says so", "nothing that is measured there is evidence about hardware")
	case e.report.Server == "":
		e.add("server", Warn, fmt.Sprintf("unknown: models owned by %q, Server header %q", e.owner, e.header.Get("Server")), "nothing is wrong with that; disclose what it is under system.disclosure")
	default:
		e.add("server", OK, fmt.Sprintf("%s, by %s", e.report.Server, why), "")
	}
}
