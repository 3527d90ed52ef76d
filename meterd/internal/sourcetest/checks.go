package sourcetest

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

func meters(t *testing.T, r *rig) {
	for _, p := range checkMeters(r.source.Meters()) {
		t.Error(p)
	}
}

// reads checks the cadence: some value comes, and the times of a meter go up from read to read.
func reads(t *testing.T, r *rig) {
	last := map[int]power.Sample{}
	values := 0
	for range 5 {
		got := r.read(t)
		values += len(got.values())
		for _, s := range got.samples {
			if before, ok := last[s.Meter]; ok && !later(before, s) {
				t.Errorf("meter %d: time %d, device %d after %d, %d", s.Meter, s.Time, s.Device, before.Time, before.Device)
			}
			last[s.Meter] = s
		}
		r.Advance(t, r.Step)
	}
	if values == 0 {
		t.Error("no value in 5 reads")
	}
}

// appends checks that a read leaves alone what it was given.
func appends(t *testing.T, r *rig) {
	given := []power.Sample{{Meter: 7, Raw: 77}, {Meter: 8, Raw: 88}}
	dst := slices.Clone(given)
	got, err := r.source.Read(t.Context(), dst)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(given, got[:min(2, len(got))]); diff != "" {
		t.Errorf("Read changed what it should append to:\n%s", diff)
	}
}

// cancels checks that a cancelled read returns, with the error of the context or with values, and blames no device.
func cancels(t *testing.T, r *rig) {
	status := map[int]power.Status{}
	for _, s := range r.read(t).samples {
		status[s.Meter] = s.Status
	}
	r.Advance(t, r.Step)
	given := make([]power.Sample, 1, 100)
	prompt(t, "a cancelled read", func() {
		got, err := r.source.Read(cancelled(t), given)
		if err != nil && len(got) != len(given) {
			t.Errorf("a read with an error returned %d samples, want dst as it came", len(got)-1)
		}
		for _, s := range got[1:] {
			if s.Status != status[s.Meter] {
				t.Errorf("meter %d has status %d because the read was cancelled", s.Meter, s.Status)
			}
		}
	})
	r.Advance(t, r.Step)
	r.read(t) // and the next one works again
}

// concurrent lets somebody look at the meters while reads go on and devices come and go; the race detector judges.
func concurrent(t *testing.T, r *rig) {
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				for _, m := range r.source.Meters() {
					_ = m.ID
				}
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	for i := range 20 {
		if r.Lose != nil && r.Restore != nil {
			switch i {
			case 5:
				r.Lose(t)
			case 10:
				r.Restore(t)
			}
		}
		r.read(t)
		r.Advance(t, r.Step/10)
	}
}

func closes(t *testing.T, r *rig) {
	r.read(t)
	prompt(t, "Close", func() {
		for range 2 {
			if err := r.source.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}
	})
	got, err := r.source.Read(t.Context(), nil)
	if err != nil {
		return
	}
	for _, s := range got {
		if s.Status == power.OK {
			t.Errorf("meter %d has a value after Close", s.Meter)
		}
	}
}

func allocations(t *testing.T, r *rig) {
	dst := make([]power.Sample, 0, 4096)
	read := func() {
		if _, err := r.source.Read(t.Context(), dst); err != nil {
			t.Fatal(err)
		}
	}
	read()
	if got := testing.AllocsPerRun(100, read); got > r.Allocs {
		t.Errorf("%v allocations per read, want at most %v", got, r.Allocs)
	}
}

// unsupported checks that a value that is not there is absent and never 0.
func unsupported(t *testing.T, r *rig) {
	before := r.read(t).values()
	r.Hide(t)
	r.until(t, "an unsupported value", func(got reading) bool {
		after := got.values()
		hidden := false
		for id := range before {
			if v, ok := after[id]; ok && v == 0 && before[id] != 0 {
				t.Fatalf("meter %q reads 0 where it has no value", id)
			} else if !ok {
				hidden = true
			}
		}
		for _, s := range got.samples {
			if s.Status == power.Lost {
				t.Fatalf("meter %q is reported lost, but its device is there", got.meters[s.Meter].ID)
			}
		}
		return hidden
	})
}

// lost checks that a device that goes away leaves marks instead of values, and has values again when it is back.
func lost(t *testing.T, r *rig) {
	before := r.read(t).values()
	r.Lose(t)
	r.until(t, "a lost device", func(got reading) bool {
		for id, v := range got.values() {
			if v == 0 && before[id] != 0 {
				t.Fatalf("meter %q reads 0 while its device is away", id)
			}
		}
		marked := false
		for _, s := range got.samples {
			marked = marked || s.Status == power.Lost
		}
		return marked || len(got.meters) < len(before)
	})
	r.Restore(t)
	r.until(t, "the device coming back", func(got reading) bool {
		after := got.values()
		for id := range before {
			if _, ok := after[id]; !ok {
				return false
			}
		}
		return true
	})
}

// reset checks that a counter that starts again is passed on as it is: what to make of it is for power.Between.
func reset(t *testing.T, r *rig) {
	before := r.read(t)
	r.Reset(t)
	r.until(t, "a counter below its value before", func(got reading) bool {
		after := got.values()
		for _, m := range got.meters {
			now, ok := after[m.ID]
			if was, had := before.values()[m.ID]; ok && had && m.Quantity == power.Counter && now < was {
				return true
			}
		}
		return false
	})
}
