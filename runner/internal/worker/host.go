package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// Load is what a job's agents need of the program.
type Load struct {
	Open  func() agent.Lane         // a new agent's lane to the endpoint
	Limit func(trajectory.Turn) int // output tokens that a turn's request allows
	Ready Ready
	Close func()
}

// Host is a worker: it plays one job after the other.
type Host struct {
	Name, Version, Binary string
	Clock                 *clock.Clock
	Build                 func(ctx context.Context, job Job) (Load, error) // makes what the agents need; calibrates
	Costs                 func() (since func() bench.ClientCost)           // what the process costs from now on
	Log                   *slog.Logger

	hostname, boot string
	conn           *nats.Conn
	js             jetstream.JetStream
	ctx            context.Context

	mu    sync.Mutex
	job   *job // nil: free
	since func() bench.ClientCost
}

// Run offers the worker until ctx ends or, with once, until a job is over.
func (h *Host) Run(ctx context.Context, nc *nats.Conn, hostname string, once bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	h.hostname, h.conn, h.js, h.ctx = hostname, nc, js, ctx
	h.boot, _ = clock.BootID("/proc")
	h.since = h.Costs()
	over := make(chan struct{}, 1)
	svc, err := micro.AddService(nc, micro.Config{
		Name: Service, Version: "1.0.0", Description: "plays agents for a coordinator",
		Metadata: map[string]string{
			"name": h.Name, "host": hostname, "boot": h.boot, "version": h.Version, "binary": h.Binary, "processors": strconv.Itoa(runtime.NumCPU()),
		},
	})
	if err != nil {
		return fmt.Errorf("offer this worker: %w", err)
	}
	defer svc.Stop()
	group := svc.AddGroup(workerRoot + svc.Info().ID)
	for verb, handle := range map[string]func(data []byte) (any, error){
		verbPrepare: h.prepare, verbResize: h.resize, verbState: h.state, verbCost: h.cost, verbClock: h.clock,
		verbRelease: func([]byte) (any, error) {
			h.release("the coordinator is done")
			select {
			case over <- struct{}{}:
			default:
			}
			return struct{}{}, nil
		},
	} {
		if err := group.AddEndpoint(verb, answer(handle)); err != nil {
			return fmt.Errorf("offer this worker: %w", err)
		}
	}
	h.Log.Info("waiting for a coordinator", "name", h.Name, "server", nc.ConnectedUrlRedacted())
	for {
		select {
		case <-ctx.Done():
			h.release("this worker is ending")
			return nil
		case <-over:
			if once {
				nc.Flush() // the answer to the release
				return nil
			}
		}
	}
}

// answer makes a handler of a function.
func answer(fn func(data []byte) (any, error)) micro.HandlerFunc {
	return func(r micro.Request) {
		v, err := fn(r.Data())
		var data []byte
		if err == nil {
			data, err = pack(v)
		}
		if err != nil {
			_ = r.Error("400", err.Error(), nil)
			return
		}
		_ = r.Respond(data) // a coordinator that does not hear it asks again, or takes this worker for lost
	}
}

// errFree says that there is no job.
var errFree = errors.New("this worker has no job")

// current returns the job.
func (h *Host) current() (*job, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.job == nil {
		return nil, errFree
	}
	return h.job, nil
}

// prepare takes a job.
func (h *Host) prepare(data []byte) (any, error) {
	var order Job
	if err := unpack(data, &order); err != nil {
		return nil, err
	}
	h.mu.Lock()
	busy := h.job
	h.mu.Unlock()
	if busy != nil {
		return nil, fmt.Errorf("busy with run %s", busy.order.Run)
	}
	h.Log.Info("preparing", "run", order.Run, "share", fmt.Sprintf("%d of %d", order.Index+1, order.Workers))
	set, err := h.fetch(order)
	if err != nil {
		return nil, err
	}
	load, err := h.Build(h.ctx, order)
	if err != nil {
		return nil, err
	}
	order.Plan.Trajectories = set.Trajectories
	j := newJob(h, order, load)
	h.mu.Lock()
	h.job = j
	h.mu.Unlock()
	go j.run()
	return load.Ready, nil
}

// fetch reads the trajectories of a run.
func (h *Host) fetch(order Job) (*trajectory.Dataset, error) {
	bucket, err := h.js.ObjectStore(h.ctx, bucketName(order.Run))
	if err != nil {
		return nil, fmt.Errorf("find the trajectories of run %s: %w", order.Run, err)
	}
	object, err := bucket.Get(h.ctx, order.Dataset)
	if err != nil {
		return nil, fmt.Errorf("fetch the trajectories %s: %w", order.Dataset, err)
	}
	defer object.Close()
	set, err := trajectory.Read(object, order.Dataset)
	if err != nil {
		return nil, fmt.Errorf("fetch the trajectories: %w", err)
	}
	if got := fmt.Sprintf("%x", set.Digest); got != order.Dataset {
		return nil, fmt.Errorf("fetch the trajectories %s: what came has the digest %s", order.Dataset, got)
	}
	return set, nil
}

// release ends the job, if there is one, and waits for its agents.
func (h *Host) release(why string) {
	h.mu.Lock()
	j := h.job
	h.mu.Unlock()
	if j == nil {
		return
	}
	j.end()
	h.mu.Lock()
	h.job = nil
	h.mu.Unlock()
	h.Log.Info("released", "run", j.order.Run, "because", why)
}

func (h *Host) resize(data []byte) (any, error) {
	var r resize
	if err := unpack(data, &r); err != nil {
		return nil, err
	}
	j, err := h.current()
	if err != nil {
		return nil, err
	}
	j.resize(r)
	return struct{}{}, nil
}

func (h *Host) state([]byte) (any, error) {
	j, err := h.current()
	if err != nil {
		return nil, err
	}
	return j.state()
}

// cost answers what the process cost since the last question.
func (h *Host) cost([]byte) (any, error) {
	cost := h.since()
	h.since = h.Costs()
	return cost, nil
}

// clock answers what time it is here.
func (h *Host) clock([]byte) (any, error) {
	received := h.Clock.Now()
	k, err := clock.Kernel(h.Clock)
	if err != nil {
		return nil, err
	}
	a := clock.Answer{
		Host: h.hostname, Boot: h.boot, Run: h.Name, Epoch: k.Epoch, Received: received,
		Kernel: clock.Kept{Known: true, Synchronised: k.Synchronised, Offset: k.Offset, EstError: k.EstError, MaxError: k.MaxError},
	}
	a.Sent = h.Clock.Now()
	data, err := json.Marshal(a)
	return json.RawMessage(data), err
}
