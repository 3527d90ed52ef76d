package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"agentwatt/runner/internal/endpoint"
)

const (
	askTimeout = 30 * time.Second
	maxAnswer  = 1 << 20 // bytes of one answer that is looked at
)

// plainClient speaks HTTP/1.1 as the load does, and follows no redirect, as the load does not.
func plainClient(o endpoint.Options) *http.Client {
	return &http.Client{
		Timeout:       askTimeout,
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true, TLSClientConfig: o.TLS.Clone(), ForceAttemptHTTP2: false},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// answer is what came of one question.
type answer struct {
	status int
	header http.Header
	body   []byte
	err    error
}

// said describes an answer that is no 200.
func (a answer) said() string {
	if a.err != nil {
		var ue *url.Error
		if errors.As(a.err, &ue) {
			return ue.Err.Error()
		}
		return a.err.Error()
	}
	return strings.TrimSpace(fmt.Sprintf("status %d: %s", a.status, bytes.TrimSpace(a.body)))
}

// ask sends one request below the base URL. most is how much of the body is read; a server that streams is then left.
func (e *examination) ask(ctx context.Context, method, below string, body any, header map[string]string, most int64) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var in io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return answer{err: err}
		}
		in = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(e.Endpoint.URL, "/")+below, in)
	if err != nil {
		return answer{err: err}
	}
	e.sign(req, header)
	resp, err := e.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	// A body that breaks off has still shown what it began with.
	a.body, _ = io.ReadAll(io.LimitReader(resp.Body, most))
	return a
}

// sign adds what every request of the load has.
func (e *examination) sign(req *http.Request, header map[string]string) {
	req.Header.Set("User-Agent", "agentwatt-runner")
	req.Header.Set("Content-Type", "application/json")
	if e.Endpoint.Key != "" {
		req.Header.Set("Authorization", "Bearer "+e.Endpoint.Key)
	}
	for _, h := range []map[string]string{e.Endpoint.Headers, header} {
		for name, value := range h {
			req.Header.Set(name, value)
		}
	}
}

// small is a short request.
func (e *examination) small(limit int) map[string]any {
	field := "max_tokens"
	if e.Endpoint.CapField != "" {
		field = e.Endpoint.CapField
	}
	return map[string]any{
		"model": e.Endpoint.Model, "stream": true, field: limit,
		"messages": []map[string]string{{"role": "user", "content": "Reply with the single word ready and nothing else."}},
	}
}

// reach asks for the list of models: whether there is anybody, and who.
func (e *examination) reach(ctx context.Context) bool {
	e.asked = time.Now()
	a := e.ask(ctx, http.MethodGet, "/models", nil, nil, maxAnswer)
	e.came = time.Now()
	if a.err != nil {
		e.add("reachable", Fail, a.said(), "is the server running, and is the URL right? It usually ends in /v1")
		return false
	}
	e.header, e.date = a.header, a.header.Get("Date")
	e.report.Simulated = a.header.Get("X-AgentWatt-Simulated") != ""
	e.add("reachable", OK, fmt.Sprintf("answers after %s", e.came.Sub(e.asked).Round(100*time.Microsecond)), "")
	e.clock()
	if a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
		hint := "the key was sent and is not accepted"
		if e.Endpoint.Key == "" {
			hint = "the endpoint wants a key: --key-file FILE, or environment AGENTWATT_API_KEY"
		}
		e.add("key", Fail, a.said(), hint)
		return false
	}
	var all struct {
		Data []struct {
			ID    string `json:"id"`
			Owner string `json:"owned_by"`
		} `json:"data"`
	}
	if a.status == http.StatusOK && json.Unmarshal(a.body, &all) == nil {
		for _, m := range all.Data {
			e.models = append(e.models, m.ID)
			if e.owner == "" || m.ID == e.Endpoint.Model {
				e.owner = m.Owner
			}
		}
	}
	return true
}

// clock compares the server's Date with this host's clock. The header has whole seconds.
func (e *examination) clock() {
	at, err := http.ParseTime(e.date)
	if err != nil {
		e.add("clock", Warn, "no Date header", "compare the clocks by hand: meterd's are compared by themselves")
		return
	}
	middle := e.asked.Add(e.came.Sub(e.asked) / 2)
	off := at.Add(500 * time.Millisecond).Sub(middle)
	doubt := 500*time.Millisecond + e.came.Sub(e.asked)/2
	level := OK
	if off > doubt+time.Second || off < -doubt-time.Second {
		level = Warn
	}
	e.add("clock", level, fmt.Sprintf("the server's clock is %+.1f s from this host's, ± %.1f s", off.Seconds(), doubt.Seconds()),
		"no figure rests on it, but the server's logs will not match: synchronise the clocks (chrony)")
}
