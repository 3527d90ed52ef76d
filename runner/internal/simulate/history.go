package simulate

import (
	"slices"
	"sync"
	"time"

	"agentwatt/shared/power"
)

// History keeps every step of an engine, so that a test can ask for the true energy of a window in the past. It grows by
// about 100 bytes per step. It is safe for concurrent use.
type History struct {
	mu    sync.Mutex
	p     Params
	start time.Time
	steps []Step
}

func (h *History) open(p Params, start time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.p, h.start, h.steps = p, start, nil
}

func (h *History) add(s Step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.steps = append(h.steps, s)
}

// Steps returns a copy of the steps begun so far, in order.
func (h *History) Steps() []Step {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.steps)
}

// Energy returns the energy of all devices together over [begin, end), exactly: the difference of the engine's own E(t)
// at the two times. Neither may be before the engine's start or after now.
func (h *History) Energy(begin, end time.Time) power.Energy {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := idleEnergy(h.p, end.Sub(h.start)) - idleEnergy(h.p, begin.Sub(h.start))
	first, _ := slices.BinarySearchFunc(h.steps, begin, func(s Step, t time.Time) int {
		return s.Begin.Add(s.Duration).Compare(t)
	})
	for _, s := range h.steps[first:] {
		if !s.Begin.Before(end) {
			break
		}
		e += workBy(s, end) - workBy(s, begin)
	}
	return e
}
