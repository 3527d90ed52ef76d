package search

import (
	"context"
	"strings"

	"agentwatt/runner/internal/bench"
)

// Crew is the workers of a fleet that is on other hosts.
type Crew interface {
	Lost() error                                   // names the workers that are lost; nil: none is
	Costs(ctx context.Context) []bench.WorkerFacts // what they cost and sent since the last call
}

// lost reports whether a part of the load is lost, and notes which.
func (p *phase) lost() bool {
	if p.crew == nil || p.facts.Lost != "" {
		return p.facts.Lost != ""
	}
	if err := p.crew.Lost(); err != nil {
		p.facts.Lost = strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return p.facts.Lost != ""
}

// costs notes what the phase cost the load generator, wherever it is.
func (p *phase) costs(ctx context.Context) {
	own := p.cost.since()
	if p.crew == nil {
		p.facts.Client = own
		return
	}
	p.facts.Workers = p.crew.Costs(ctx)
	all := []bench.ClientCost{own}
	for _, w := range p.facts.Workers {
		all = append(all, w.Client)
	}
	p.facts.Client = bench.Together(all...)
}

// without leaves out the requests in flight that have ended since they were listed.
func without(open, ended []bench.Record) []bench.Record {
	over := map[bench.Request]bool{}
	for _, r := range ended {
		over[r.Request()] = true
	}
	return bench.Without(open, over)
}
