package endpoint

import (
	"context"
	"strings"
	"testing"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint/endpointtest"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// newClient returns a client of s; change, if any, has the last word on its options.
func newClient(t testing.TB, s *endpointtest.Server, clk *clock.Clock, change func(*Options)) *Client {
	t.Helper()
	o := Options{URL: s.URL, Model: "scripted-model", TLS: s.TLS, Dial: s.Dial, Clock: clk}
	if change != nil {
		change(&o)
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// always answers every request with the same steps.
func always(steps ...endpointtest.Step) func(*endpointtest.Request) []endpointtest.Step {
	return func(*endpointtest.Request) []endpointtest.Step { return steps }
}

// talk is a trajectory of n turns. Every turn adds two messages of about size bytes together.
func talk(n, size int) trajectory.Play {
	const first = `{"role":"system","content":"be brief"},`
	var b strings.Builder
	b.WriteString(first)
	t := &trajectory.Trajectory{ID: "talk", SaltBefore: strings.Index(first, "be brief")}
	for range n {
		b.WriteString(`{"role":"user","content":"` + strings.Repeat("x", size/2) + `"}`)
		t.Turns = append(t.Turns, trajectory.Turn{End: b.Len(), Output: 40})
		b.WriteString(`,{"role":"assistant","content":"` + strings.Repeat("y", size/2) + `"},`)
	}
	t.Messages = []byte(b.String()[:t.Turns[n-1].End])
	return trajectory.Play{Trajectory: t, Salt: "salt-1 "}
}

// ask sends one small request on a lane of its own.
func ask(t testing.TB, c *Client) bench.Reply {
	t.Helper()
	l := c.Lane()
	defer l.Close()
	return l.Send(context.Background(), talk(1, 20), 0)
}
