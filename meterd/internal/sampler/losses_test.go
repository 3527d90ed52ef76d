package sampler

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

// accounted checks that each batch up to last is stored or named as lost, by a stored batch or at the end, and none both.
func accounted(t *testing.T, bus *tape, unsaid []power.Loss, last uint64) {
	t.Helper()
	seen := map[uint64]int{}
	for _, b := range bus.batches {
		seen[b.Seq]++
		unsaid = append(unsaid, b.Losses...)
	}
	for _, l := range unsaid {
		for seq := l.First; seq <= l.Last; seq++ {
			seen[seq]++
		}
	}
	for seq := uint64(1); seq <= last; seq++ {
		if seen[seq] != 1 {
			t.Errorf("batch %d is accounted for %d times", seq, seen[seq])
		}
	}
	if len(seen) != int(last) {
		t.Errorf("%d batches are accounted for, want %d", len(seen), last)
	}
}

func TestLossesAreSaidInTheNextStoredBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		bus := &tape{refuse: func(*power.Batch) error {
			if d := time.Since(began); d > 10*time.Second && d < 60*time.Second {
				return errors.New("gone")
			}
			return nil
		}}
		s := newSampler(newFake(0), bus)
		s.Queue = 8
		if _, err := runFor(t, s, 80*time.Second-time.Millisecond); err != nil {
			t.Fatal(err)
		}
		var said []power.Loss
		for i, b := range bus.batches {
			if said = append(said, b.Losses...); len(b.Losses) > 0 && b.Losses[0].Last != b.Seq-1 || i > 0 && b.Seq != bus.batches[i-1].Seq+1 && len(b.Losses) == 0 {
				t.Errorf("batch %d after the gap names %+v", b.Seq, b.Losses)
			}
		}
		if len(said) != 1 || said[0].Run != "r" || said[0].Source != "fake" || said[0].Reason != power.LostQueue || said[0].Last-said[0].First+1 != s.Stats().Dropped {
			t.Errorf("named %+v of %d dropped", said, s.Stats().Dropped)
		}
		if rest := s.Unsaid(); len(rest) != 0 {
			t.Errorf("left to say: %+v", rest)
		}
		accounted(t, bus, nil, 80)
	})
}

func TestPoisonIsSaidToBeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := &tape{refuse: func(b *power.Batch) error {
			if b.Seq == 3 {
				return errors.New("too large")
			}
			return nil
		}}
		s := newSampler(newFake(0), bus)
		s.Queue = 5
		if _, err := runFor(t, s, 30*time.Second-time.Millisecond); err != nil {
			t.Fatal(err)
		}
		accounted(t, bus, s.Unsaid(), 30)
		if l := bus.batches[2].Losses; len(l) != 1 || l[0].First != 3 {
			t.Errorf("batch %d names %+v", bus.batches[2].Seq, l)
		}
	})
}

// What the bus never took is for the caller to say.
func TestUnsaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSampler(newFake(0), &tape{slow: time.Hour})
		s.Queue = 8
		if _, err := runFor(t, s, time.Minute-time.Millisecond); err != nil {
			t.Fatal(err)
		}
		want := []power.Loss{{Run: "r", Source: "fake", First: 1, Last: 60, Reason: power.LostQueue}}
		if diff := cmp.Diff(want, s.Unsaid()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A bus that fails at random: every batch is stored or named, once. Publishing fails at times although the bus has stored the
// batch, as when the answer is lost; it is then stored once by its id, and may be named as lost beside.
func TestEveryBatchIsStoredOrNamed(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 4))
			bus := &tape{refuse: func(*power.Batch) error {
				if random.IntN(20) != 0 {
					return errors.New("no")
				}
				return nil
			}}
			s := newSampler(newFake(0), bus)
			s.Queue = 3
			if _, err := runFor(t, s, 200*time.Second-time.Millisecond); err != nil {
				t.Fatal(err)
			}
			if s.Stats().Dropped == 0 || s.Stats().Batches == 0 {
				t.Fatalf("nothing was lost, or all: %+v", s.Stats())
			}
			accounted(t, bus, s.Unsaid(), 200)
		})
	}
}

func TestLossesMerge(t *testing.T) {
	for range 200 {
		var l losses
		order := rand.Perm(50)
		for _, seq := range order {
			l.add(&power.Batch{Run: "a", Source: "s", Seq: uint64(seq + 1)}, power.LostRefused)
		}
		want := []power.Loss{{Run: "a", Source: "s", First: 1, Last: 50, Reason: power.LostRefused}}
		if diff := cmp.Diff(want, l.list()); diff != "" {
			t.Fatalf("after %v (-want +got):\n%s", order, diff)
		}
	}
	var l losses
	l.add(&power.Batch{Run: "a", Seq: 2}, power.LostRefused)
	l.add(&power.Batch{Run: "b", Seq: 3}, power.LostRefused)
	l.add(&power.Batch{Run: "a", Seq: 5}, power.LostQueue)
	attached := l.attach(nil)
	l.add(&power.Batch{Run: "a", Seq: 9}, power.LostQueue) // while the batch with those is under way
	l.said(len(attached))
	if got := l.list(); len(attached) != 3 || len(got) != 1 || got[0].First != 9 {
		t.Errorf("attached %+v, left %+v", attached, got)
	}
	for seq := uint64(100); seq < 500; seq += 2 {
		l.add(&power.Batch{Run: "a", Seq: seq}, power.LostQueue)
	}
	if got := len(l.attach(nil)); got != mostLosses {
		t.Errorf("%d ranges in one batch", got)
	}
	if n := testing.AllocsPerRun(100, func() { (&losses{}).attach(nil) }); n > 1 {
		t.Errorf("saying nothing allocates %v times", n)
	}
	if slices.ContainsFunc(l.list(), func(x power.Loss) bool { return x.Last < x.First }) {
		t.Error("an empty range")
	}
}
