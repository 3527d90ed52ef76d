package trajectory

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// importTraceLab reads TraceLab's round_trace.jsonl: one round of a coding agent per row, {provider, session_id, round_index,
// input_tokens_total, prefix_tokens, output_tokens, timing_events, tools}. Rounds have lengths and times, and no text.
//
// Whether a prompt begins with the one before is not recorded; one that is longer is taken to. prefix_tokens is what the
// provider read from its cache, which is less than that. In the first round it is the system prompt that sessions share.
func (l Limits) importTraceLab(in io.Reader, file string) (*Dataset, *Report, error) {
	p := &traceLab{g: l.newGather(in, file, TraceLab), byID: map[string]*labSession{}}
	return p.g.each(p.row, p.finish)
}

func isTraceLab(ms []member) bool {
	return has("session_id", "round_index", "input_tokens_total", "timing_events")(ms)
}

// traceLab is the state of importing one file.
type traceLab struct {
	g        *gather
	sessions []*labSession
	byID     map[string]*labSession
}

type labSession struct {
	id, provider string
	rounds       []labRound
	bad          bool
}

type labRound struct {
	interval
	index, tokens, cached, output int
	tools                         []ran // that ran after it
	extra                         []member
}

// row takes one round.
func (p *traceLab) row(ms []member) error {
	id := named(ms, "session_id")
	if id == "" {
		return errors.New("the row has no session_id")
	}
	s := p.byID[id]
	if s == nil {
		s = &labSession{id: id, provider: named(ms, "provider")}
		p.byID[id] = s
		p.sessions = append(p.sessions, s)
	}
	r, err := parseLabRound(ms)
	if err != nil {
		s.bad = true
		return fmt.Errorf("trajectory %q: %w", id, err)
	}
	s.rounds = append(s.rounds, r)
	return nil
}

func parseLabRound(ms []member) (r labRound, err error) {
	for _, field := range []struct {
		key string
		to  *int
	}{{"round_index", &r.index}, {"input_tokens_total", &r.tokens}, {"prefix_tokens", &r.cached}, {"output_tokens", &r.output}} {
		if value := find(ms, field.key); value != nil {
			if *field.to, err = count(value); err != nil {
				return r, fmt.Errorf("%s %w", field.key, err)
			}
		}
	}
	if r.tokens == 0 {
		return r, errors.New("input_tokens_total is 0 or missing")
	}
	if err := r.times(find(ms, "timing_events")); err != nil {
		return r, fmt.Errorf("timing_events %w", err)
	}
	tools, err := elements(find(ms, "tools"))
	if err != nil && find(ms, "tools") != nil {
		return r, fmt.Errorf("tools %w", err)
	}
	for i, raw := range tools {
		tool, err := members(raw)
		if err != nil {
			return r, fmt.Errorf("tools[%d] %w", i, err)
		}
		took, err := optional(tool, "tool_wall_latency_ms", 1e-3)
		if err != nil {
			return r, fmt.Errorf("tools[%d]: %w", i, err)
		}
		r.tools = append(r.tools, ran{named(tool, "tool_name"), took})
	}
	r.extra = clone(without(ms, "input_tokens_total", "output_tokens", "round_index", "session_id"))
	return r, nil
}

// times reads when the round began and ended: the last of its inputs is when it was sent.
func (r *labRound) times(events []byte) error {
	list, err := elements(events)
	if err != nil {
		return err
	}
	for i, raw := range list {
		ms, err := members(raw)
		if err != nil {
			return fmt.Errorf("entry %d %w", i, err)
		}
		at := clock(find(ms, "timestamp"))
		switch kind := named(ms, "event_type"); {
		case at.IsZero():
		case kind == "user_message" || kind == "tool_result":
			if at.After(r.start) {
				r.start = at
			}
		case at.After(r.end):
			r.end = at
		}
	}
	if r.end.Before(r.start) {
		r.end = r.start
	}
	return nil
}

// finish makes the trajectories.
func (p *traceLab) finish() error {
	f := framing{}
	for _, s := range p.sessions {
		if s.bad {
			continue // each bad row was reported
		}
		t, err := p.g.outlined(p.outline(s), f)
		if err != nil {
			p.g.leave(fmt.Errorf("trajectory %q: %w", s.id, err))
			continue
		}
		p.g.add(t)
	}
	return nil
}

// outline returns a session.
func (p *traceLab) outline(s *labSession) outline {
	slices.SortStableFunc(s.rounds, func(a, b labRound) int { return cmp.Compare(a.index, b.index) })
	o := outline{id: s.id}
	var head fills // what the prompts of a history begin with, before their own text
	own := fillOf("session "+s.id, 0)
	if first := s.rounds[0]; first.cached > 0 && first.cached < first.tokens {
		o.system = first.cached
		head = fills{{fillOf("system of "+s.provider, 0), first.cached}}
		p.g.report.note("what the first round read from the cache is taken for the system prompt, the same in all sessions of the provider")
	}
	for k, r := range s.rounds {
		asked := outlined{output: r.output, extra: object(r.extra)}
		if k > 0 {
			last := s.rounds[k-1]
			asked.before = p.before(last, r)
			switch {
			case r.tokens <= last.tokens:
				p.g.report.note("a prompt is not longer than the one before: what the provider read from its cache is the same")
				head = o.requests[k-1].prompt.upTo(min(r.cached, r.tokens-1))
				own = fillOf("session "+s.id, uint64(k))
			case r.cached < last.tokens:
				p.g.report.note("the provider read less from its cache than the prompt before; all of that is taken to be the same")
			}
		}
		asked.prompt = append(slices.Clone(head), fill{own, r.tokens - head.tokens()})
		o.requests = append(o.requests, asked)
	}
	return o
}

// before returns what took the time between two rounds.
func (p *traceLab) before(last, r labRound) []Call {
	gap, ok := elapsed(last.end, r.start)
	if !ok {
		return p.g.spent(0, last.tools)
	}
	return p.g.spent(gap, last.tools)
}
