package worker

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// job is a worker's part of a run under way.
type job struct {
	host  *Host
	order Job
	load  Load
	fleet *agent.Fleet
	out   *sender

	ctx    context.Context // of the agents
	cancel context.CancelFunc
	over   chan struct{} // closed when run has returned

	mu     sync.Mutex
	ask    int // the last resize that is done
	full   clock.Stamp
	broken string
	stop   context.CancelFunc // ends the resize under way
}

func newJob(h *Host, order Job, load Load) *job {
	j := &job{host: h, order: order, load: load, over: make(chan struct{}), stop: func() {}}
	j.ctx, j.cancel = context.WithCancel(h.ctx)
	j.out = &sender{js: h.js, subject: subject(order.Run, "records."+number(order.Index))}
	j.fleet = &agent.Fleet{
		Plan: order.Plan, Open: load.Open, Limit: load.Limit, Now: h.Clock.Now, Spawn: order.Spawn / float64(order.Workers), Emit: j.out.add,
		First: order.Index, Step: order.Workers,
	}
	return j
}

// run sends records and signs of life until the job ends, by release or because the coordinator has fallen silent.
func (j *job) run() {
	defer close(j.over)
	heard := make(chan struct{}, 1)
	leases, err := j.host.conn.Subscribe(subject(j.order.Run, "lease"), func(*nats.Msg) {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	if err != nil {
		j.fail(err)
	} else {
		defer leases.Unsubscribe()
	}
	beats, flushes, silent := time.NewTicker(j.order.Beat), time.NewTicker(j.order.Flush), time.NewTimer(j.order.Lease)
	defer beats.Stop()
	defer flushes.Stop()
	for {
		select {
		case <-j.ctx.Done():
			return
		case <-heard:
			silent.Reset(j.order.Lease)
		case <-silent.C:
			go j.host.release("the coordinator has fallen silent")
			return
		case <-beats.C:
			j.beat()
		case <-flushes.C:
			if _, err := j.out.flush(j.ctx); err != nil && j.ctx.Err() == nil {
				j.fail(err)
			}
		}
	}
}

func (j *job) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken == "" {
		j.broken = err.Error()
		j.host.Log.Error("the job is broken", "run", j.order.Run, "error", err)
	}
}

// beat gives a sign of life.
func (j *job) beat() {
	j.mu.Lock()
	b := beat{Ask: j.ask, Full: j.full, Broken: j.broken}
	j.mu.Unlock()
	b.Active, b.Now = j.fleet.Active(), j.host.Clock.Now()
	if data, err := pack(b); err == nil {
		_ = j.host.conn.Publish(subject(j.order.Run, "beat."+number(j.order.Index)), data) // a beat that is lost is followed by others
	}
}

// resize brings the fleet to another size. What an earlier call is still at ends.
func (j *job) resize(r resize) {
	ctx, cancel := context.WithCancel(j.ctx)
	j.mu.Lock()
	j.stop()
	j.stop = cancel
	j.mu.Unlock()
	go func() {
		if !clock.Sleep(ctx, r.Delay) {
			return
		}
		full, err := j.fleet.Resize(ctx, j.ctx, r.Agents)
		if err != nil {
			return // another size was asked for, or the job ends
		}
		j.mu.Lock()
		j.ask, j.full = r.Ask, full
		j.mu.Unlock()
		j.beat()
	}()
}

// state returns the requests in flight, after the records of all that ended before are stored.
func (j *job) state() (state, error) {
	j.out.watch()
	list := j.fleet.InFlight()
	ended := j.out.unwatch()
	s := state{InFlight: bench.Without(list, ended)}
	var err error
	s.Records, err = j.out.flush(j.ctx)
	return s, err
}

// end ends the agents. What they say about it is of no phase and not stored.
func (j *job) end() {
	j.cancel()
	j.fleet.Wait()
	<-j.over
	j.load.Close()
}
