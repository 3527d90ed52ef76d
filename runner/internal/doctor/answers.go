package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/trajectory"
)

// list names a few of many.
func list(names []string) string {
	switch {
	case len(names) == 0:
		return "none"
	case len(names) > 8:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:8], ", "), len(names)-8)
	}
	return strings.Join(names, ", ")
}

func (e *examination) listed(p endpoint.Probe) {
	switch {
	case len(p.Models) == 0:
		e.add("models", Warn, "the endpoint offers no list of models", "nothing is wrong with that; check the model's name yourself")
	case !p.Listed:
		e.add("models", Warn, fmt.Sprintf("%q is not among those it lists: %s", e.Endpoint.Model, list(p.Models)), "check the model's name")
	default:
		e.add("models", OK, list(p.Models), "")
	}
}

func (e *examination) context(p endpoint.Probe) {
	if p.Context == 0 {
		e.add("context", Warn, "the context length is not told", "trajectories that do not fit will fail as requests: compare your dataset with the server's setting (docs/servers.md)")
		return
	}
	e.add("context", OK, fmt.Sprintf("%d tokens, prompt and answer", p.Context), "")
}

func (e *examination) ignoreEOS(p endpoint.Probe) {
	const hint = "output mode exact falls back to recorded; METHOD's default, free, needs no ignore_eos"
	switch p.IgnoreEOS {
	case endpoint.Honoured:
		e.add("ignore_eos", OK, fmt.Sprintf("honoured: a forced answer had %d tokens, a free one %d", p.Again.Output, p.Free.Output), "")
	case endpoint.Undetermined:
		e.add("ignore_eos", Warn, fmt.Sprintf("not determined: a free answer is as long as a forced one, %d tokens", p.Again.Output),
			"the model does not stop by itself here; look at finish reasons in the run's records")
	default:
		e.add("ignore_eos", Warn, fmt.Sprintf("ignored: a forced answer ended after %d tokens (%s%s)", max(0, p.Again.Output), p.Again.Finish, p.Again.Detail), hint)
	}
}

// weather is the tool that answers are asked to call.
const weather = `[{"type":"function","function":{"name":"get_weather","description":"Weather of a city","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}}]`

// forced is how many tokens an answer with tools is forced to have.
const forced = 96

// tools asks for forced answers with tools, left to the model and required. Grammars end where their call ends, and gpt-oss's
// format (Harmony) allows nothing behind it: some servers then break off, or refuse.
func (e *examination) tools(ctx context.Context) {
	var broken []string
	for _, choice := range []string{"auto", "required"} {
		r := e.play(ctx, "What is the weather in Paris? Call the tool.", weather, forced, fmt.Sprintf(`{"tool_choice":%q}`, choice))
		switch {
		case ctx.Err() != nil:
			return
		case r.Failure != "":
			broken = append(broken, fmt.Sprintf("tool_choice %s: %s %s", choice, r.Failure, r.Detail))
		case r.Output < forced:
			broken = append(broken, fmt.Sprintf("tool_choice %s: ended after %d of %d tokens (%s)", choice, r.Output, forced, r.Finish))
		}
	}
	if len(broken) > 0 {
		e.add("ignore_eos with tools", Warn, strings.Join(broken, "; "), "use output mode free or recorded with tools: exact would break answers or fail requests")
		return
	}
	e.add("ignore_eos with tools", OK, fmt.Sprintf("honoured with tool_choice auto and required: %d tokens", forced), "")
}

// play sends one request as the load does. An exact length of 0 forces none.
func (e *examination) play(ctx context.Context, text, tools string, exact int, sampling string) bench.Reply {
	o := e.Endpoint
	o.Output, o.Cap = endpoint.Exact, 16
	if sampling != "" {
		o.Sampling = merge(o.Sampling, sampling)
	}
	client, err := endpoint.New(o)
	if err != nil {
		return bench.Reply{Failure: bench.FailProtocol, Detail: err.Error()}
	}
	message, err := json.Marshal(map[string]string{"role": "user", "content": text})
	if err != nil {
		return bench.Reply{Failure: bench.FailProtocol, Detail: err.Error()}
	}
	t := &trajectory.Trajectory{ID: "doctor", Messages: message, Turns: []trajectory.Turn{{End: len(message), Output: exact, Tools: []byte(tools)}}}
	lane := client.Lane()
	defer lane.Close()
	return lane.Send(ctx, trajectory.Play{Trajectory: t}, 0)
}

// merge puts fields over an object of fields.
func merge(base json.RawMessage, over string) json.RawMessage {
	all := map[string]json.RawMessage{}
	for _, data := range [][]byte{base, []byte(over)} {
		if len(data) > 0 && json.Unmarshal(data, &all) != nil {
			return base // which endpoint.New then refuses
		}
	}
	data, err := json.Marshal(all)
	if err != nil {
		return base
	}
	return data
}

// cached sends one long prompt twice. It begins with random text, so that nobody sent it before.
func (e *examination) cached(ctx context.Context) {
	text := rand.Text() + strings.Repeat(" This sentence is here so that the prompt fills many blocks of a prefix cache.", 160) + " Reply with the word ready."
	first := e.play(ctx, text, "", 0, "")
	second := e.play(ctx, text, "", 0, "")
	const off = "turn prefix caching on, or have it reported (docs/servers.md): agents send their whole history again with every turn"
	switch {
	case ctx.Err() != nil:
	case second.Failure != "" || first.Failure != "":
		e.add("prefix cache", Warn, fmt.Sprintf("a prompt of %d bytes failed: %s%s %s%s", len(text), first.Failure, second.Failure, first.Detail, second.Detail),
			"is the context long enough for your trajectories?")
	case second.Cached == bench.Unknown:
		e.add("prefix cache", Warn, "cached tokens are not reported", off)
	case second.Cached == 0:
		e.add("prefix cache", Warn, fmt.Sprintf("a prompt of %d tokens sent twice: none came from the cache", second.Prompt), off)
	default:
		e.add("prefix cache", OK, fmt.Sprintf("a prompt sent twice: %d of %d tokens came from the cache", second.Cached, second.Prompt), "")
	}
}

// capAccepted asks whether a request may allow as many tokens as those of the run will. It does not wait for them.
func (e *examination) capAccepted(ctx context.Context) {
	limit := e.Endpoint.Cap
	if limit == 0 {
		limit = endpoint.DefaultCap
	}
	a := e.ask(ctx, http.MethodPost, "/chat/completions", e.small(limit), nil, 1024)
	if ctx.Err() != nil {
		return
	}
	if a.err != nil || a.status != http.StatusOK {
		e.add("output cap", Fail, fmt.Sprintf("a request that allows %d tokens is refused: %s", limit, a.said()), "lower output.cap (--output-cap), or serve the model with a longer context")
		return
	}
	e.add("output cap", OK, fmt.Sprintf("%d tokens are accepted", limit), "")
}

// session asks what becomes of the header by which routers keep a conversation on one replica.
func (e *examination) session(ctx context.Context) {
	name, sent := e.Endpoint.SessionHeader, "session_header is %s: "
	if name == "" {
		name, sent = "X-Session-ID", "none would be sent (session_header); with %s for a try: "
	}
	value := "doctor-" + rand.Text()
	a := e.ask(ctx, http.MethodPost, "/chat/completions", e.small(16), map[string]string{name: value}, maxAnswer)
	sent = fmt.Sprintf(sent, name)
	switch {
	case ctx.Err() != nil:
	case a.err != nil || a.status != http.StatusOK:
		e.add("session affinity", Warn, sent+a.said(), "the server or a router in front refuses the header: name the one that it knows in session_header")
	case echoed(a.header, value):
		e.add("session affinity", OK, sent+"accepted, and it came back in the answer", "")
	default:
		e.add("session affinity", OK, sent+"accepted, not echoed; one server needs none", "")
	}
}

func echoed(h http.Header, value string) bool {
	for _, values := range h {
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, value) }) {
			return true
		}
	}
	return false
}
