package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentwatt/shared/archive"
	"agentwatt/shared/audit"
	"agentwatt/shared/bus"
	"agentwatt/shared/bustest"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// The fault tests run meterd, a stock NATS server as the hub, and a network between them that can be cut, as processes of their own.
// They run if METER_FAULTS is set: full is for full length, anything else for a shorter one.

// full reports whether the tests run at full length.
func full() bool { return os.Getenv("METER_FAULTS") == "full" }

// traced is meterd with a witness: every batch is written down before it is stored, outside of what is tested.
func traced() {
	file, err := os.OpenFile(os.Getenv("METER_TRACE"), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	tap = func(p publisher) publisher { return &tracer{publisher: p, file: file, seen: map[string]bool{}} }
	newSegments = func() *clock.Segments {
		s := clock.NewSegments(fmt.Sprintf("P%dT%d", os.Getpid(), time.Now().UnixNano()))
		s.Wall = func(t time.Time) clock.Stamp { // the wall clock is set ahead once the file is there
			if _, err := os.Stat(os.Getenv("METER_STEP")); err == nil {
				t = t.Add(3 * time.Second)
			}
			return clock.At(t)
		}
		return s
	}
	main()
}

// tracer writes down what is published for the first time.
type tracer struct {
	publisher
	mu   sync.Mutex
	file *os.File
	seen map[string]bool
}

func (t *tracer) Publish(ctx context.Context, b *power.Batch) error {
	t.note(b)
	return t.publisher.Publish(ctx, b)
}

func (t *tracer) PublishSigned(ctx context.Context, b *power.Batch) error {
	t.note(b)
	return t.publisher.PublishSigned(ctx, b)
}

func (t *tracer) note(b *power.Batch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	line := fmt.Sprintf("%s %s %d\n", b.Run, b.Source, b.Seq)
	if !t.seen[line] {
		t.seen[line] = true
		if _, err := t.file.WriteString(line); err != nil {
			panic(err)
		}
	}
}

const faultHost = "gpu-1"

// rig is a host and a hub.
type rig struct {
	t       *testing.T
	dir     string
	options bus.HubOptions
	server  *bustest.Server
	link    *bustest.Link
	conf    string // of meterd
	key     string // public, of the host
	reader  string // file
	meterd  *exec.Cmd
	log     bytes.Buffer
}

// newRig starts a hub and writes the configuration of a host, whose store is in storeDir, with some more settings of the bus.
func newRig(t *testing.T, storeDir, busSettings string) *rig {
	t.Helper()
	if os.Getenv("METER_FAULTS") == "" {
		t.Skip("SKIPPED: faults are injected by make test-faults")
	}
	r := &rig{t: t, dir: t.TempDir()}
	load := func(name string) *evidence.Key {
		k, err := evidence.LoadKey(filepath.Join(r.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	host, hub, reader := load("host.key"), load("hub.key"), load("reader.key")
	r.key, r.reader = host.Public(), filepath.Join(r.dir, "reader.key")
	r.options = bus.HubOptions{
		Listen: bustest.FreeAddress(t), Leafs: bustest.FreeAddress(t), Dir: filepath.Join(r.dir, "hub"), Key: hub.Public(),
		Hosts: []bus.HubHost{{Name: faultHost, Key: host.Public()}}, Readers: []string{reader.Public()},
	}
	r.server = bustest.StartServer(t, r.options.Config(), r.options.Listen, r.options.Leafs)
	r.link = bustest.StartLink(t, r.options.Leafs)
	w, err := bus.OpenWarden(t.Context(), "nats://"+r.options.Listen, "", hub, r.options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		w.Close()
	})
	if storeDir == "" {
		storeDir = filepath.Join(r.dir, "store")
	}
	r.conf = filepath.Join(r.dir, "meterd.yaml")
	text := fmt.Sprintf("host: %s\nsys_root: %s\nkey_file: %s/host.key\nhub: {url: 'nats://%s'}\nstatus: {listen: ''}\n"+
		"bus: {listen: '127.0.0.1:0', dir: %s, flush: 100ms%s}\nsources: {nvml: {enabled: false}, simulated: {devices: 2, interval: 20ms}}\n",
		faultHost, r.dir, r.dir, r.link.Address(), storeDir, busSettings)
	if err := os.WriteFile(r.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.kill()
		if t.Failed() {
			t.Logf("meterd said:\n%s", r.log.String())
		}
	})
	return r
}

func (r *rig) trace() string { return filepath.Join(r.dir, "trace") }
func (r *rig) step() string  { return filepath.Join(r.dir, "step") }

// start runs meterd.
func (r *rig) start() {
	r.t.Helper()
	r.meterd = exec.Command("meterd-traced", "run", "-c", r.conf)
	r.meterd.Env = append(os.Environ(), "METER_TRACE="+r.trace(), "METER_STEP="+r.step())
	r.meterd.Stderr = &r.log
	if err := r.meterd.Start(); err != nil {
		r.t.Fatal(err)
	}
}

// kill ends meterd without warning.
func (r *rig) kill() {
	if r.meterd != nil {
		_ = r.meterd.Process.Kill()
		_ = r.meterd.Wait() // killed
		r.meterd = nil
	}
}

// stop ends meterd in order.
func (r *rig) stop() {
	r.t.Helper()
	if err := r.meterd.Process.Signal(os.Interrupt); err != nil {
		r.t.Fatal(err)
	}
	if err := r.meterd.Wait(); err != nil {
		r.t.Errorf("meterd stopped with %v", err)
	}
	r.meterd = nil
}

// produced reads what the trace has: lines of run, source and number, in order.
func (r *rig) produced() (lines []string) {
	r.t.Helper()
	f, err := os.Open(r.trace())
	if err != nil {
		return nil
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

// produce waits until meterd has produced so many batches more.
func (r *rig) produce(n int) {
	r.t.Helper()
	want := len(r.produced()) + n
	for end := time.Now().Add(60 * time.Second); len(r.produced()) < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("meterd does not produce: %d batches, want %d\n%s", len(r.produced()), want, r.log.String())
		}
	}
}

// atHub reads what the hub has of the host.
func (r *rig) atHub() (out []bus.Message) {
	conn, err := bus.Dial(r.t.Context(), "nats://"+r.options.Listen, bus.Credentials{NKeyFile: r.reader})
	if err != nil {
		return nil // not up again
	}
	defer conn.Close()
	out, _ = conn.Read(r.t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
	return out
}

// settle starts meterd once more and waits until the hub has something of that run, and so all that came before. It returns
// what the hub has, and the batches, without those of the last run.
func (r *rig) settle() (messages []bus.Message, batches []*power.Batch) {
	r.t.Helper()
	before := map[string]bool{}
	for _, line := range r.produced() {
		before[runOf(line)] = true
	}
	r.start()
	for end := time.Now().Add(120 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		messages = r.atHub()
		if n := len(messages); n > 0 && !before[clock.Process(r.decode(messages[n-1]).Run)] && time.Since(messages[n-1].Stored.Time()) < time.Second {
			break // as of now: what was discarded meanwhile is named in what is there
		}
		if time.Now().After(end) {
			r.t.Fatalf("the hub does not catch up: %d messages", len(messages))
		}
	}
	r.kill()
	for _, m := range messages {
		batches = append(batches, r.decode(m))
	}
	return messages, batches
}

func runOf(line string) string { return clock.Process(strings.Fields(line)[0]) }

func (r *rig) decode(m bus.Message) *power.Batch {
	b, err := wire.Decode(m.Payload)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// reckon checks, after a fault, that what the hub has is what was produced, or named as lost; each once; and that the audit of
// it finds nothing. It returns how many batches are named. The last run, by which the hub was seen to catch up, does not count.
func (r *rig) reckon() (named int) {
	r.t.Helper()
	produced := r.produced()
	messages, batches := r.settle()
	there, lost := map[string]int{}, map[string][]power.Loss{}
	for _, b := range batches {
		there[fmt.Sprintf("%s %s %d", b.Run, b.Source, b.Seq)]++
		for _, l := range b.Losses {
			lost[l.Run+" "+l.Source] = append(lost[l.Run+" "+l.Source], l)
		}
	}
	for line, n := range there {
		if n > 1 {
			r.t.Errorf("batch %s is at the hub %d times", line, n)
		}
	}
	missing := 0
	for _, line := range produced {
		if there[line] == 1 {
			continue
		}
		if isNamed(line, lost) {
			named++
		} else if missing++; missing < 10 {
			r.t.Errorf("batch %s was produced, is not at the hub, and no loss record names it", line)
		}
	}
	a := audit.New(audit.Options{Keys: []string{r.key}})
	for _, m := range messages {
		a.Add(archive.Record{Sequence: m.Sequence, Stored: m.Stored, Payload: m.Payload})
	}
	report := a.Report()
	for _, f := range report.Findings {
		r.t.Errorf("the audit found %s at %v: %s", f.Kind, f.Place, f.Text)
	}
	r.t.Logf("%d batches were produced, %d messages are at the hub, %d batches are named as lost; %d runs; the chain holds up to link %d",
		len(produced), len(messages), named, len(report.Runs), report.Last.Link)
	r.jitter(batches)
	return named
}

func isNamed(line string, lost map[string][]power.Loss) bool {
	var run, source string
	var seq uint64
	fmt.Sscan(line, &run, &source, &seq)
	return slices.ContainsFunc(lost[run+" "+source], func(l power.Loss) bool { return l.First <= seq && (l.Last == 0 || seq <= l.Last) })
}

// jitter prints how regular the readings were, from their stamps.
func (r *rig) jitter(batches []*power.Batch) {
	var off []float64
	var missed uint64
	last := map[string]clock.Stamp{}
	for _, b := range batches {
		if b.Source != "simulated" {
			continue
		}
		missed = max(missed, b.Missed)
		for _, s := range b.Samples {
			k := b.Run + b.Meters[s.Meter].ID
			if before := last[k]; before != 0 {
				off = append(off, math.Abs((s.Time.Sub(before)-20*time.Millisecond).Seconds())*1e3)
			}
			last[k] = s.Time
		}
	}
	if len(off) == 0 {
		return
	}
	slices.Sort(off)
	r.t.Logf("jitter of %d readings due every 20 ms: P50 %.2f ms, P99 %.2f ms, most %.2f ms; at most %d missed in a run",
		len(off), off[len(off)/2], off[len(off)*99/100], off[len(off)-1], missed)
}
