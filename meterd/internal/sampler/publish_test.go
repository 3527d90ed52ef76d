package sampler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"agentwatt/shared/power"
)

// The bus is away for a while that the queue can bridge: nothing is lost and no tick is late.
func TestOutageShorterThanTheQueueLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		bus := &tape{refuse: func(*power.Batch) error {
			if d := time.Since(began); d > 10*time.Second && d < 40*time.Second {
				return errors.New("no space left")
			}
			return nil
		}}
		var log bytes.Buffer
		s := newSampler(newFake(0), bus)
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		if _, err := runFor(t, s, time.Minute); err != nil {
			t.Fatal(err)
		}
		for i, b := range bus.batches {
			if b.Seq != uint64(i+1) {
				t.Fatalf("batch %d has seq %d", i, b.Seq)
			}
		}
		st := s.Stats()
		if st.Dropped != 0 || st.Missed != 0 || st.Refused == 0 || st.Late.Max != 0 || st.Batches != uint64(len(bus.batches)) {
			t.Errorf("stats %+v, want no loss", st)
		}
		if n := strings.Count(log.String(), "no space left"); n != 1 {
			t.Errorf("the outage is in the log %d times:\n%s", n, &log)
		}
	})
}

// The bus is away for longer than the queue: the oldest batches go, as one gap; published + dropped is all there was.
func TestLongOutageShowsAsOneGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		bus := &tape{refuse: func(*power.Batch) error {
			if d := time.Since(began); d > 10*time.Second && d < 60*time.Second {
				return errors.New("gone")
			}
			return nil
		}}
		var log bytes.Buffer
		s := newSampler(newFake(0), bus)
		s.Queue = 8
		s.Log = slog.New(slog.NewTextHandler(&log, nil))
		if _, err := runFor(t, s, 80*time.Second); err != nil {
			t.Fatal(err)
		}
		gaps, missing, last := 0, uint64(0), uint64(0)
		for _, b := range bus.batches {
			if b.Seq != last+1 {
				gaps++
				missing += b.Seq - last - 1
			}
			last = b.Seq
		}
		st := s.Stats()
		if gaps != 1 || missing != st.Dropped || st.Dropped < 35 || st.Dropped > 45 || st.Missed != 0 || st.Late.Max != 0 {
			t.Errorf("%d gaps with %d batches missing, stats %+v; want one gap of about 40, all counted", gaps, missing, st)
		}
		if n := strings.Count(log.String(), "drop batches"); n != 1 {
			t.Errorf("the loss is in the log %d times:\n%s", n, &log)
		}
	})
}

// A bus that hangs does not delay sampling, and does not keep Run from ending.
func TestHangingBusBoundsTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(newFake(0), &tape{slow: time.Hour})
		took, err := runFor(t, s, time.Minute-time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		st := s.Stats()
		if took > time.Minute+drainLimit || st.Late.Max != 0 || st.Missed != 0 || st.Ticks != 600 || st.Queued != 0 {
			t.Errorf("Run took %v, stats %+v", took, st)
		}
		if st.Batches != 0 || st.Dropped != 60 {
			t.Errorf("%d published and %d dropped, want 0 and 60", st.Batches, st.Dropped)
		}
	})
}

// One batch that the bus never takes must not block the others for ever.
func TestPoisonBatchIsDroppedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &tape{refuse: func(b *power.Batch) error {
			if b.Seq == 3 {
				return errors.New("too large")
			}
			return nil
		}}
		s := newSampler(newFake(0), bus)
		s.Queue = 5
		if _, err := runFor(t, s, 30*time.Second); err != nil {
			t.Fatal(err)
		}
		st := s.Stats()
		last := bus.batches[len(bus.batches)-1].Seq
		if st.Batches+st.Dropped != last || st.Dropped == 0 || st.Dropped > 4 {
			t.Errorf("stats %+v, last seq %d; want the poison and little else dropped", st, last)
		}
	})
}

func TestQueueDropsTheOldest(t *testing.T) {
	q := newQueue(2)
	for seq := uint64(1); seq <= 4; seq++ {
		dropped := q.put(&power.Batch{Seq: seq})
		if want := seq - 2; seq > 2 && (dropped == nil || dropped.Seq != want) || seq <= 2 && dropped != nil {
			t.Errorf("put %d dropped %+v, want batch %d", seq, dropped, int(want))
		}
	}
}

// Samplers share nothing: one that loses its source does not stop another.
func TestOneSourceGoneOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		dead, alive := newFake(0), newFake(0)
		dead.err = ErrGone
		one, two := newSampler(dead, &tape{}), newSampler(alive, &tape{})
		ended := make(chan error)
		go func() { ended <- one.Run(ctx) }()
		if err := two.Run(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrGone) {
			t.Errorf("the dead source ended with %v", err)
		}
		if got := two.Stats().Ticks; got < 50 {
			t.Errorf("%d ticks beside a dead source, want 50", got)
		}
	})
}
