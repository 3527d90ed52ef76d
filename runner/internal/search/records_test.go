package search

import (
	"testing"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// Every record is taken exactly once, whenever it comes, and belongs to the phase during which its request was due.
func TestLogLosesNothingBetweenPhases(t *testing.T) {
	var l log
	var taken []bench.Record
	next := 0
	emit := func(sched clock.Stamp) { l.add(bench.Record{Turn: next, Sched: sched}); next++ }
	for phase := 1; phase <= 3; phase++ {
		begin := clock.Stamp(100 * phase)
		l.start(phase, begin)
		emit(begin - 1) // under way since the phase before
		emit(begin + 1)
		taken = append(taken, l.take()...)
		emit(begin + 2) // ends while the phase is being written down
	}
	l.start(4, 400)
	taken = append(taken, l.take()...)
	if len(taken) != next {
		t.Fatalf("%d of %d records taken", len(taken), next)
	}
	for i, r := range taken {
		if want := int(r.Sched / 100); r.Turn != i || r.Phase != want {
			t.Errorf("record %d: turn %d, phase %d, want turn %d, phase %d", i, r.Turn, r.Phase, i, want)
		}
	}
}
