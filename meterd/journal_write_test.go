package main

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"

	gocmp "github.com/google/go-cmp/cmp"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// fullBus is a bus whose store is full. It asks for room, and takes a batch that names what goes, after which there is some.
type fullBus struct {
	stored []power.Batch
	room   atomic.Bool
	ask    func() // nil: nobody is there to make room
	tried  int
}

func (f *fullBus) Publish(context.Context, *power.Batch) error { panic("the journal signs") }

func (f *fullBus) PublishSigned(_ context.Context, b *power.Batch) error {
	f.tried++
	if !f.room.Load() && !slices.ContainsFunc(b.Losses, func(l power.Loss) bool { return l.Reason == power.LostSize }) {
		if f.ask != nil {
			go f.ask()
		}
		return errors.New("maximum bytes exceeded")
	}
	c := *b
	c.Losses, c.Notes = slices.Clone(b.Losses), slices.Clone(b.Notes)
	f.stored = append(f.stored, c)
	return nil
}

// said lists the journal's batches that are stored, and those that they name, by number.
func (f *fullBus) said() (stored, named []uint64, notes []string) {
	for _, b := range f.stored {
		stored = append(stored, b.Seq)
		for _, l := range b.Losses {
			for n := l.First; l.Source == journalSource && n <= l.Last; n++ {
				named = append(named, n)
			}
		}
		for _, n := range b.Notes {
			notes = append(notes, n.Key)
		}
	}
	return stored, named, notes
}

func newJournal(bus publisher) *journal {
	return &journal{bus: bus, host: "h", segments: clock.NewSegments("P1")}
}

var makesRoom = []power.Loss{{Run: "P1", Source: "nvml", First: 1, Last: 9, Reason: power.LostSize}}

// TestJournalLetsRoomBeMade: who makes room in a full store has to say in the journal what goes, while the journal waits for room.
func TestJournalLetsRoomBeMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fullBus{}
		j := newJournal(f)
		f.ask = func() {
			if err := j.record(t.Context(), makesRoom); err != nil {
				t.Error(err)
			}
			f.room.Store(true)
		}
		if err := j.write(t.Context(), []power.Note{{Key: noteStop}}, nil); err != nil {
			t.Fatalf("the last word is not stored: %v", err)
		}
		stored, named, notes := f.said()
		if !slices.Equal(stored, []uint64{2, 3}) || !slices.Equal(named, []uint64{1}) || !slices.Equal(notes, []string{noteStop}) {
			t.Errorf("batches %v stored, %v named, notes %q; want 2 and 3, 1, stop", stored, named, notes)
		}
	})
}

// TestJournalOwesWhatItCouldNotSay: a batch that was never stored is named, and what was in it is said by the next one.
func TestJournalOwesWhatItCouldNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fullBus{}
		j := newJournal(f)
		before := power.Loss{Run: "P0", Source: journalSource, First: 16, Last: 16, Reason: power.LostStop}
		if err := j.write(t.Context(), []power.Note{{Key: noteStart}}, []power.Loss{before}); err == nil || f.tried != journalTries {
			t.Fatalf("a full store took it: %v after %d tries", err, f.tried)
		}
		begun := j.segments.Now()
		if err := j.record(t.Context(), makesRoom); err != nil {
			t.Fatal(err)
		}
		stored, named, notes := f.said()
		if !slices.Equal(stored, []uint64{4}) || !slices.Equal(notes, []string{noteStart}) {
			t.Errorf("batches %v stored with notes %q, want 4 with start", stored, notes)
		}
		slices.Sort(named)
		if diff := gocmp.Diff([]uint64{1, 2, 3, 16}, named); diff != "" {
			t.Errorf("named of the journal (-want +got):\n%s", diff)
		}
		if at := f.stored[0].Notes[0].Time; at == 0 || at > begun {
			t.Errorf("start is at %v, said at %v: want when it happened", at, begun)
		}
		f.room.Store(true)
		if err := j.record(t.Context(), nil); err != nil || len(f.stored[1].Losses)+len(f.stored[1].Notes) != 0 {
			t.Errorf("%v; said again: %+v", err, f.stored[1])
		}
	})
}

// TestRefusedRecordIsNotOwed: what could not be put on record is not discarded, so nothing may say later that it was.
func TestRefusedRecordIsNotOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fullBus{}
		j := newJournal(f)
		planned := []power.Loss{{Run: "P1", Source: "nvml", First: 1, Last: 9, Reason: power.LostAge}}
		if err := j.record(t.Context(), planned); err == nil {
			t.Fatal("a full store took it")
		}
		f.room.Store(true)
		if err := j.write(t.Context(), nil, nil); err != nil {
			t.Fatal(err)
		}
		for _, l := range f.stored[0].Losses {
			if l.Source == "nvml" {
				t.Errorf("named without being discarded: %+v", l)
			}
		}
	})
}
