package simulate

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// request is what the tests ask for. Its zero fields are left out.
type request struct {
	prompt    string // content of the one message
	tools     string // JSON
	max       int
	free      bool // do not force the length
	whole     bool // no stream
	usageEach bool
	key       string
}

func (r request) body(model string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"model":%q,"messages":[{"role":"user","content":%q}]`, model, r.prompt)
	if r.tools != "" {
		fmt.Fprintf(&b, `,"tools":%s`, r.tools)
	}
	if r.max > 0 {
		fmt.Fprintf(&b, `,"max_tokens":%d`, r.max)
	}
	if !r.free {
		b.WriteString(`,"ignore_eos":true`)
	}
	if !r.whole {
		fmt.Fprintf(&b, `,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":%v}`, r.usageEach)
	}
	b.WriteString("}")
	return b.Bytes()
}

// promptTokens is the length of the request's prompt as docs/simulate.md counts it.
func (r request) promptTokens() int {
	return (len(r.tools) + len(fmt.Sprintf(`{"role":"user","content":%q}`, r.prompt)) + 3) / 4
}

// ofTokens returns a request whose prompt has exactly n tokens and begins with prefix.
func ofTokens(n int, prefix string) request {
	r := request{prompt: prefix}
	r.prompt += strings.Repeat("x", 4*n-len(r.body(""))+len(`{"model":"","messages":[],"ignore_eos":true,"stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":false}}`))
	return r
}

// usage as the server reports it.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	OutputDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// event is a chunk of a stream.
type event struct {
	At      time.Time `json:"-"`
	ID      string
	Model   string
	Print   string `json:"system_fingerprint"`
	Choices []struct {
		Delta struct {
			Role      string
			Content   string
			Reasoning string `json:"reasoning_content"`
			ToolCalls []struct {
				Index    int
				ID       string
				Function struct{ Name, Arguments string }
			} `json:"tool_calls"`
		}
		Finish string `json:"finish_reason"`
	}
	Usage *usage
	Error *struct{ Message string }
}

// text returns all the text of the event's delta.
func (e event) text() string {
	if len(e.Choices) == 0 {
		return ""
	}
	d := e.Choices[0].Delta
	s := d.Reasoning + d.Content
	for _, c := range d.ToolCalls {
		s += c.Function.Arguments
	}
	return s
}

// reply is a response as the tests see it.
type reply struct {
	sent   time.Time
	status int
	header http.Header
	body   []byte  // if it is not a stream
	events []event // else, [DONE] excluded
	done   bool    // [DONE] came
	err    error
}

// outputs returns the events that carry output.
func (r reply) outputs() []event {
	var out []event
	for _, e := range r.events {
		if e.text() != "" {
			out = append(out, e)
		}
	}
	return out
}

func (r reply) usage() usage {
	for _, e := range r.events {
		if e.Usage != nil && len(e.Choices) == 0 {
			return *e.Usage
		}
	}
	return usage{}
}

// server is a Server in memory, and a client of it.
type server struct {
	*Server
	t      testing.TB
	client *http.Client
	stop   context.CancelFunc
	ended  chan error
}

func start(t testing.TB, p Params, o Options) *server {
	t.Helper()
	s, err := New(p, o)
	if err != nil {
		t.Fatal(err)
	}
	ln := Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	transport := &http.Transport{DialContext: ln.DialContext, DisableCompression: true, MaxIdleConnsPerHost: 1000}
	srv := &server{Server: s, t: t, client: &http.Client{Transport: transport}, ended: make(chan error, 1)}
	go func() { srv.ended <- s.Serve(ctx, ln) }()
	srv.stop = func() {
		cancel()
		if err := <-srv.ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		transport.CloseIdleConnections()
	}
	return srv
}

// ask sends one request and reads all of its answer.
func (s *server) ask(ctx context.Context, q request) reply {
	return s.post(ctx, q.body(s.options.Model), q.key)
}

func (s *server) post(ctx context.Context, body []byte, key string) (r reply) {
	req, err := http.NewRequestWithContext(ctx, "POST", "http://simulated/v1/chat/completions", bytes.NewReader(body))
	if err != nil {
		return reply{err: err}
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	r.sent = time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		r.err = err
		return r
	}
	defer resp.Body.Close()
	r.status, r.header = resp.StatusCode, resp.Header
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		r.body, r.err = io.ReadAll(resp.Body)
		return r
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		switch {
		case !ok && lines.Text() != "":
			r.err = fmt.Errorf("not an event: %q", lines.Text())
			return r
		case !ok:
		case data == "[DONE]":
			r.done = true
		default:
			e := event{At: time.Now()}
			if r.err = json.Unmarshal([]byte(data), &e); r.err != nil {
				return r
			}
			r.events = append(r.events, e)
		}
	}
	r.err = lines.Err()
	return r
}

// get fetches a path as JSON into v.
func (s *server) get(path string, v any) {
	s.t.Helper()
	resp, err := s.client.Get("http://simulated" + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Header.Get("X-AgentWatt-Simulated") != "1" {
		s.t.Errorf("GET %s does not say that it is simulated", path)
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		s.t.Fatalf("GET %s: %v", path, err)
	}
}
