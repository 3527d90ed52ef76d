package worker

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// track is a worker's clock against the coordinator's.
type track struct {
	mu    sync.Mutex
	last  clock.Exchange
	same  bool // one boot, one monotonic clock: nothing has to be measured to compare stamps
	facts bench.WorkerClock
}

const (
	askEvery = 15 * time.Second // between measurements of a worker's clock
	askTries = 8                // questions of one measurement; the one with the shortest way counts
)

// measure measures the clock of a worker.
func (c *Crew) measure(ctx context.Context, m *Member) error {
	x, err := clock.Ask(askTries, c.Clock.Now, c.Epoch, func() ([]byte, error) {
		var answer json.RawMessage
		err := c.ask(ctx, m, verbClock, askFor, struct{}{}, &answer)
		return answer, err
	})
	if err != nil {
		return err
	}
	m.track.take(x, m.Boot == c.Boot && c.Boot != "")
	return nil
}

// take takes a measurement.
func (t *track) take(x clock.Exchange, same bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ahead, within := x.Offset()
	f := &t.facts
	if f.Measurements > 0 {
		before, _ := t.last.Offset()
		f.Drift = max(f.Drift, (ahead - before).Abs())
	}
	f.Measurements++
	f.Ahead, f.Within, f.Way, f.SameBoot = ahead, max(f.Within, within), x.Way(), same
	t.last, t.same = x, same
}

// shift returns what to add to the worker's stamps to have them on the coordinator's clock of this epoch.
func (t *track) shift(epoch clock.Stamp) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	shift := epoch.Sub(t.last.Epoch)
	if !t.same {
		ahead, _ := t.last.Offset()
		shift -= ahead
	}
	return shift
}

// said returns what is known of the clock.
func (t *track) said() bench.WorkerClock {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.facts
}
