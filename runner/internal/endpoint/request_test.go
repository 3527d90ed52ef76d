package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

// TestRequestBodies checks the bytes that arrive: valid JSON with the right fields, messages last, and turn k+1's
// messages beginning with turn k's (METHOD 2, prefix stability).
func TestRequestBodies(t *testing.T) {
	clk := clock.New()
	s := Start(t, Script{Answer: always(Stream(1, 1, 0, 0)...), Clock: clk})
	c := newClient(t, s, clk, func(o *Options) {
		o.Output, o.Continuous, o.SessionHeader = Exact, true, "X-Session-ID"
		o.Sampling = json.RawMessage(` { "temperature": 0.5, "stop": ["a b"] } `)
		o.Headers = map[string]string{"X-Team": "blue"}
	})
	play := talk(4, 300)
	play.Turns[1].Tools = json.RawMessage(`[{"type":"function","function":{"name":"ls"}}]`)
	play.Turns[2].Output = 0 // not recorded: cannot be exact
	l := c.Lane()
	defer l.Close()
	for turn := range play.Turns {
		if r := l.Send(t.Context(), play, turn); r.Failure != "" {
			t.Fatal(r.Failure, r.Detail)
		}
	}
	s.Close()

	var before []byte
	for turn, req := range s.Requests() {
		want := map[string]any{
			"model": "scripted-model", "stream": true, "temperature": 0.5, "stop": []any{"a b"}, "max_tokens": 40.0,
			"stream_options": map[string]any{"include_usage": true, "continuous_usage_stats": true},
			"ignore_eos":     true, "min_tokens": 40.0,
		}
		switch turn {
		case 1:
			want["tools"] = []any{map[string]any{"type": "function", "function": map[string]any{"name": "ls"}}}
		case 2:
			delete(want, "ignore_eos")
			delete(want, "min_tokens")
			want["max_tokens"] = float64(DefaultCap)
		}
		var got map[string]any
		if err := json.Unmarshal(req.Body, &got); err != nil {
			t.Fatalf("turn %d: %v\n%s", turn, err, req.Body)
		}
		messages := got["messages"].([]any)
		delete(got, "messages")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("turn %d: (-want +got)\n%s", turn, diff)
		}
		if len(messages) != 2*turn+2 {
			t.Errorf("turn %d: got %d messages, want %d", turn, len(messages), 2*turn+2)
		}
		pieces := play.Pieces(turn)
		bytesOfTurn := bytes.Join(pieces[:], nil)
		if tail := append(append([]byte(`"messages":[`), bytesOfTurn...), "]}"...); !bytes.HasSuffix(req.Body, tail) {
			t.Errorf("turn %d: the body does not end in the salted messages", turn)
		}
		if !bytes.HasPrefix(bytesOfTurn, before) {
			t.Errorf("turn %d: its messages do not begin with the turn's before", turn)
		}
		before = bytesOfTurn
		if req.Path != "/v1/chat/completions" || req.Header.Get("X-Team") != "blue" || req.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("turn %d: path %s, header %v", turn, req.Path, req.Header)
		}
		if got, want := req.Header.Get("X-Session-ID"), session(play); got != want || strings.Contains(got, play.Salt) {
			t.Errorf("turn %d: session %q, want %q", turn, got, want)
		}
	}
}

func TestSessionNamesThePlay(t *testing.T) {
	a, b := talk(1, 10), talk(1, 10)
	b.Salt = "salt-2 "
	if session(a) == session(b) || session(a) != session(talk(1, 10)) {
		t.Errorf("sessions %s and %s: want one per salt", session(a), session(b))
	}
}

func TestCapPerMode(t *testing.T) {
	cases := []struct {
		mode     Mode
		recorded int
		want     int
	}{
		{"", 40, 16384}, {Free, 0, 16384}, {Exact, 40, 40}, {Recorded, 40, 40}, {Recorded, 0, 16384}, {Fixed, 40, 7},
	}
	for _, tc := range cases {
		c, err := New(Options{URL: "http://h/v1", Model: "m", Output: tc.mode, Fixed: 7, Clock: clock.New()})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Cap(trajectory.Turn{Output: tc.recorded, MaxOutput: 3}); got != tc.want {
			t.Errorf("mode %q, %d recorded: got a cap of %d, want %d", tc.mode, tc.recorded, got, tc.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	cases := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"no scheme", func(o *Options) { o.URL = "host:8000/v1" }, "scheme"},
		{"ftp", func(o *Options) { o.URL = "ftp://h/v1" }, "want http or https"},
		{"no host", func(o *Options) { o.URL = "http:///v1" }, "no host"},
		{"credentials", func(o *Options) { o.URL = "http://me:hush@h/v1" }, "credentials"},
		{"credentials in what is no url", func(o *Options) { o.URL = "http://me:hush@h:x/v1" }, "invalid port"},
		{"query", func(o *Options) { o.URL = "http://h/v1?key=hush" }, "query"},
		{"fragment", func(o *Options) { o.URL = "http://h/v1#a" }, "fragment"},
		{"port", func(o *Options) { o.URL = "http://h:70000/v1" }, "port 70000"},
		{"whole path", func(o *Options) { o.URL = "http://h/v1/chat/completions/" }, "want the base URL"},
		{"no model", func(o *Options) { o.Model = "" }, "no model"},
		{"mode", func(o *Options) { o.Output = "loose" }, `"loose"`},
		{"fixed without a length", func(o *Options) { o.Output = Fixed }, "fixed"},
		{"cap field", func(o *Options) { o.CapField = "limit" }, `"limit"`},
		{"negative cap", func(o *Options) { o.Cap = -1 }, "negative"},
		{"sampling is a list", func(o *Options) { o.Sampling = json.RawMessage(`[]`) }, "JSON object"},
		{"sampling sets what is ours", func(o *Options) { o.Sampling = json.RawMessage(`{"stream":false}`) }, `"stream"`},
		{"header injection", func(o *Options) { o.Headers = map[string]string{"X": "a\r\nY: b"} }, "X"},
		{"header of ours", func(o *Options) { o.Headers = map[string]string{"Content-length": "3"} }, "Content-length"},
		{"key with a line end inside", func(o *Options) { o.Key = "a\nb" }, "key"},
		{"session header", func(o *Options) { o.SessionHeader = "host" }, "host"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			o := Options{URL: "http://h/v1", Model: "m", Clock: clock.New()}
			tc.change(&o)
			_, err := New(o)
			if err == nil || !strings.Contains(err.Error(), tc.want) || fault.Code(err) != fault.Usage {
				t.Fatalf("got %v, want the user's mistake about %q", err, tc.want)
			}
			if strings.Contains(strings.ReplaceAll(err.Error(), "?key=hush", ""), "hush") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
	if _, err := New(Options{URL: "http://h", Model: "m"}); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("without a clock: got %v", err)
	}
}

func TestURLs(t *testing.T) {
	for given, want := range map[string][2]string{
		"http://h":                  {"http://h", "h:80"},
		"https://h/v1/":             {"https://h/v1", "h:443"},
		"http://[::1]:8000/a%2Fb//": {"http://[::1]:8000/a%2Fb", "[::1]:8000"},
	} {
		c, err := New(Options{URL: given, Model: "m", Clock: clock.New()})
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got := [2]string{c.URL(), c.addr}; got != want {
			t.Errorf("%s: got %q, want %q", given, got, want)
		}
	}
}
