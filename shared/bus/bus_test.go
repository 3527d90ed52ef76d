package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// serveTest starts a server that ends with the test.
func serveTest(t testing.TB, o ServerOptions) *Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := Serve(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func publisher(t testing.TB, s *Server) *Publisher {
	t.Helper()
	p, err := s.Publisher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// reader connects the way that the server offers.
func reader(t testing.TB, s *Server) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), s.URL(), Credentials{})
	if s.URL() == "" {
		c, err = s.Dial(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// batch returns the n-th batch of a run.
func batch(run string, n uint64) *power.Batch {
	b := &power.Batch{Host: "gpu-01.rack.example", Run: run, Source: "nvml", Seq: n}
	b.Meters = []power.Meter{{ID: "nvml/GPU-1/instant", Device: "GPU-1", Quantity: power.Instant, Scale: power.Scale{Num: 1000, Den: 1}}}
	for i := range 4 {
		b.Samples = append(b.Samples, power.Sample{Time: clock.Stamp(n*4+uint64(i)) * 1e8, Raw: int64(n)})
	}
	return b
}

func publish(t testing.TB, p *Publisher, run string, from, to uint64) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := p.Publish(t.Context(), batch(run, n)); err != nil {
			t.Fatal(err)
		}
	}
}

// seqs are the batch numbers in messages.
func seqs(t testing.TB, ms []Message) []uint64 {
	t.Helper()
	var out []uint64
	for _, m := range ms {
		b, err := wire.Decode(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, b.Seq)
	}
	return out
}

func upTo(from, to uint64) []uint64 {
	var out []uint64
	for n := from; n <= to; n++ {
		out = append(out, n)
	}
	return out
}

// transports are the two ways to a server.
var transports = map[string]string{"in-process": "", "tcp": "127.0.0.1:0"}

func TestPublishAndRead(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			s := serveTest(t, ServerOptions{Listen: listen})
			p, c := publisher(t, s), reader(t, s)
			publish(t, p, "run", 1, 600) // more than one answer holds
			got, err := c.Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(upTo(1, 600), seqs(t, got)); diff != "" {
				t.Errorf("batches (-published +read):\n%s", diff)
			}
			want, _ := wire.Encode(nil, batch("run", 2))
			if m := got[1]; m.Host != "gpu-01.rack.example" || m.Source != "nvml" || m.Sequence != 2 || m.Gap != nil || m.Stream != Power || !bytes.HasPrefix(m.Payload, want) {
				t.Errorf("got message %+v", m)
			}
			if got, want := p.Stored(), uint64(600); got != want {
				t.Errorf("stored: got %d, want %d", got, want)
			}
			// A range of stored times is half-open.
			part, err := c.Read(t.Context(), got[3].Stored, got[7].Stored)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(upTo(4, 7), seqs(t, part)); diff != "" {
				t.Errorf("read from the 4th to before the 8th (-want +got):\n%s", diff)
			}
			late, err := c.Read(t.Context(), got[599].Stored+1, got[599].Stored+2)
			if err != nil || len(late) != 0 {
				t.Errorf("read after the last: got %d batches, %v", len(late), err)
			}
		})
	}
}

func TestReadEmptyStore(t *testing.T) {
	c := reader(t, serveTest(t, ServerOptions{}))
	got, err := c.Read(t.Context(), 0, clock.At(time.Now()))
	if err != nil || len(got) != 0 {
		t.Errorf("got %d batches, %v", len(got), err)
	}
	hosts, err := c.Hosts(t.Context())
	if err != nil || len(hosts) != 0 {
		t.Errorf("got hosts %v, %v", hosts, err)
	}
}

func TestPublishTwiceStoresOnce(t *testing.T) {
	s := serveTest(t, ServerOptions{})
	p, c := publisher(t, s), reader(t, s)
	publish(t, p, "run", 1, 2)
	publish(t, p, "run", 2, 3)
	publish(t, p, "other run", 2, 2)
	got, err := c.Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{1, 2, 3, 2}, seqs(t, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPublishRefuses(t *testing.T) {
	p := publisher(t, serveTest(t, ServerOptions{}))
	if err := p.Publish(t.Context(), &power.Batch{Host: "\xff"}); err == nil {
		t.Error("a batch that cannot be encoded was published")
	}
	big := batch("run", 1)
	for i := range 300_000 {
		big.Samples = append(big.Samples, power.Sample{Time: clock.Stamp(i * i * 1000), Raw: int64(i * i * i)})
	}
	if err := p.Publish(t.Context(), big); err == nil {
		t.Error("a batch above the limit was published")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Publish(ctx, batch("run", 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if got := p.Stored(); got != 0 {
		t.Errorf("stored: got %d, want 0", got)
	}
}

func TestHosts(t *testing.T) {
	s := serveTest(t, ServerOptions{})
	p, c := publisher(t, s), reader(t, s)
	before := clock.At(time.Now())
	for _, source := range []string{"nvml", "rapl", "nvml"} {
		b := batch("run", p.Stored()+1)
		b.Source = source
		if err := p.Publish(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	hosts, err := c.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range hosts {
		got = append(got, h.Host+" "+h.Source)
		if h.Last < before {
			t.Errorf("%s: last stored %v, before it was published at %v", h.Source, h.Last, before)
		}
	}
	if diff := cmp.Diff([]string{"gpu-01.rack.example rapl", "gpu-01.rack.example nvml"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// follower collects what Follow delivers until it has enough.
type follower struct {
	mu   sync.Mutex
	got  []Message
	done chan error
	stop context.CancelFunc
}

func follow(t *testing.T, c *Conn, from clock.Stamp) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{done: make(chan error, 1), stop: cancel}
	go func() {
		f.done <- c.Follow(ctx, from, func(m Message) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.got = append(f.got, m)
			return nil
		})
	}()
	t.Cleanup(cancel)
	return f
}

// wait returns the messages once there are n.
func (f *follower) wait(t *testing.T, n int) []Message {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		f.mu.Lock()
		got := f.got
		f.mu.Unlock()
		if len(got) >= n {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("followed %d batches in 20 s, want %d", len(got), n)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (f *follower) end(t *testing.T) {
	t.Helper()
	f.stop()
	if err := <-f.done; err != nil {
		t.Errorf("follow ended with %v", err)
	}
}

func TestFollowStoredThenLive(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			s := serveTest(t, ServerOptions{Listen: listen})
			p, c := publisher(t, s), reader(t, s)
			publish(t, p, "run", 1, 300)
			f := follow(t, c, 0)
			publish(t, p, "run", 301, 330)
			f.wait(t, 330)
			late := follow(t, c, clock.At(time.Now())) // nothing there yet
			publish(t, p, "run", 331, 340)
			if diff := cmp.Diff(upTo(1, 340), seqs(t, f.wait(t, 340))); diff != "" {
				t.Errorf("followed from the start (-published +got):\n%s", diff)
			}
			if diff := cmp.Diff(upTo(331, 340), seqs(t, late.wait(t, 10))); diff != "" {
				t.Errorf("followed from later (-published +got):\n%s", diff)
			}
			f.end(t)
			late.end(t)
		})
	}
}

func TestFollowReturnsErrorOfCaller(t *testing.T) {
	s := serveTest(t, ServerOptions{})
	p, c := publisher(t, s), reader(t, s)
	publish(t, p, "run", 1, 5)
	want := errors.New("disk full")
	n := 0
	err := c.Follow(t.Context(), 0, func(Message) error {
		if n++; n == 3 {
			return want
		}
		return nil
	})
	if !errors.Is(err, want) || n != 3 {
		t.Errorf("got %v after %d batches", err, n)
	}
	c.Close()
	if err := c.Follow(t.Context(), 0, func(Message) error { return nil }); err == nil {
		t.Error("a closed connection was followed")
	}
}

func TestFollowReportsGap(t *testing.T) {
	s := serveTest(t, ServerOptions{MaxBytes: 20_000})
	p, c := publisher(t, s), reader(t, s)
	keep(t, s, func(context.Context, []power.Loss) error { return nil })
	publish(t, p, "run", 1, 5)
	full, hold := make(chan struct{}), make(chan struct{})
	var got []Message
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- c.Follow(ctx, 0, func(m Message) error {
			if got = append(got, m); len(got) == 5 {
				close(full)
				<-hold // while the stream discards
			}
			if m.Sequence == 500 {
				cancel()
			}
			return nil
		})
	}()
	<-full
	for n := uint64(6); n <= 500; n++ {
		insist(t, p, batch("run", n))
	}
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if len(got) < 6 || got[5].Gap == nil {
		t.Fatalf("%d batches and no gap", len(got))
	}
	if g := got[5].Gap; g.After != 5 || g.Before != got[5].Sequence || g.NewStore {
		t.Errorf("got gap %+v before sequence %d", g, got[5].Sequence)
	}
	for _, m := range got[6:] {
		if m.Gap != nil {
			t.Errorf("sequence %d: unexpected gap: %v", m.Sequence, m.Gap)
		}
	}
}

// A restarted meterd is followed again: nothing twice, nothing left out.
func TestFollowSurvivesRestart(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, ServerOptions{Dir: dir, Listen: "127.0.0.1:0"})
	c := reader(t, s)
	f := follow(t, c, 0)
	publish(t, publisher(t, s), "run 1", 1, 10)
	f.wait(t, 10)
	addr := s.nats.Addr().String()
	s.Close()
	s = serveTest(t, ServerOptions{Dir: dir, Listen: addr})
	publish(t, publisher(t, s), "run 2", 11, 20)
	got := f.wait(t, 20)
	if diff := cmp.Diff(upTo(1, 20), seqs(t, got)); diff != "" {
		t.Errorf("(-published +followed):\n%s", diff)
	}
	for _, m := range got {
		if m.Gap != nil {
			t.Errorf("sequence %d: unexpected gap: %v", m.Sequence, m.Gap)
		}
	}
	f.end(t)
}

// A store that was begun anew has low sequences again; they are followed, and the loss is reported.
func TestFollowNoticesNewStore(t *testing.T) {
	s := serveTest(t, ServerOptions{Listen: "127.0.0.1:0"})
	c := reader(t, s)
	f := follow(t, c, 0)
	publish(t, publisher(t, s), "run 1", 1, 10)
	f.wait(t, 10)
	addr := s.nats.Addr().String()
	s.Close()
	s = serveTest(t, ServerOptions{Listen: addr}) // another directory
	publish(t, publisher(t, s), "run 2", 1, 3)
	got := f.wait(t, 13)
	if g := got[10].Gap; g == nil || !g.NewStore || g.After != 10 || got[10].Sequence != 1 {
		t.Errorf("first batch of the new store: sequence %d, gap %+v", got[10].Sequence, g)
	}
	if got[11].Gap != nil || got[12].Sequence != 3 {
		t.Errorf("got sequences %d and %d, gap %v", got[11].Sequence, got[12].Sequence, got[11].Gap)
	}
	f.end(t)
}

func TestStreamSettingsChange(t *testing.T) {
	dir := t.TempDir()
	for i, maxBytes := range []int64{1 << 20, 4 << 20, 1 << 20} {
		s := serveTest(t, ServerOptions{Dir: dir, MaxBytes: maxBytes})
		publish(t, publisher(t, s), fmt.Sprint(i), 1, 1)
		got, err := reader(t, s).Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
		if err != nil || len(got) != i+1 {
			t.Errorf("start %d: got %d batches, %v", i, len(got), err)
		}
		s.Close()
	}
}

// verbose lets the server's log be seen with -v.
func verbose(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
