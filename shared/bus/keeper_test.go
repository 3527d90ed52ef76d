package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/power"
	"agentwatt/shared/wire"
)

// recorder stores losses the way that meterd does: in batches of a source of its own.
func recorder(p *Publisher, run string) Recorder {
	var n atomic.Uint64
	return func(ctx context.Context, losses []power.Loss) error {
		b := &power.Batch{Host: "gpu-01.rack.example", Run: run, Source: "meterd", Seq: n.Add(1), Losses: losses}
		return p.Publish(ctx, b)
	}
}

// keep runs Keep until the test ends, or the returned function is called.
func keep(t *testing.T, s *Server, r Recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Keep(ctx, r) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

// insist publishes until it is stored, as a sampler does.
func insist(t testing.TB, p *Publisher, b *power.Batch) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		err := p.Publish(t.Context(), b)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// reckon checks that each batch of a source, 1 to last, is in the stream once, or named as lost for the reason, and that the
// chain holds. It returns how many are named.
func reckon(t *testing.T, s *Server, run, source string, last uint64, reason string) int {
	t.Helper()
	got, err := reader(t, s).Read(t.Context(), 0, clock.At(time.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	there, named := map[uint64]int{}, map[uint64]bool{}
	for i, m := range got {
		sealed, err := evidence.Open(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 && sealed.Prev != evidence.DigestOf(got[i-1].Payload) {
			t.Errorf("sequence %d does not follow the one before it", m.Sequence)
		}
		b, err := wire.Decode(m.Payload)
		if err != nil {
			t.Fatal(err)
		}
		if b.Run == run && b.Source == source {
			there[b.Seq]++
		}
		for _, l := range b.Losses {
			if l.Run != run || l.Source != source {
				continue
			}
			if l.Reason != reason {
				t.Errorf("loss %+v, want reason %s", l, reason)
			}
			for n := l.First; n <= l.Last; n++ {
				named[n] = true
			}
		}
	}
	for n := uint64(1); n <= last; n++ {
		if there[n] > 1 || there[n] == 0 && !named[n] {
			t.Errorf("batch %d of %s: %d times in the stream, named as lost: %v", n, run, there[n], named[n])
		}
	}
	return len(named)
}

// What the limit of the store costs is on record, however often it is reached, and records are carried on.
func TestKeepNamesWhatTheLimitCosts(t *testing.T) {
	s := serveTest(t, ServerOptions{MaxBytes: 100_000})
	p := publisher(t, s)
	keep(t, s, recorder(p, "run"))
	random := rand.New(rand.NewPCG(1, 2))
	last := uint64(0)
	for range 4 {
		for range 300 + random.IntN(500) {
			last++
			insist(t, p, batch("run", last))
		}
		if named := reckon(t, s, "run", "nvml", last, power.LostSize); named == 0 {
			t.Errorf("%d batches in a store of 100 kB and nothing is lost", last)
		}
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stats, err := s.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st := stats.Streams[0]
		if st.Limit == 100_000 && st.Bytes <= 100_000 && st.Bytes > 50_000 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the stream has %d bytes of %d, want nearly 100 kB", st.Bytes, st.Limit)
		}
	}
}

func TestKeepNamesWhatAgeCosts(t *testing.T) {
	s := serveTest(t, ServerOptions{MaxAge: 200 * time.Millisecond})
	p := publisher(t, s)
	publish(t, p, "run", 1, 40)
	time.Sleep(250 * time.Millisecond) // the server's own clock says what is old
	publish(t, p, "run", 41, 41)
	keep(t, s, recorder(p, "run"))
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if stats, err := s.Stats(t.Context()); err == nil && stats.Streams[0].First > 40 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("nothing was discarded: %+v, %v", stats, err)
		}
	}
	if named := reckon(t, s, "run", "nvml", 41, power.LostAge); named < 40 {
		t.Errorf("%d batches are named, want at least the 40 old ones", named)
	}
}

// Nothing goes before it is named, and what was named by a record whose word did not get back is named again.
func TestKeepDiscardsNothingUnnamed(t *testing.T) {
	s := serveTest(t, ServerOptions{MaxBytes: 50_000})
	p := publisher(t, s)
	last := uint64(0)
	for p.Publish(t.Context(), batch("run", last+1)) == nil {
		last++
	}
	record, fail := recorder(p, "run"), errors.New("no")
	k := &keeper{server: s, log: s.options.Log}
	k.record = func(context.Context, []power.Loss) error { return fail }
	if err := k.trimPower(t.Context()); !errors.Is(err, fail) {
		t.Errorf("got %v, want %v", err, fail)
	}
	if named := reckon(t, s, "run", "nvml", last, ""); named != 0 {
		t.Errorf("%d are named", named)
	}
	k.record = func(ctx context.Context, l []power.Loss) error { return errors.Join(record(ctx, l), fail) }
	if err := k.trimPower(t.Context()); !errors.Is(err, fail) {
		t.Errorf("got %v, want %v", err, fail)
	}
	first := reckon(t, s, "run", "nvml", last, power.LostSize)
	k.record = record
	if err := k.trimPower(t.Context()); err != nil {
		t.Error(err)
	}
	if named := reckon(t, s, "run", "nvml", last, power.LostSize); named < first || first == 0 {
		t.Errorf("%d are named, first %d", named, first)
	}
}

// A store of the version before discarded by itself, and unnamed.
func TestOldStoreIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	s := serveTest(t, ServerOptions{Dir: dir})
	publish(t, publisher(t, s), "run", 1, 5)
	old := fileStream(Power, "", subjects)
	old.MaxBytes, old.MaxAge, old.Duplicates = 1<<30, time.Hour, time.Minute
	if _, err := s.js.UpdateStream(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = serveTest(t, ServerOptions{Dir: dir})
	info, err := streamState(t.Context(), s.js, Power)
	if err != nil {
		t.Fatal(err)
	}
	if c := info.Config; c.MaxAge != 0 || c.Discard != jetstream.DiscardNew || info.State.Msgs != 5 {
		t.Errorf("max age %v, discard %v, %d messages", c.MaxAge, c.Discard, info.State.Msgs)
	}
}

func TestRollupsEndByAge(t *testing.T) {
	s := serveTest(t, ServerOptions{Rollups: [3]time.Duration{200 * time.Millisecond, time.Hour, time.Hour}})
	w, err := s.Writer(RollupSecond)
	if err != nil {
		t.Fatal(err)
	}
	store := func(n int) {
		if err := w.Store(t.Context(), RollupSubject(RollupSecond, "h", "s"), fmt.Sprint(n), []byte{1<<3 | 2, 1, 'x'}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 20 {
		store(n)
	}
	time.Sleep(250 * time.Millisecond) // the server's own clock says what is old
	store(20)
	k := &keeper{server: s, log: s.options.Log}
	if err := k.trimRollups(t.Context(), RollupSecond, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	info, err := streamState(t.Context(), s.js, RollupSecond)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.State.FirstSeq; got != 21 {
		t.Errorf("first sequence %d, want 21: the last one stays", got)
	}
}

func TestMergeLosses(t *testing.T) {
	l := func(first, last uint64) power.Loss {
		return power.Loss{Run: "r", Source: "s", First: first, Last: last, Reason: power.LostSize}
	}
	other := power.Loss{Run: "q", Source: "s", First: 7, Last: 7, Reason: power.LostAge}
	for _, test := range []struct {
		name      string
		give, got []power.Loss
	}{
		{"none", nil, nil},
		{"touch", []power.Loss{l(1, 2), l(3, 4)}, []power.Loss{l(1, 4)}},
		{"overlap", []power.Loss{l(1, 5), l(2, 3)}, []power.Loss{l(1, 5)}},
		{"apart", []power.Loss{l(5, 6), l(1, 2)}, []power.Loss{l(1, 2), l(5, 6)}},
		{"no end", []power.Loss{l(4, 0), l(9, 9), l(1, 1)}, []power.Loss{l(1, 1), l(4, 0)}},
		{"to no end", []power.Loss{l(1, 3), l(4, 0)}, []power.Loss{l(1, 0)}},
		{"others", []power.Loss{other, l(1, 1), other, l(2, 2)}, []power.Loss{other, l(1, 2)}},
	} {
		if diff := cmp.Diff(test.got, mergeLosses(test.give)); diff != "" && len(test.got) > 0 {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
