package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"agentwatt/meterd/internal/status"
	"agentwatt/shared/power"
)

// gauges stands between the samplers and the store, and keeps what /metrics shows: so a scrape never touches a sensor.
type gauges struct {
	next   publisher
	meters status.Meters

	mu     sync.Mutex
	asked  int       // batches that the store has not answered
	answer time.Time // when it last did, or was last asked while it owed nothing
}

func (g *gauges) Publish(ctx context.Context, b *power.Batch) error {
	return g.pass(b, func() error { return g.next.Publish(ctx, b) })
}

func (g *gauges) PublishSigned(ctx context.Context, b *power.Batch) error {
	return g.pass(b, func() error { return g.next.PublishSigned(ctx, b) })
}

func (g *gauges) pass(b *power.Batch, publish func() error) error {
	g.count(+1)
	defer g.count(-1)
	g.meters.See(b)
	return publish()
}

func (g *gauges) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if n < 0 || g.asked == 0 {
		g.answer = time.Now()
	}
	g.asked += n
}

// stuck reports that the store owes answers and gives none.
func (g *gauges) stuck(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if silent := now.Sub(g.answer); g.asked > 0 && silent > busLimit {
		return fmt.Errorf("the store has not answered for %v", silent.Round(time.Second))
	}
	return nil
}
