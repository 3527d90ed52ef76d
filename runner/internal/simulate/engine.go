package simulate

import (
	"context"
	"errors"
	"sync"
	"time"

	"agentwatt/shared/power"
)

// errStopped is the answer to requests that the engine will not finish.
var errStopped = errors.New("the engine has stopped")

// engine runs a scheduler in time. One goroutine, run, owns the scheduler; everybody else sends messages and reads copies.
type engine struct {
	p       Params
	inbox   chan message
	stopped chan struct{} // closed when run returns
	history *History      // nil: not kept

	mu     sync.Mutex
	meter  *meter
	totals Totals
	late   time.Duration // most that a step ended behind its schedule
}

// message says that a request arrived or was given up.
type message struct {
	q      *sequence
	at     time.Time
	cancel bool
}

// newEngine starts the energy account now. p must be valid.
func newEngine(p Params, history *History) *engine {
	start := time.Now()
	if history != nil {
		history.open(p, start)
	}
	return &engine{
		p:       p,
		inbox:   make(chan message),
		stopped: make(chan struct{}),
		history: history,
		meter:   newMeter(p, start),
	}
}

// run steps until ctx ends. Steps follow one another on an absolute schedule: each begins when the last was due to end,
// however late the operating system woke us, so the mean pace is exact.
func (e *engine) run(ctx context.Context) {
	defer close(e.stopped)
	s := newScheduler(e.p)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	var due time.Time // when the step in progress ends and the next begins; zero: idle
	schedule := func(t time.Time) {
		if due = t; !t.IsZero() {
			timer.Reset(time.Until(t))
		}
	}
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case m := <-e.inbox:
			if m.cancel {
				m.q.cancelled = m.at
				break
			}
			s.arrive(m.q)
			if due.IsZero() {
				schedule(s.earliest())
			}
		case <-timer.C:
			late := time.Since(due)
			s.complete()
			step, ok := s.begin(due)
			e.publish(step, ok, s.count(), late)
			if ok {
				schedule(due.Add(step.Duration))
			} else {
				schedule(s.earliest())
			}
		}
	}
}

// publish makes the state at a step's begin visible to the outside. ok says that there is a step.
func (e *engine) publish(step Step, ok bool, t Totals, late time.Duration) {
	if ok && e.history != nil {
		e.history.add(step)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if ok {
		e.meter.begin(step)
	}
	e.totals = t
	e.late = max(e.late, late)
}

// submit hands a request to the engine.
func (e *engine) submit(ctx context.Context, q *sequence) error {
	q.arrived = time.Now()
	return e.send(ctx, message{q: q, at: q.arrived})
}

// cancel gives a request up. It frees its place before the first step that begins after now.
func (e *engine) cancel(q *sequence) {
	// Not with the request's context: that is done, which is why we are here.
	_ = e.send(context.Background(), message{q: q, at: time.Now(), cancel: true})
}

func (e *engine) send(ctx context.Context, m message) error {
	select {
	case e.inbox <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stopped:
		return errStopped
	}
}

// device is what one simulated accelerator shows.
type device struct {
	energy  power.Energy
	mean    power.Power // over the period that ended at changed
	changed time.Time
}

// devices returns what the devices show now.
func (e *engine) devices() (now time.Time, shown []device) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now = time.Now()
	m := e.meter
	m.show(now)
	changed := m.multiple(m.index)
	for i := range e.p.Devices {
		d := device{energy: split(m.shown, i, e.p.Devices), changed: changed}
		d.mean = (d.energy - split(m.before, i, e.p.Devices)).Over(e.p.CounterPeriod)
		if m.index == 0 { // no period has ended
			d.mean = e.p.Idle
		}
		shown = append(shown, d)
	}
	return now, shown
}

// Truth is what the engine really did, for tests to compare with what was measured.
type Truth struct {
	Start  time.Time     // of the energy account
	Now    time.Time     // of this reading
	Energy power.Energy  // of all devices together since Start; mid-step it holds part of a step that Totals do not count yet
	Late   time.Duration // most that a step ended behind its schedule: above a few ms the machine, not the model, set the pace
	Totals Totals        // as of the begin of the step in progress
}

// truth returns the account as of now.
func (e *engine) truth() Truth {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	return Truth{Start: e.meter.start, Now: now, Energy: e.meter.energy(now), Late: e.late, Totals: e.totals}
}
