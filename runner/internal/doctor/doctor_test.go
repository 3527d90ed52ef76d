package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/servermetrics"
	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/clock"
)

// examine examines a base URL with short waits and returns the levels by check.
func examine(t *testing.T, base string, change func(*Options)) (Report, map[string]Level) {
	t.Helper()
	s, err := servermetrics.New(strings.TrimSuffix(base, "/v1")+"/metrics", base, "")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Endpoint: endpoint.Options{URL: base, Clock: clock.New()}, Metrics: s, KeepAlive: 300 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	r, err := Examine(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	levels := map[string]Level{}
	for _, f := range r.Findings {
		if _, twice := levels[f.Check]; twice {
			t.Errorf("two findings on %s", f.Check)
		}
		if f.Level != OK && f.Hint == "" {
			t.Errorf("%s has no hint: %s", f.Check, f.Found)
		}
		levels[f.Check] = f.Level
	}
	return r, levels
}

// simulated serves the demo's engine.
func simulated(t *testing.T, o simulate.Options) string {
	t.Helper()
	p, err := simulate.Preset("demo")
	if err != nil {
		t.Fatal(err)
	}
	s, err := simulate.New(p, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + ln.Addr().String() + "/v1"
}

func TestSimulatedServer(t *testing.T) {
	r, got := examine(t, simulated(t, simulate.Options{Model: "simulated/demo"}), nil)
	if !r.Measurable || !r.Simulated || r.Server != "simulate" || r.Model != "simulated/demo" {
		t.Errorf("report %+v", r)
	}
	want := map[string]Level{"reachable": OK, "clock": OK, "models": OK, "streaming": OK, "usage": OK, "context": OK, "ignore_eos": OK,
		"ignore_eos with tools": OK, "prefix cache": OK, "output cap": OK, "session affinity": OK, "keep-alive": OK, "protocol": OK,
		"metrics": OK, "server": Warn}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestFaultsOfTheSimulatedServer(t *testing.T) {
	for check, o := range map[string]simulate.Options{
		"key":       {Faults: simulate.Faults{Unauthorized: true}},
		"streaming": {Faults: simulate.Faults{NoStream: true}},
		"usage":     {Faults: simulate.Faults{NoUsage: true}},
	} {
		t.Run(check, func(t *testing.T) {
			r, got := examine(t, simulated(t, o), nil)
			if r.Measurable || got[check] != Fail {
				t.Errorf("measurable %v, %s %s, want a fail", r.Measurable, check, got[check])
			}
		})
	}
}

// fake is a small server whose habits can be chosen. It answers as vLLM does where they are zero.
type fake struct {
	free       int    // tokens of an answer that is not forced; 0: 3
	ignoresEOS bool   // stops where it wants
	refuses    string // a request with this in its body is a 400
	uncached   bool   // reports no cached tokens
	cold       bool   // caches nothing
	owner      string // of its model
	models     []string
	close      bool // closes after every answer
	skew       time.Duration
	echo       bool
}

func (f fake) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		f.head(w)
		var data []map[string]any
		for _, m := range append([]string{"m"}, f.models...) {
			data = append(data, map[string]any{"id": m, "owned_by": f.owner})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"data": data}) // the test's client reads it
	})
	seen := map[string]bool{}
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		f.head(w)
		if f.echo {
			w.Header().Set("X-Routed", r.Header.Get("X-Session-ID"))
		}
		var q map[string]json.RawMessage
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		body, _ := json.Marshal(q) // what was decoded can be encoded
		if f.refuses != "" && strings.Contains(string(body), f.refuses) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"message":"refused with sk-secret"}}`)
			return
		}
		messages := string(q["messages"])
		f.stream(w, q, len(messages)/4, seen[messages])
		seen[messages] = true
	})
	return mux
}

func (f fake) head(w http.ResponseWriter) {
	if f.skew != 0 {
		w.Header().Set("Date", time.Now().Add(f.skew).UTC().Format(http.TimeFormat))
	}
	if f.close {
		w.Header().Set("Connection", "close")
	}
}

func (f fake) stream(w http.ResponseWriter, q map[string]json.RawMessage, prompt int, again bool) {
	var limit int
	if err := json.Unmarshal(q["max_tokens"], &limit); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n, finish := min(max(f.free, 3), limit), "stop"
	if string(q["ignore_eos"]) == "true" && !f.ignoresEOS {
		n = limit
	}
	if n == limit {
		finish = "length"
	}
	w.Header().Set("Content-Type", "text/event-stream")
	for range n {
		fmt.Fprint(w, `data: {"model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}`+"\n\n")
	}
	details := ""
	if !f.uncached {
		cached := 0
		if again && !f.cold {
			cached = prompt - 5
		}
		details = fmt.Sprintf(`,"prompt_tokens_details":{"cached_tokens":%d}`, cached)
	}
	fmt.Fprintf(w, `data: {"model":"m","choices":[{"index":0,"delta":{},"finish_reason":%q}]}`+"\n\n", finish)
	fmt.Fprintf(w, `data: {"model":"m","choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d%s}}`+"\n\ndata: [DONE]\n\n", prompt, n, details)
}

// TestHabits: each habit of a server changes the findings that it should, and no other.
func TestHabits(t *testing.T) {
	usual := map[string]Level{"reachable": OK, "clock": OK, "models": OK, "streaming": OK, "usage": OK, "context": Warn, "ignore_eos": OK,
		"ignore_eos with tools": OK, "prefix cache": OK, "output cap": OK, "session affinity": OK, "keep-alive": OK, "protocol": OK,
		"metrics": Warn, "server": OK}
	const gone = Level("")
	for name, c := range map[string]struct {
		habit  fake
		differ map[string]Level
		says   string
	}{
		"as vllm":           {fake{}, nil, "vllm, by its list of models"},
		"ollama":            {fake{owner: "library"}, nil, "ollama, by"},
		"ignores eos":       {fake{ignoresEOS: true}, map[string]Level{"ignore_eos": Warn, "ignore_eos with tools": gone}, "ended after 3 tokens"},
		"never stops":       {fake{free: 1 << 20}, map[string]Level{"ignore_eos": Warn}, "not determined"},
		"no cached tokens":  {fake{uncached: true}, map[string]Level{"prefix cache": Warn}, "not reported"},
		"no prefix cache":   {fake{cold: true}, map[string]Level{"prefix cache": Warn}, "none came from the cache"},
		"cap refused":       {fake{refuses: `"max_tokens":16384`}, map[string]Level{"output cap": Fail}, "is refused"},
		"closes":            {fake{close: true}, map[string]Level{"keep-alive": Warn}, "closes the connection after every answer"},
		"wrong clock":       {fake{skew: -time.Hour}, map[string]Level{"clock": Warn}, "the server's clock is -3"},
		"echoes the header": {fake{echo: true}, nil, "it came back"},
		"tools break":       {fake{refuses: `"tool_choice":"required"`}, map[string]Level{"ignore_eos with tools": Warn}, "tool_choice required: status"},
		"nobody's":          {fake{owner: "acme"}, map[string]Level{"server": Warn}, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.habit.owner == "" {
				c.habit.owner = "vllm"
			}
			server := httptest.NewServer(c.habit.handler())
			defer server.Close()
			r, got := examine(t, server.URL+"/v1", func(o *Options) { o.Endpoint.Key = "sk-secret" })
			want := maps.Clone(usual)
			for check, level := range c.differ {
				if want[check] = level; level == gone {
					delete(want, check)
				}
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			text, err := json.Marshal(r)
			if err != nil || !strings.Contains(string(text), c.says) || strings.Contains(string(text), "sk-secret") {
				t.Errorf("want %q and no key in %s (%v)", c.says, text, err)
			}
			if r.Measurable != (want["output cap"] != Fail) {
				t.Errorf("measurable: %v", r.Measurable)
			}
		})
	}
}

func TestSeveralModelsNeedAName(t *testing.T) {
	server := httptest.NewServer(fake{models: []string{"n"}}.handler())
	defer server.Close()
	r, got := examine(t, server.URL+"/v1", nil)
	if r.Measurable || got["models"] != Fail {
		t.Errorf("got %+v, want a fail that lists the models", r)
	}
	if r, _ := examine(t, server.URL+"/v1", func(o *Options) { o.Endpoint.Model = "m" }); !r.Measurable {
		t.Errorf("with a name: got %+v", r)
	}
}

// TestIdleConnectionClosed: a server that closes while runner would still use the connection.
func TestIdleConnectionClosed(t *testing.T) {
	server := httptest.NewUnstartedServer(fake{}.handler())
	server.Config.IdleTimeout = 50 * time.Millisecond
	server.Start()
	defer server.Close()
	_, got := examine(t, server.URL+"/v1", func(o *Options) { o.KeepAlive = 5 * time.Second })
	if got["keep-alive"] != Warn || got["connections"] != Warn {
		t.Errorf("keep-alive: %q, connections: %q, want warnings", got["keep-alive"], got["connections"])
	}
}

func TestOverTLS(t *testing.T) {
	for _, h2 := range []bool{false, true} {
		server := httptest.NewUnstartedServer(fake{}.handler())
		server.EnableHTTP2 = h2
		server.StartTLS()
		r, got := examine(t, server.URL+"/v1", func(o *Options) { o.Endpoint.TLS = server.Client().Transport.(*http.Transport).TLSClientConfig })
		server.Close()
		if !r.Measurable || got["protocol"] != OK || got["keep-alive"] != OK {
			t.Errorf("HTTP/2 %v: %+v", h2, r)
		}
		for _, f := range r.Findings {
			if f.Check == "protocol" && strings.Contains(f.Found, "offered and not used") != h2 {
				t.Errorf("HTTP/2 %v: %s", h2, f.Found)
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := Examine(t.Context(), Options{Endpoint: endpoint.Options{URL: "http://user:secret@host/v1", Clock: clock.New()}})
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want an error without the secret", err)
	}
	r, got := examine(t, "http://127.0.0.1:1/v1", nil)
	if r.Measurable || got["reachable"] != Fail || len(got) != 1 {
		t.Errorf("nobody there: %+v", r)
	}
}
