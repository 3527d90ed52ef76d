package sampler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// fake is a source whose reads take as long and end as the test says.
type fake struct {
	mu     sync.Mutex
	meters []power.Meter
	takes  time.Duration
	err    error
	each   func(ctx context.Context) // called in every read
	reads  int
}

func newFake(takes time.Duration) *fake { return &fake{takes: takes, meters: meters(2)} }

func meters(n int) []power.Meter {
	m := make([]power.Meter, n)
	for i := range m {
		m[i] = power.Meter{ID: fmt.Sprintf("fake/%d", i), Quantity: power.Instant, Scale: power.Scale{Num: 1, Den: 1}}
	}
	return m
}

func (f *fake) Meters() []power.Meter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.meters
}

func (f *fake) Read(ctx context.Context, dst []power.Sample) ([]power.Sample, error) {
	if f.each != nil {
		f.each(ctx)
	}
	before := stampNow()
	if f.takes > 0 {
		time.Sleep(f.takes)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	if f.err != nil {
		return dst, f.err
	}
	t, within := Stamp(before, stampNow())
	for i := range f.meters {
		dst = append(dst, power.Sample{Meter: i, Time: t, Within: within, Raw: int64(f.reads)})
	}
	return dst, nil
}

func (f *fake) Close() error { return nil }

func (f *fake) set(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func stampNow() clock.Stamp { return clock.At(time.Now()) }

// tape is a bus that keeps copies, and fails or hangs on request.
type tape struct {
	mu      sync.Mutex
	batches []power.Batch
	refuse  func(*power.Batch) error
	slow    time.Duration
}

func (p *tape) Publish(ctx context.Context, b *power.Batch) error {
	if p.slow > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(p.slow):
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		if err := p.refuse(b); err != nil {
			return err
		}
	}
	c := *b
	c.Samples, c.Notes, c.Losses = slices.Clone(b.Samples), slices.Clone(b.Notes), slices.Clone(b.Losses)
	p.batches = append(p.batches, c)
	return nil
}

func (p *tape) samples() (n int) {
	for _, b := range p.batches {
		n += len(b.Samples)
	}
	return n
}

func newSampler(src Source, bus Publisher) *Sampler {
	return &Sampler{
		Name: "fake", Source: src, Bus: bus, Interval: 100 * time.Millisecond, Clock: clock.NewSegments("r"),
		Host: "h", Boot: "b",
	}
}

// runFor runs s for d of virtual time and returns how long Run really took and its error.
func runFor(t *testing.T, s *Sampler, d time.Duration) (time.Duration, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	began := time.Now()
	err := s.Run(ctx)
	return time.Since(began), err
}

// Every tick is served, missed, or still pending: never forgotten, never counted twice.
func TestEveryTickIsAccountedFor(t *testing.T) {
	for takes := time.Duration(0); takes <= 350*time.Millisecond; takes += 7 * time.Millisecond {
		for _, span := range []time.Duration{5 * time.Second, 5*time.Second + 33*time.Millisecond, 4999 * time.Millisecond} {
			synctest.Test(t, func(t *testing.T) {
				bus := &tape{}
				s := newSampler(newFake(takes), bus)
				took, err := runFor(t, s, span)
				if err != nil {
					t.Fatal(err)
				}
				elapsed := 1 + uint64(took/s.Interval) // one is due at the start
				st := s.Stats()
				if n := st.Ticks + st.Missed; n != elapsed && n != elapsed-1 {
					t.Errorf("reads of %v for %v: %d served + %d missed, want %d or one less", takes, span, st.Ticks, st.Missed, elapsed)
				}
				if got := bus.batches[len(bus.batches)-1].Missed; got != st.Missed {
					t.Errorf("reads of %v: the last batch says %d missed, the sampler %d", takes, got, st.Missed)
				}
				if got, want := bus.samples(), int(2*st.Ticks); got != want {
					t.Errorf("reads of %v: %d samples published, want %d", takes, got, want)
				}
				if takes < s.Interval && st.Missed != 0 {
					t.Errorf("reads of %v: %d missed, want none", takes, st.Missed)
				}
			})
		}
	}
}

// Samples stay on the schedule of the start however long the reads take.
func TestScheduleIsAbsolute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		src := newFake(0)
		began := time.Now()
		src.each = func(context.Context) {
			at = append(at, time.Since(began))
			src.takes = time.Duration(len(at)%4) * 45 * time.Millisecond
		}
		s := newSampler(src, &tape{})
		if _, err := runFor(t, s, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		for _, d := range at {
			if d%s.Interval != 0 {
				t.Fatalf("a read at %v is off the grid of %v", d, s.Interval)
			}
		}
	})
}

func TestBatchesAreNumberedAndWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &tape{}
		s := newSampler(newFake(time.Millisecond), bus)
		segments := clock.NewSegments("r")
		segments.State = func(c *clock.Clock) (clock.State, error) { return clock.State{Read: c.Now(), Synchronised: true}, nil }
		s.Clock = segments
		if _, err := runFor(t, s, 3450*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		var sizes []int
		for i, b := range bus.batches {
			sizes = append(sizes, len(b.Samples))
			if b.Seq != uint64(i+1) || b.Host != "h" || b.Boot != "b" || b.Run != "r" || b.Source != "fake" || len(b.Meters) != 2 || !b.Clock.Synchronised {
				t.Errorf("batch %d: header %+v", i, b)
			}
		}
		// 35 ticks of 2 samples: three full seconds, and the part that the cancellation cut off.
		if got, want := fmt.Sprint(sizes), "[20 20 20 10]"; got != want {
			t.Errorf("batch sizes %s, want %s", got, want)
		}
	})
}

func TestBatchClosesAtAThousandSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, src := &tape{}, newFake(0)
		src.meters = meters(300)
		if _, err := runFor(t, newSampler(src, bus), 950*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		for _, b := range bus.batches[:2] {
			if len(b.Samples) != 1200 {
				t.Errorf("batch %d has %d samples, want 1200: closed by the read that passed 1000", b.Seq, len(b.Samples))
			}
		}
	})
}

// A slow interval must not hold a sample back until the next tick.
func TestSlowIntervalPublishesEachRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &tape{}
		s := newSampler(newFake(0), bus)
		s.Interval = 10 * time.Second
		go func() {
			time.Sleep(time.Second)
			bus.mu.Lock()
			defer bus.mu.Unlock()
			if len(bus.batches) != 1 || len(bus.batches[0].Samples) != 2 {
				t.Errorf("after 1 s: %d batches, want the first read", len(bus.batches))
			}
		}()
		if _, err := runFor(t, s, 15*time.Second); err != nil {
			t.Fatal(err)
		}
	})
}

func TestHotPlugClosesTheBatchFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, src := &tape{}, newFake(0)
		src.each = func(context.Context) {
			if src.reads == 5 {
				src.mu.Lock()
				defer src.mu.Unlock()
				src.meters = meters(3)
			}
		}
		if _, err := runFor(t, newSampler(src, bus), 950*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		if len(bus.batches) != 2 {
			t.Fatalf("%d batches, want one before and one after the change", len(bus.batches))
		}
		for i, want := range []struct{ meters, samples int }{{2, 10}, {3, 15}} {
			b := bus.batches[i]
			if len(b.Meters) != want.meters || len(b.Samples) != want.samples || b.Seq != uint64(i+1) {
				t.Errorf("batch %d: seq %d, %d meters, %d samples, want %+v", i, b.Seq, len(b.Meters), len(b.Samples), want)
			}
			for _, x := range b.Samples {
				if x.Meter >= len(b.Meters) {
					t.Errorf("batch %d: a sample of meter %d of %d", i, x.Meter, len(b.Meters))
				}
			}
		}
	})
}

// A dead source is recorded as such, logged once per episode, and may come back.
func TestFailedReadsAreOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		bus, src := &tape{}, newFake(0)
		s := newSampler(src, bus)
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		src.each = func(context.Context) {
			switch s.Stats().Ticks {
			case 11, 31:
				src.set(errors.New("driver said no"))
			case 21:
				src.set(nil)
			}
		}
		if _, err := runFor(t, s, 3950*time.Millisecond); err != nil {
			t.Fatal(err)
		}
		ok, failed := 0, 0
		for _, b := range bus.batches {
			for _, x := range b.Samples {
				switch {
				case x.Status == power.OK:
					ok++
				case x.Status == power.Failed && x.Raw == 0 && x.Time != 0:
					failed++
				}
			}
		}
		if st := s.Stats(); ok != 40 || failed != 40 || st.Failed != 20 {
			t.Errorf("%d values, %d recorded failures, %d failed reads; want 40, 40, 20", ok, failed, st.Failed)
		}
		if n := strings.Count(log.String(), "driver said no"); n != 2 {
			t.Errorf("%d log lines for 2 episodes:\n%s", n, &log)
		}
	})
}

func TestGoneEndsTheSampler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus, src := &tape{}, newFake(0)
		s := newSampler(src, bus)
		src.each = func(context.Context) {
			if s.Stats().Ticks == 8 {
				src.set(fmt.Errorf("driver unloaded: %w", ErrGone))
			}
		}
		took, err := runFor(t, s, time.Hour)
		if !errors.Is(err, ErrGone) || took != 700*time.Millisecond {
			t.Errorf("Run returned %v after %v, want ErrGone at the 8th tick", err, took)
		}
		if got := bus.samples(); got != 16 {
			t.Errorf("%d samples published, want 14 values and 2 marks of the end", got)
		}
	})
}

func TestSamplerNeedsItsParts(t *testing.T) {
	for _, s := range []*Sampler{
		{}, {Name: "x", Source: newFake(0), Bus: &tape{}, Clock: clock.NewSegments("r")},
		{Name: "x", Source: newFake(0), Bus: &tape{}, Clock: clock.NewSegments("r"), Interval: time.Second, Flush: -1},
	} {
		if err := s.Run(t.Context()); err == nil {
			t.Errorf("Run(%+v) went ahead", s)
		}
	}
}
