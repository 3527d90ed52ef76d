package search

import (
	"context"
	"slices"
	"time"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
)

const (
	askEvery = 15 * time.Second // between measurements of a host's clock
	askTries = 8                // questions of one measurement; the one with the shortest way counts
)

// askClocks measures the clocks of all hosts but the runner's own, again and again until ctx ends, and keeps what was
// measured in the run directory. A host that does not answer is not compared: the join says so.
func (p *Power) askClocks(ctx context.Context) error {
	if p.Epoch == 0 {
		return nil
	}
	for wait := time.Second; clock.Sleep(ctx, wait); {
		var fresh []clock.Exchange
		for _, host := range p.others() {
			if x, ok := p.askClock(ctx, host); ok {
				fresh = append(fresh, x)
			}
		}
		if len(fresh) == 0 {
			continue // nobody yet, or nobody but this host
		}
		p.mu.Lock()
		p.clocks = append(p.clocks, fresh...)
		all := slices.Clone(p.clocks)
		p.mu.Unlock()
		if err := p.Dir.WriteClocks(all); err != nil {
			return err
		}
		wait = askEvery
	}
	return nil
}

// others lists the hosts of another boot than the runner's.
func (p *Power) others() (hosts []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for host, boot := range p.boots {
		if boot != "" && boot != p.Boot {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

// askClock measures the clock of one host. One that cannot be asked has an older meterd, or publishes elsewhere.
func (p *Power) askClock(ctx context.Context, host string) (best clock.Exchange, ok bool) {
	best, err := clock.Ask(askTries, p.Now, p.Epoch, func() ([]byte, error) { return p.Conn.Ask(ctx, bus.ClockSubject(host), nil) })
	return best, err == nil && ctx.Err() == nil
}

// Exchanges returns what was measured of other hosts' clocks so far.
func (p *Power) Exchanges() []clock.Exchange {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.clocks)
}
