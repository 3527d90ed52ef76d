package worker

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/clock"
)

// Crew is the workers of a run, as their coordinator sees them.
type Crew struct {
	Run     string
	Clock   *clock.Clock
	Boot    string      // of the coordinator's host
	Epoch   clock.Stamp // the coordinator's stamp of that boot's monotonic zero
	Members []*Member

	nc     *nats.Conn
	js     jetstream.JetStream
	spawn  float64
	cancel context.CancelFunc
	done   []chan struct{} // of what runs beside
	closed sync.Once
}

// Member is a worker of a crew.
type Member struct {
	bench.Worker
	id    string // of its service
	index int
	track track // its clock
	pulse pulse // its signs of life and records
}

// Gather waits until as many workers have offered themselves as are wanted, and takes them, in the order of their names.
func Gather(ctx context.Context, nc *nats.Conn, want int, clk *clock.Clock, run string) (*Crew, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	k, err := clock.Kernel(clk)
	if err != nil {
		return nil, err
	}
	c := &Crew{Run: run, Clock: clk, Epoch: k.Epoch, nc: nc, js: js}
	c.Boot, _ = clock.BootID("/proc")
	found := map[string]*Member{}
	for len(found) < want {
		if err := c.look(ctx, found); err != nil {
			return nil, fmt.Errorf("find %d workers, %d have offered themselves: %w", want, len(found), err)
		}
	}
	for _, m := range found {
		c.Members = append(c.Members, m)
	}
	slices.SortFunc(c.Members, func(a, b *Member) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.id, b.id)) })
	c.Members = c.Members[:want]
	for i, m := range c.Members {
		m.index = i
		for _, other := range c.Members[:i] {
			if other.Name == m.Name {
				m.Name += "-" + m.id[:min(6, len(m.id))]
			}
		}
	}
	return c, nil
}

// listen is how long answers to one question for workers are waited for.
const listen = 500 * time.Millisecond

// look asks once who is there.
func (c *Crew) look(ctx context.Context, found map[string]*Member) error {
	inbox := c.nc.NewInbox()
	answers, err := c.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer answers.Unsubscribe()
	question, err := micro.ControlSubject(micro.InfoVerb, Service, "")
	if err != nil {
		return err
	}
	if err := c.nc.PublishRequest(question, inbox, nil); err != nil {
		return err
	}
	round, cancel := context.WithTimeout(ctx, listen)
	defer cancel()
	for {
		m, err := answers.NextMsgWithContext(round)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, nats.ErrNoResponders):
			clock.Sleep(round, listen)
			return nil
		case err != nil:
			return nil // nobody more in this round
		}
		var info micro.Info
		if json.Unmarshal(m.Data, &info) != nil || info.ID == "" || found[info.ID] != nil {
			continue
		}
		processors, _ := strconv.Atoi(info.Metadata["processors"])
		found[info.ID] = &Member{id: info.ID, Worker: bench.Worker{
			Name: info.Metadata["name"], Host: info.Metadata["host"], Boot: info.Metadata["boot"],
			Tool: info.Metadata["version"], Binary: info.Metadata["binary"], Processors: processors,
		}}
	}
}

// bucketName and streamName are what a run has in JetStream. Both end by themselves some time after the run.
func bucketName(run string) string { return "agentwatt-" + run }
func streamName(run string) string { return "AGENTWATT_" + run }

const (
	keepFor    = 24 * time.Hour
	keepBytes  = 1 << 30
	prepareFor = 3 * time.Minute // calibration and reading the trajectories
)

// Prepare gives every worker its share of a job. The trajectories are sent to them; order says the rest.
func (c *Crew) Prepare(ctx context.Context, set *trajectory.Dataset, order Job) error {
	var file bytes.Buffer
	if err := trajectory.Write(&file, set); err != nil {
		return err
	}
	if _, err := c.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: streamName(c.Run), Description: "records of load", Subjects: []string{subject(c.Run, "records.>")},
		MaxAge: keepFor, MaxBytes: keepBytes, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
	}); err != nil {
		return fmt.Errorf("make a stream for records: %w", err)
	}
	bucket, err := c.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: bucketName(c.Run), TTL: keepFor})
	if err != nil {
		return fmt.Errorf("make room for trajectories: %w", err)
	}
	order.Dataset = fmt.Sprintf("%x", sha256.Sum256(file.Bytes())) // as a data set's digest is defined
	if _, err := bucket.Put(ctx, jetstream.ObjectMeta{Name: order.Dataset}, &file); err != nil {
		return fmt.Errorf("send the trajectories: %w", err)
	}
	order.Run, order.Workers, order.Lease, order.Beat, order.Flush = c.Run, len(c.Members), lease, beatEvery, flushEvery
	order.Plan.Trajectories = nil
	c.spawn = order.Spawn
	for _, m := range c.Members { // one after the other: those of one host would disturb each other's calibration
		order.Index = m.index
		var ready Ready
		if err := c.ask(ctx, m, verbPrepare, prepareFor, order, &ready); err != nil {
			return err
		}
		m.Calibration = ready.Calibration
	}
	return nil
}

// ask asks a worker and reads its answer.
func (c *Crew) ask(ctx context.Context, m *Member, verb string, within time.Duration, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	data, err := pack(question)
	if err != nil {
		return err
	}
	reply, err := c.nc.RequestWithContext(ctx, workerRoot+m.id+"."+verb, data)
	if err == nil && reply.Header.Get(micro.ErrorHeader) != "" {
		err = errors.New(reply.Header.Get(micro.ErrorHeader))
	}
	if err == nil {
		err = unpack(reply.Data, answer)
	}
	if err != nil {
		return fmt.Errorf("ask worker %s on %s to %s: %w", m.Name, m.Host, verb, err)
	}
	return nil
}

// Close ends the job of every worker and removes what the run has in JetStream.
func (c *Crew) Close() { c.closed.Do(c.close) }

func (c *Crew) close() {
	if c.cancel != nil {
		c.cancel()
	}
	for _, done := range c.done {
		<-done
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseFor)
	defer cancel()
	_ = c.each(func(m *Member) error {
		if m.pulse.gone() {
			return c.nc.Publish(workerRoot+m.id+"."+verbRelease, nil) // it may hear it some time; the lease ends it anyway
		}
		return c.ask(ctx, m, verbRelease, releaseFor, struct{}{}, &struct{}{})
	})
	_ = c.js.DeleteStream(ctx, streamName(c.Run))
	_ = c.js.DeleteObjectStore(ctx, bucketName(c.Run))
}

// releaseFor is how long workers are waited for at the end. One that is not heard ends by itself when the lease does.
const releaseFor = 5 * time.Second

// each does something with all workers at once and returns the errors.
func (c *Crew) each(do func(m *Member) error) error {
	errs := make([]error, len(c.Members))
	done := make(chan struct{})
	for i, m := range c.Members {
		go func() {
			errs[i] = do(m)
			done <- struct{}{}
		}()
	}
	for range c.Members {
		<-done
	}
	return errors.Join(errs...)
}

func number(i int) string { return strconv.Itoa(i) }
