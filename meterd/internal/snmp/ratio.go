package snmp

import (
	"strconv"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// pair compares a counter with the power of the same row: what it counted with the power times the time. It catches a
// counter in kWh that is read as Wh, and one that does not count.
type pair struct {
	device        string
	power, energy int // meters

	time    clock.Stamp // of the last look; 0: none
	watts   power.Power // then
	count   int64       // then
	changes bool        // the stretch began at a change of the counter, so that it is not off by the time until then
	held    power.Energy
	moved   int64 // counts since the stretch began
	verdict string
	windows bool // the shortest window was noted
}

// Bounds of the comparison.
const (
	enoughMoved = 10               // steps of the counter in a stretch, for a first verdict within 10 %
	idleCounts  = 20               // steps that the power says have passed while the counter stood still
	slowCounts  = 100              // the same, after which two changes are enough
	longestLook = 30 * time.Second // between looks; the power in between is not known
	mostRatio   = 1.25
	leastRatio  = 0.8
	kilo        = 1000
	kiloSpan    = 3 // a ratio within this factor of 1000 or 1/1000 is a mistaken unit
)

// restart forgets the stretch in progress.
func (p *pair) restart() { p.time, p.changes, p.held, p.moved = 0, false, 0, 0 }

// checkPair takes the samples of one poll.
func (s *Source) checkPair(p *pair, watts, energy power.Sample) {
	w, e := s.points[p.power], s.points[p.energy]
	now := power.Power(w.worth(watts.Raw))
	if !p.windows && now > 0 {
		p.windows = true
		shortest := ShortestWindow(power.Energy(e.worth(e.step)), now)
		s.note(energy.Time, p.device, "shortest_window_seconds", strconv.FormatInt(int64(shortest.Seconds()+0.5), 10))
	}
	if verdict, ratio := p.look(energy.Time, now, energy.Raw, e.step, power.Energy(e.worth(e.step))); verdict != "" {
		s.note(energy.Time, p.device, "energy_check", verdict)
		s.note(energy.Time, p.device, "energy_to_power_ratio", strconv.FormatFloat(ratio, 'g', 4, 64))
	}
}

// look adds one look and returns the verdict if it is a new one, with the ratio of counted energy to power times time.
// step is the counter's least change, in counts, and worth its energy.
func (p *pair) look(t clock.Stamp, watts power.Power, count, step int64, worth power.Energy) (verdict string, ratio float64) {
	passed := t.Sub(p.time)
	if p.time == 0 || passed > longestLook || passed <= 0 || count < p.count {
		p.restart()
		p.time, p.watts, p.count = t, watts, count
		return "", 0
	}
	p.held += (p.watts/2 + watts/2).Over(passed)
	change := count - p.count
	p.time, p.watts, p.count = t, watts, count
	expected := float64(p.held) / float64(worth) // steps
	switch {
	case change > 0 && !p.changes:
		p.changes, p.held, p.moved = true, 0, 0
		return "", 0
	case change > 0:
		p.moved += change
		if p.moved < enoughMoved*step && expected < slowCounts {
			return "", 0
		}
		ratio = float64(p.moved) / float64(step) / expected
		p.held, p.moved = 0, 0
		return p.settle(judge(ratio), ratio)
	case p.moved == 0 && expected >= idleCounts && p.verdict != "kwh_as_wh":
		return p.settle("frozen", 0)
	}
	return "", 0
}

// judge names what a ratio means.
func judge(ratio float64) string {
	switch {
	case ratio >= leastRatio && ratio <= mostRatio:
		return "ok"
	case ratio > kilo/kiloSpan && ratio < kilo*kiloSpan:
		return "wh_as_kwh"
	case ratio*kilo > 1.0/kiloSpan && ratio*kilo < kiloSpan:
		return "kwh_as_wh"
	}
	return "mismatch"
}

func (p *pair) settle(verdict string, ratio float64) (string, float64) {
	if verdict == p.verdict {
		return "", 0
	}
	p.verdict = verdict
	return verdict, ratio
}
