// Package doctor examines an endpoint before anything is measured: what it is, what it does with the requests that a run will
// send, and what would spoil the numbers. Every finding has a hint that says what to do.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/servermetrics"
	"agentwatt/shared/fault"
)

// Level says how much a finding matters.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // it can be measured, and something is missing or has to be known
	Fail Level = "fail" // it cannot be measured
)

// Finding is the answer to one question.
type Finding struct {
	Check string `json:"check"`
	Level Level  `json:"level"`
	Found string `json:"found"`
	Hint  string `json:"hint,omitempty"`
}

// Report is everything that was found.
type Report struct {
	URL        string    `json:"url"`
	Model      string    `json:"model"`
	Server     string    `json:"server"`     // best guess; empty: none
	Simulated  bool      `json:"simulated"`  // it says so itself
	Measurable bool      `json:"measurable"` // nothing failed
	Findings   []Finding `json:"findings"`
}

// Options say what to examine.
type Options struct {
	Endpoint  endpoint.Options       // as a run would have it; without a model the only one that is listed is taken
	Metrics   *servermetrics.Scraper // nil: not looked for
	KeepAlive time.Duration          // how long a connection is left idle; 0: not
}

// examination is one examination under way.
type examination struct {
	Options
	client *http.Client // for everything that needs no stamps
	report Report
	date   string // Date of the first answer, and when it was asked for and came
	asked  time.Time
	came   time.Time
	header http.Header
	owner  string   // of the model, by the server's list
	models []string // that it lists
}

// Examine asks an endpoint everything. The error is of the caller's options or of ctx; what is wrong with the endpoint is in the
// report.
func Examine(ctx context.Context, o Options) (Report, error) {
	if err := o.valid(); err != nil {
		return Report{}, err
	}
	e := &examination{Options: o, client: plainClient(o.Endpoint)}
	e.Endpoint.Key = strings.TrimSpace(o.Endpoint.Key)
	e.report.URL, e.report.Findings = o.Endpoint.URL, []Finding{}
	reached := e.reach(ctx)
	if e.Endpoint.Model == "" && len(e.models) == 1 {
		e.Endpoint.Model = e.models[0]
	}
	e.report.Model = e.Endpoint.Model
	if reached && e.Endpoint.Model == "" {
		e.add("models", Fail, fmt.Sprintf("no model was named, and it lists %s", list(e.models)), "name one with --model")
		reached = false
	}
	if reached {
		var idle Finding
		var wg sync.WaitGroup
		wg.Go(func() { idle = e.keepAlive(ctx) }) // it waits: the others need not wait for it
		err := e.answers(ctx)
		wg.Wait()
		if err != nil {
			return e.report, err
		}
		if idle.Check != "" {
			e.report.Findings = append(e.report.Findings, idle)
		}
		e.transport(ctx)
	}
	if e.header != nil {
		e.metrics(ctx)
		e.name()
	}
	e.report.Measurable = true
	for i := range e.report.Findings {
		f := &e.report.Findings[i]
		f.Found = e.clean(f.Found)
		e.report.Measurable = e.report.Measurable && f.Level != Fail
	}
	return e.report, ctx.Err()
}

// valid checks the options as a run would, before anything is sent: a URL may hold credentials.
func (o Options) valid() error {
	if o.Endpoint.Model == "" {
		o.Endpoint.Model = "not named"
	}
	_, err := endpoint.New(o.Endpoint)
	return err
}

func (e *examination) add(check string, level Level, found, hint string) {
	if level == OK {
		hint = ""
	}
	e.report.Findings = append(e.report.Findings, Finding{check, level, found, hint})
}

// longest is how much of foreign text a finding repeats.
const longest = 300

// clean takes the key and control characters out of foreign text and shortens it.
func (e *examination) clean(s string) string {
	if e.Endpoint.Key != "" {
		s = strings.ReplaceAll(s, e.Endpoint.Key, "***")
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if runes := []rune(s); len(runes) > longest {
		s = string(runes[:longest]) + "..."
	}
	return s
}

// answers probes the endpoint as a run does, and goes on to finer questions if it can be measured.
func (e *examination) answers(ctx context.Context) error {
	o := e.Endpoint
	o.Output = endpoint.Exact
	client, err := endpoint.New(o)
	if err != nil {
		return err
	}
	p, err := client.Probe(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e.listed(p)
	if err != nil {
		e.refused(err)
		return nil
	}
	e.add("streaming", OK, fmt.Sprintf("answers in a stream; the model names itself %q", p.Served), "")
	e.add("usage", OK, fmt.Sprintf("token usage in the stream: %d prompt, %d output", p.Free.Prompt, p.Free.Output), "")
	if p.Closes {
		e.add("connections", Warn, "closed right after an answer that announces to keep them",
			"runner makes a new one for every request, before it is due; requests of other clients may be lost")
	}
	e.context(p)
	e.ignoreEOS(p)
	if p.IgnoreEOS != endpoint.Ignored {
		e.tools(ctx)
	}
	e.cached(ctx)
	e.capAccepted(ctx)
	e.session(ctx)
	return ctx.Err()
}

// refused turns the probe's error into findings: what comes before it in the order of a request works.
func (e *examination) refused(err error) {
	check := map[error]string{
		endpoint.ErrNotStreaming: "streaming", endpoint.ErrNoUsage: "usage", endpoint.ErrUnauthorized: "key", endpoint.ErrNotFound: "models",
	}
	name := "answers"
	for kind, c := range check {
		if errors.Is(err, kind) {
			name = c
		}
	}
	if name == "usage" {
		e.add("streaming", OK, "answers in a stream", "")
	}
	e.add(name, Fail, err.Error(), fault.Advice(err))
}
