package endpoint

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

const listing = `{"object":"list","data":[{"id":"other"},{"id":"scripted-model","max_model_len":131072}]}`

func TestProbe(t *testing.T) {
	clk := clock.New()
	s := Start(t, Script{Clock: clk, Models: listing, Answer: func(r *Request) []Step {
		n, why := 3, "stop"
		if bytes.Contains(r.Body, []byte("ignore_eos")) {
			n, why = probeExactCap, "length"
		}
		return []Step{Header(), Role(), Reasoning("hm", 1), Content("ready", n-1), Finish(why), Usage(200, n, 192, 1), Done(), End()}
	}})
	got, err := newClient(t, s, clk, func(o *Options) { o.Output = Exact }).Probe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if !got.Listed || got.Context != 131072 || got.Served != "scripted-model" || !got.Cached || !got.Reasoning || got.IgnoreEOS != Honoured {
		t.Errorf("got %+v", got)
	}
	if err := got.Fits(131072); err != nil {
		t.Error(err)
	}
	if err := got.Fits(131073); !errors.Is(err, ErrContext) {
		t.Errorf("got %v, want %v", err, ErrContext)
	}
}

func TestProbeIgnoreEOS(t *testing.T) {
	answer := func(n int, why string) []Step {
		return []Step{Header(), Content("ready", n), Finish(why), Usage(200, n, -1, -1), Done(), End()}
	}
	cases := []struct {
		name         string
		free, forced []Step
		want         Support
	}{
		{"honoured", answer(3, "stop"), answer(probeExactCap, "length"), Honoured},
		{"ignored", answer(3, "stop"), answer(3, "stop"), Ignored},
		{"refused", answer(3, "stop"), []Step{Plain(400, "text/plain", "unknown field")}, Ignored},
		{"long anyway", answer(probeExactCap, "length"), answer(probeExactCap, "length"), Undetermined},
	}
	for _, tc := range cases {
		clk := clock.New()
		s := Start(t, Script{Clock: clk, Answer: func(r *Request) []Step {
			if bytes.Contains(r.Body, []byte("ignore_eos")) {
				return tc.forced
			}
			return tc.free
		}})
		got, err := newClient(t, s, clk, func(o *Options) { o.Output = Exact }).Probe(t.Context())
		if err != nil || got.IgnoreEOS != tc.want {
			t.Errorf("%s: got %q, %v, want %q", tc.name, got.IgnoreEOS, err, tc.want)
		}
	}
}

// TestProbeErrors: each thing that can be wrong is one error of its own kind, with a hint and without surprises.
func TestProbeErrors(t *testing.T) {
	missing := Plain(404, "application/json", `{"error":{"message":"The model does not exist."}}`)
	cases := []struct {
		name   string
		script Script
		want   error
		hint   string
	}{
		{"401", Script{Answer: always(Plain(401, "application/json", `{"error":{"message":"no key"}}`))}, ErrUnauthorized, "wants a key"},
		{"403", Script{Answer: always(Plain(403, "text/plain", "no"))}, ErrUnauthorized, "wants a key"},
		{"404 with a list", Script{Models: `{"data":[{"id":"a"},{"id":"b"}]}`, Answer: always(missing)}, ErrNotFound, "a, b"},
		{"404 without", Script{Answer: always(missing)}, ErrNotFound, "/v1"},
		{"not streaming", Script{Answer: always(Plain(200, "application/json", `{"choices":[]}`))}, ErrNotStreaming, "proxy"},
		{"no usage", Script{Answer: always(Header(), Content("a", 1), Finish("stop"), Done(), End())}, ErrNoUsage, "stream_options"},
		{"400", Script{Answer: always(Plain(400, "text/plain", "top_k?"))}, ErrRefused, "sampling"},
		{"empty", Script{Answer: always(Header(), Finish("stop"), Usage(1, 0, -1, -1), Done(), End())}, ErrRefused, "curl"},
		{"not HTTP", Script{Early: always(Raw("SSH-2.0\r\n\r\n"))}, ErrRefused, "https"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			clk := clock.New()
			tc.script.Clock = clk
			_, err := newClient(t, Start(t, tc.script), clk, nil).Probe(t.Context())
			checkProbeError(t, err, tc.want, tc.hint)
		})
	}
	c, err := New(Options{URL: "http://127.0.0.1:1/v1", Model: "m", Clock: clock.New()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Probe(t.Context())
	checkProbeError(t, err, ErrUnreachable, "running")
}

func checkProbeError(t *testing.T, err, want error, hint string) {
	t.Helper()
	var out bytes.Buffer
	code := fault.Report(&out, "runner", err)
	if !errors.Is(err, want) || code != fault.Failure || !strings.Contains(out.String(), hint) || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("got %v (exit %d), want %v with a hint about %q:\n%s", err, code, want, hint, &out)
	}
}
