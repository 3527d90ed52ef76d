package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
)

// lane answers every turn after some milliseconds.
type lane struct {
	clk    *clock.Clock
	mu     sync.Mutex
	begun  clock.Stamp
	timer  *time.Timer
	closed bool
}

func (l *lane) Send(due clock.Stamp, _ trajectory.Play, _ int, done func(bench.Reply)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	begun := l.clk.Now()
	l.begun = begun
	l.timer = time.AfterFunc(5*time.Millisecond, func() {
		l.mu.Lock()
		r := bench.Reply{WriteBegin: begun, FirstOutput: l.clk.Now(), Done: l.clk.Now(), Output: 3}
		if l.closed {
			r.Failure = bench.Cancelled
		}
		l.mu.Unlock()
		done(r)
	})
}

func (l *lane) Progress() (begun, answering clock.Stamp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.begun, 0
}

func (l *lane) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// hosts starts n workers that connect to url.
func hosts(t *testing.T, url string, as bus.Credentials, n int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	for i := range n {
		nc, err := Dial(ctx, url, as, "worker")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		clk := clock.New()
		h := &Host{
			Name: fmt.Sprint("w", i), Version: "test", Clock: clk, Log: slog.New(slog.DiscardHandler),
			Costs: func() func() bench.ClientCost {
				return func() bench.ClientCost { return bench.ClientCost{CPU: time.Second} }
			},
			Build: func(_ context.Context, job Job) (Load, error) {
				if string(job.Endpoint) == `"no"` {
					return Load{}, errors.New("the endpoint is not there")
				}
				return Load{Open: func() agent.Lane { return &lane{clk: clk} }, Close: func() {}}, nil
			},
		}
		wg.Go(func() {
			if err := h.Run(ctx, nc, "host", false); err != nil {
				t.Error(err)
			}
		})
	}
}

// gathered is a crew of n workers on a server of its own.
func gathered(t *testing.T, n int) *Crew {
	t.Helper()
	c, _ := crewOn(t, ServerOptions{Listen: "127.0.0.1:0"}, bus.Credentials{}, n)
	return c
}

// crewOn also returns the server's URL.
func crewOn(t *testing.T, o ServerOptions, as bus.Credentials, n int) (*Crew, string) {
	t.Helper()
	srv, err := Serve(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	hosts(t, srv.URL(), as, n)
	nc, err := srv.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Gather(ctx, nc, n, clock.New(), "r1")
	if err != nil {
		t.Fatal(err)
	}
	return c, srv.URL()
}

func order() Job {
	return Job{Plan: agent.Plan{Seed: 7, Run: "r1", Tools: agent.ToolTime{Mode: agent.NoTools}}, Endpoint: json.RawMessage(`"x"`), Calibrate: -1}
}

// collector is an emit.
type collector struct {
	mu   sync.Mutex
	list []bench.Record
}

func (c *collector) add(r bench.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, r)
}

func (c *collector) taken() []bench.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// Whatever the fleet does, every turn of every agent arrives once, and what is in flight has not arrived.
func TestRecordsAreWhole(t *testing.T) {
	set := trajectory.Synth(trajectory.SynthOptions{Seed: 1, Trajectories: 5, Profile: trajectory.Demo})
	c := gathered(t, 3)
	if err := c.Prepare(t.Context(), set, order()); err != nil {
		t.Fatal(err)
	}
	var got collector
	f, err := c.Start(t.Context(), got.add)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{2, 7, 4} {
		full, err := f.Resize(t.Context(), t.Context(), n)
		if err != nil || full == 0 || c.Clock.Now().Sub(full) > time.Minute {
			t.Fatalf("resize to %d: %v, %v", n, full, err)
		}
		time.Sleep(300 * time.Millisecond)
		open := f.InFlight()
		if len(open) == 0 || len(open) > n {
			t.Errorf("%d agents have %d requests in flight", n, len(open))
		}
		here := map[bench.Request]bool{}
		for _, r := range got.taken() {
			here[r.Request()] = true
		}
		for _, r := range open {
			if before := (bench.Request{Agent: r.Agent, Play: r.Play, Conversation: r.Conversation, Turn: r.Turn - 1}); here[r.Request()] && r.Turn > 0 && !here[before] {
				t.Errorf("%+v has arrived, and the turn before it has not", r.Request())
			}
		}
	}
	costs := f.Costs(t.Context())
	if len(costs) != 3 || !costs[0].Answered || costs[0].Client.CPU != time.Second || !costs[0].Clock.SameBoot || costs[0].Clock.Measurements < 1 {
		t.Errorf("costs %+v", costs)
	}
	if err := f.Lost(); err != nil {
		t.Error(err)
	}
	f.InFlight() // all that ended has arrived
	checkWhole(t, got.taken(), set, 7)
	f.Wait()
}

// checkWhole checks that the records of each play are the turns of its conversations from the first on, each once.
func checkWhole(t *testing.T, records []bench.Record, set *trajectory.Dataset, agents int) {
	t.Helper()
	plan := agent.Plan{Trajectories: set.Trajectories, Seed: 7}
	type talk struct{ agent, play, conversation int }
	turns := map[talk][]int{}
	seen := map[int]bool{}
	for _, r := range records {
		turns[talk{r.Agent, r.Play, r.Conversation}] = append(turns[talk{r.Agent, r.Play, r.Conversation}], r.Turn)
		seen[r.Agent] = true
		if want := set.Trajectories[plan.Assigned(r.Agent, r.Play)].ID; r.Trajectory != want {
			t.Errorf("agent %d plays %s, want %s", r.Agent, r.Trajectory, want)
		}
	}
	for k, list := range turns {
		for i, turn := range list {
			if turn != i {
				t.Errorf("%+v: turns %v", k, list)
				break
			}
		}
	}
	for i := range agents {
		if !seen[i] {
			t.Errorf("agent %d did nothing: agents are %v", i, seen)
		}
	}
	if len(records) < 50 || len(seen) != agents {
		t.Errorf("%d records of %d agents", len(records), len(seen))
	}
}

func TestShare(t *testing.T) {
	for n := range 20 {
		for k := 1; k < 6; k++ {
			var got []int
			for i := range k {
				for a := range share(n, i, k) {
					got = append(got, i+a*k)
				}
			}
			slices.Sort(got)
			for i := range n {
				if len(got) != n || got[i] != i {
					t.Fatalf("%d agents of %d workers have the numbers %v", n, k, got)
				}
			}
		}
	}
}

func TestPrepareSaysWhy(t *testing.T) {
	set := trajectory.Synth(trajectory.SynthOptions{Seed: 1, Trajectories: 1, Profile: trajectory.Demo})
	c := gathered(t, 1)
	job := order()
	job.Endpoint = json.RawMessage(`"no"`)
	if err := c.Prepare(t.Context(), set, job); err == nil || !strings.Contains(err.Error(), "ask worker w0 on host to prepare: the endpoint is not there") {
		t.Error(err)
	}
	c.Close()
}

// A worker whose coordinator is silent is free again; one with a job says so to another coordinator.
func TestSilentCoordinator(t *testing.T) {
	set := trajectory.Synth(trajectory.SynthOptions{Seed: 1, Trajectories: 1, Profile: trajectory.Demo})
	c := gathered(t, 1)
	if err := c.Prepare(t.Context(), set, order()); err != nil {
		t.Fatal(err)
	}
	m := c.Members[0]
	second := order()
	second.Run, second.Workers, second.Dataset = "r1", 1, "x"
	if err := c.ask(t.Context(), m, verbPrepare, askFor, second, &Ready{}); err == nil || !strings.Contains(err.Error(), "busy with run r1") {
		t.Error(err)
	}
	var s state
	until := time.Now().Add(lease + 10*time.Second)
	for err := error(nil); !errors.Is(err, errFree) && (err == nil || !strings.Contains(err.Error(), errFree.Error())); err = c.ask(t.Context(), m, verbState, askFor, struct{}{}, &s) {
		if time.Now().After(until) {
			t.Fatalf("the worker still has its job %v after the coordinator has fallen silent", lease)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// Records that do not follow each other, and silence, lose a worker.
func TestPulse(t *testing.T) {
	now := time.Now()
	p := pulse{heard: now}
	p.took(batch{Seq: 1, Records: make([]bench.Record, 3)})
	p.took(batch{Seq: 2, Records: make([]bench.Record, 4)})
	if err := p.look(now.Add(silence)); err != nil || p.counted != 7 || p.records != 2 {
		t.Error(err, p.counted, p.records)
	}
	if err := p.look(now.Add(silence + time.Second)); err == nil || !strings.Contains(err.Error(), "not been heard for 4s") {
		t.Error(err)
	}
	p = pulse{heard: now}
	p.took(batch{Seq: 2})
	if err := p.look(now); err == nil || !strings.Contains(err.Error(), "message 2 came after 0") {
		t.Error(err)
	}
	p = pulse{heard: now}
	p.take(beat{Broken: "disk"}, 0, now)
	if err := p.look(now); err == nil || err.Error() != "disk" {
		t.Error(err)
	}
}

func TestTrack(t *testing.T) {
	var tr track
	x := clock.Exchange{Asked: 100, Received: 5200, Sent: 5300, Got: 400, Epoch: 7000} // 5,000 ahead, 200 under way
	tr.take(x, false)
	if got, want := tr.shift(1_000_000), time.Duration(1_000_000-7000-5000); got != want {
		t.Errorf("shift %v, want %v", got, want)
	}
	x.Received, x.Sent = 5230, 5330
	tr.take(x, true)
	if got, want := tr.shift(1_000_000), time.Duration(1_000_000-7000); got != want {
		t.Errorf("shift on one boot %v, want %v", got, want)
	}
	f := tr.said()
	if f.Drift != 30 || f.Measurements != 2 || f.Ahead != 5030 || f.Way != 200 || f.Error() != 0 {
		t.Errorf("%+v", f)
	}
	f.SameBoot = false
	if want := 100 + 30 + time.Microsecond; f.Error() != want {
		t.Errorf("error %v, want %v", f.Error(), want)
	}
}

func TestShift(t *testing.T) {
	r := bench.Record{Sched: 10, Reply: bench.Reply{WriteBegin: 20, Done: 30}}
	want := bench.Record{Sched: 15, Reply: bench.Reply{WriteBegin: 25, Done: 35}}
	if diff := cmp.Diff(want, r.Shift(5)); diff != "" {
		t.Error(diff)
	}
}

func TestServeNeedsKeysBeyondLoopback(t *testing.T) {
	for _, o := range []ServerOptions{{Listen: "0.0.0.0:0"}, {Listen: ":4333"}, {Listen: "10.1.2.3:4333", Keys: []string{"U"}}, {Listen: "x"}, {Listen: "127.0.0.1:y"}} {
		if s, err := Serve(o); err == nil {
			s.Close()
			t.Errorf("%+v is served", o)
		}
	}
}

// A worker with a key can do its work, and nothing that is not its work.
func TestWorkerRights(t *testing.T) {
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "worker.nkey")
	if err := os.WriteFile(file, []byte(key.Seed()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	as := bus.Credentials{NKeyFile: file}
	c, url := crewOn(t, ServerOptions{Listen: "127.0.0.1:0", Keys: []string{key.Public()}}, as, 2)
	set := trajectory.Synth(trajectory.SynthOptions{Seed: 1, Trajectories: 3, Profile: trajectory.Demo})
	if err := c.Prepare(t.Context(), set, order()); err != nil {
		t.Fatal(err)
	}
	var got collector
	f, err := c.Start(t.Context(), got.add)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Resize(t.Context(), t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	f.InFlight()
	if err := f.Lost(); err != nil || len(got.taken()) == 0 {
		t.Errorf("%v, %d records", err, len(got.taken()))
	}
	checkRefused(t, c, url, as)
	f.Wait()
}

// checkRefused checks what a worker with a key may not do, and that nobody without one gets in.
func checkRefused(t *testing.T, c *Crew, url string, as bus.Credentials) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if nc, err := Dial(ctx, url, bus.Credentials{}, "nobody"); err == nil {
		nc.Close()
		t.Error("a connection without a key is accepted")
	}
	nc, err := Dial(t.Context(), url, as, "worker")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, subject := range []string{workerRoot + c.Members[0].id + "." + verbRelease, subject("r1", "lease"), "$JS.API.STREAM.DELETE." + streamName("r1"), "$JS.API.STREAM.CREATE.x"} {
		before := nc.LastError()
		_ = nc.Publish(subject, nil)
		nc.Flush()
		if err := nc.LastError(); err == nil || err == before || !strings.Contains(err.Error(), "ermissions") {
			t.Errorf("a worker may publish to %s: %v", subject, err)
		}
	}
}

// What ends while the requests in flight are listed is not in flight: it is in the records that are stored before the list is sent.
func TestEndedWhileListed(t *testing.T) {
	var s sender
	r := func(turn int) bench.Record { return bench.Record{Turn: turn} }
	s.add(r(1))
	s.watch()
	s.add(r(2))
	ended := s.unwatch()
	s.add(r(3))
	if want := map[bench.Request]bool{{Turn: 2}: true}; !cmp.Equal(ended, want) || len(s.pending) != 3 {
		t.Errorf("ended %v, want %v; %d records wait", ended, want, len(s.pending))
	}
	got := bench.Without([]bench.Record{r(2), r(4)}, ended)
	if diff := cmp.Diff([]bench.Record{r(4)}, got); diff != "" {
		t.Error(diff)
	}
}
