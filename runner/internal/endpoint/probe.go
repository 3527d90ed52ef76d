package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

// What can be wrong with an endpoint before the first measurement. Probe's errors wrap one of them, with a hint.
var (
	ErrUnreachable  = errors.New("endpoint cannot be reached")
	ErrUnauthorized = errors.New("endpoint refuses the key")
	ErrNotFound     = errors.New("endpoint has no such path or model")
	ErrNotStreaming = errors.New("endpoint answers without streaming")
	ErrNoUsage      = errors.New("endpoint reports no token usage")
	ErrContext      = errors.New("the model's context is too small")
	ErrRefused      = errors.New("endpoint does not answer a small request")
)

// Support says whether the endpoint does what a request field asks.
type Support string

// Values of Support.
const (
	Untested     Support = ""             // not asked for
	Honoured     Support = "honoured"     // the answer had the forced length, and a free one was shorter
	Ignored      Support = "ignored"      // the answer was shorter than forced, or the request was refused
	Undetermined Support = "undetermined" // free answers are as long as forced ones
)

// Probe is what the endpoint showed before the first phase.
type Probe struct {
	Models    []string    // ids that it lists; nil: it offers no list
	Listed    bool        // ours is among them
	Context   int         // tokens, prompt and answer, by its own account; 0: not told
	Served    string      // model as it names itself in a stream
	Cached    bool        // it reports cached prompt tokens
	Reasoning bool        // it reports reasoning tokens
	Closes    bool        // it closes a connection after an answer that announced the opposite: the next request would be lost
	IgnoreEOS Support     // in output mode exact only
	Free      bench.Reply // a small request
	Again     bench.Reply // the same again: with ignore_eos in output mode exact
}

const (
	probeCap      = 64  // tokens
	probeExactCap = 512 // tokens; longer than a model reasons about one word
)

// Fits checks that the largest request of a dataset, prompt and answer in tokens, fits the model's context. It accepts
// everything where the endpoint did not tell.
func (p Probe) Fits(tokens int) error {
	if p.Context == 0 || tokens <= p.Context {
		return nil
	}
	return fault.Hint(fmt.Errorf("longest turn of %d tokens, context of %d: %w", tokens, p.Context, ErrContext),
		"serve the model with a longer context (vLLM: --max-model-len), or choose a dataset or an output cap that fits")
}

// Probe asks the endpoint, before the run, whether it can be measured at all: which models it lists, and two small
// streaming requests.
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	var p Probe
	l := c.Lane()
	defer l.Close()
	if err := l.Prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return p, ctx.Err()
		}
		return p, c.probeError(ErrUnreachable, err.Error(), "is the server running, and is the URL right?")
	}
	if err := l.models(ctx, &p); err != nil {
		return p, err
	}
	exact := c.opt.Output == Exact
	limit := probeCap
	if exact {
		limit = probeExactCap
	}
	play := probePlay()
	p.Free = l.send(ctx, play, 0, false, limit)
	if err := c.check(ctx, p); err != nil {
		return p, err
	}
	p.Closes = l.closed(ctx)
	p.Again = l.send(ctx, play, 0, exact, limit)
	if p.Again.Failure == bench.Cancelled {
		return p, ctx.Err()
	}
	if exact {
		p.IgnoreEOS = honoured(p.Free, p.Again, limit)
	}
	p.Served = p.Free.Model
	p.Cached = p.Free.Cached != bench.Unknown || p.Again.Cached != bench.Unknown
	p.Reasoning = p.Free.Reasoning != bench.Unknown
	return p, nil
}

// lingers is how long a server has to close a connection after an answer, if it does.
const lingers = 200 * time.Millisecond

// closed reports whether the server closes the connection of an answer that has just come although it is to be kept.
func (l *Lane) closed(ctx context.Context) bool {
	if l.conn == nil {
		return false // announced
	}
	for until := time.Now().Add(lingers); time.Now().Before(until) && clock.Sleep(ctx, lingers/20); {
		if l.conn.usable(time.Hour) != nil {
			return true
		}
	}
	return false
}

func honoured(free, forced bench.Reply, limit int) Support {
	switch {
	case forced.Failure != "" || forced.Output < limit || forced.Finish != "length":
		return Ignored
	case free.Output >= limit:
		return Undetermined
	}
	return Honoured
}

// check turns the first reply into the error that a user can act on; nil: it can be measured.
func (c *Client) check(ctx context.Context, p Probe) error {
	r := p.Free
	switch {
	case r.Failure == bench.Cancelled:
		return ctx.Err()
	case r.Failure == bench.FailConnect:
		return c.probeError(ErrUnreachable, r.Detail, "is the server running, and is the URL right?")
	case r.Status == 401 || r.Status == 403:
		return c.unauthorized(r.Status, r.Detail)
	case r.Status == 404 && len(p.Models) > 0 && !p.Listed:
		return c.probeError(ErrNotFound, r.Detail, "model %q is not among those it lists: %s", c.opt.Model, brief(strings.Join(p.Models, ", "), maxDetail))
	case r.Status == 404:
		return c.probeError(ErrNotFound, r.Detail, "the base URL usually ends in /v1; check the model name %q too", c.opt.Model)
	case r.Failure == bench.FailProtocol && r.Detail == notStreamed:
		return c.probeError(ErrNotStreaming, r.Detail, "times per token need a stream: look for a proxy or a server option that turns streaming off")
	case r.Failure != "":
		detail := fmt.Sprintf("%s: %s", r.Failure, r.Detail)
		if r.Status != 0 && r.Failure == bench.FailStatus {
			detail = fmt.Sprintf("status %d: %s", r.Status, r.Detail)
		}
		return c.probeError(ErrRefused, detail, "try the same request with curl; sampling fields that the server does not know are a frequent cause")
	case r.Output == bench.Unknown:
		return c.probeError(ErrNoUsage, "no usage in the stream although stream_options.include_usage was set",
			"output speed is computed from the server's own count: update the server, or let the proxy pass stream_options on")
	}
	return nil
}

func (c *Client) unauthorized(status int, detail string) error {
	hint := "the key was sent, but it is not accepted for this model"
	if c.opt.Key == "" {
		hint = "the endpoint wants a key and none was given"
	}
	return c.probeError(ErrUnauthorized, fmt.Sprintf("status %d: %s", status, detail), "%s", hint)
}

func (c *Client) probeError(kind error, detail, hint string, args ...any) error {
	return fault.Hint(fmt.Errorf("probe %s: %w: %s", c.URL(), kind, c.clean(detail)), hint, args...)
}

// models reads the endpoint's list of models, where it offers one.
func (l *Lane) models(ctx context.Context, p *Probe) error {
	got := l.c.capture()
	defer l.c.captures.Put(got)
	x := l.exchange(ctx, l.c.get("/models"), got)
	switch status := got.frame.status; {
	case ctx.Err() != nil:
		return ctx.Err()
	case x.err != nil && errors.Is(x.err, errProtocol):
		return l.c.probeError(ErrRefused, x.err.Error(), "is it an HTTP server, and http against https right?")
	case status == 401 || status == 403:
		return l.c.unauthorized(status, statusDetail(got))
	case x.err != nil || status != 200:
		return nil // not offered; the request that follows says more
	}
	var list struct {
		Data []struct {
			ID        string `json:"id"`
			MaxModel  int    `json:"max_model_len"`      // vLLM, SGLang
			Context   int    `json:"context_length"`     // OpenRouter and others
			MaxLength int    `json:"max_context_length"` // LM Studio
		} `json:"data"`
	}
	if json.Unmarshal(got.body(), &list) != nil {
		return nil
	}
	for _, m := range list.Data {
		p.Models = append(p.Models, m.ID)
		if m.ID == l.c.opt.Model {
			p.Context = max(m.MaxModel, m.Context, m.MaxLength)
		}
	}
	p.Listed = slices.Contains(p.Models, l.c.opt.Model)
	return nil
}

// probePlay is a request long enough to fill cache blocks and easy enough for a one-word answer.
func probePlay() trajectory.Play {
	text := strings.Repeat("This sentence is here so that the prompt fills a few blocks of a prefix cache. ", 12) +
		"Reply with the single word ready and nothing else."
	messages := []byte(`{"role":"user","content":"` + text + `"}`)
	return trajectory.Play{Trajectory: &trajectory.Trajectory{
		ID: "probe", Messages: messages, Turns: []trajectory.Turn{{End: len(messages)}},
	}}
}
