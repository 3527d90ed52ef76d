package endpoint

import (
	"testing"
	"time"

	. "agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/shared/clock"
)

// closing is an answer that announces a connection that is kept, and is followed by its end: llama.cpp's server does that.
func closing() []Step {
	return append(Stream(2, 1, 0, 0), Step{Wait: 2 * time.Millisecond}, Close())
}

func TestProbeSeesConnectionsClosed(t *testing.T) {
	for name, tc := range map[string]struct {
		steps []Step
		want  bool
	}{"kept": {Stream(2, 1, 0, 0), false}, "closed": {closing(), true}} {
		for _, tls := range []bool{false, true} {
			clk := clock.New()
			s := Start(t, Script{TLS: tls, Clock: clk, Answer: always(tc.steps...)})
			p, err := newClient(t, s, clk, nil).Probe(t.Context())
			if err != nil || p.Closes != tc.want {
				t.Errorf("%s, TLS %v: closes %v, %v; want %v", name, tls, p.Closes, err, tc.want)
			}
		}
	}
}

// With a connection of its own no request meets one that is closing, and dialling is no part of its time.
func TestFreshConnections(t *testing.T) {
	for name, way := range ways {
		clk := clock.New()
		way.Answer, way.Clock = always(closing()...), clk
		s := Start(t, way)
		e := engine(t, dialled(t, s, clk, func(o *Options) { o.Fresh = true }))
		n := e.Caller()
		for i := range 20 {
			if due, r := call(n, clk, 0, talk(1, 100), 0); r.Failure != "" || r.Reused || r.WriteBegin < due {
				t.Errorf("%s, request %d: failure %q %s, reused %v, due %v, written %v", name, i, r.Failure, r.Detail, r.Reused, due, r.WriteBegin)
			}
		}
		n.Close()
		if got := s.Conns(); got < 20 {
			t.Errorf("%s: %d connections for 20 requests", name, got)
		}
	}
}
