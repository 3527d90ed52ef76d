package characterise

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Schedule says how a load is switched. The length of every phase is random between Shortest and twice that: a load that
// kept step with the sensor's refresh would show it always the same part of a phase, and could be laid beside a reference
// with an unknown clock in many ways.
type Schedule struct {
	Cycles   int           // pairs of a busy and an idle phase
	Shortest time.Duration // a phase; it must be longer than the sensor's window and delay together, several times
	Seed     uint64        // the same seed gives the same schedule
}

// The bounds on a schedule.
const (
	mostCycles   = 1000
	mostShortest = 10 * time.Minute
)

// Phases returns the lengths of the phases: busy, idle, busy, idle, ...
func (s Schedule) Phases() ([]time.Duration, error) {
	if s.Cycles < 1 || s.Cycles > mostCycles || s.Shortest <= 0 || s.Shortest > mostShortest {
		return nil, errors.New("a schedule has 1 to 1000 cycles, and phases of up to 10 minutes")
	}
	r := rand.New(rand.NewPCG(s.Seed, uint64(s.Cycles)))
	list := make([]time.Duration, 2*s.Cycles)
	for i := range list {
		list[i] = s.Shortest + time.Duration(r.Int64N(int64(s.Shortest)))
	}
	return list, nil
}

// Length returns how long Drive takes for the phases, the first idle one included.
func (s Schedule) Length() (time.Duration, error) {
	list, err := s.Phases()
	total := s.Shortest
	for _, d := range list {
		total += d
	}
	return total, err
}
