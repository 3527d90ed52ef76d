package snmp

import (
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// checks compare what a PDU says with what else it says. They change no sample; what they find becomes notes.
type checks struct {
	pairs    []pair // power and energy of one row
	sums     []sum  // the phases of a unit and its whole
	apparent []apparentCheck
}

// Bounds of what counts as agreement.
const (
	persistent   = 3    // polls in a row: the rows of one answer need not be of one moment
	sumShare     = 0.05 // phases and whole may differ by this, and by a count each
	sumWatts     = 20   // and by this, for loads of a few watts
	apparentSlop = 0.02 // power may exceed the apparent power by this, and by a count each
)

// streak turns findings of single polls into a verdict that lasts.
type streak struct {
	verdict string
	bad     int
}

// settle takes one finding and returns the verdict if it is a new one.
func (s *streak) settle(bad bool, name string) (verdict string, changed bool) {
	verdict = "ok"
	if bad {
		if s.bad++; s.bad < persistent {
			return "", false
		}
		verdict = name
	} else {
		s.bad = 0
	}
	changed = verdict != s.verdict
	s.verdict = verdict
	return verdict, changed
}

// sum compares the power of a unit's phases with that of its whole.
type sum struct {
	streak
	device        string
	whole, phases []int // meters
}

// apparentCheck compares power with apparent power, which cannot be smaller.
type apparentCheck struct {
	streak
	device      string
	power, volt int // meter; point of the apparent power
}

// newChecks finds what can be compared. It counts meters and points as Source.adopt does.
func newChecks(l *layout, name string) checks {
	var c checks
	units := map[string]*sum{}
	var order []string
	meter := 0
	powers := make([]int, len(l.rows))
	for i := range l.rows {
		r := &l.rows[i]
		device := l.device(name) + "/" + r.name
		powers[i] = -1
		if r.power != nil {
			powers[i] = meter
			meter++
		}
		if r.energy != nil {
			if r.power != nil {
				c.pairs = append(c.pairs, pair{device: device, power: powers[i], energy: meter})
			}
			meter++
		}
		if units[r.chain] == nil {
			units[r.chain] = &sum{device: l.device(name)}
			order = append(order, r.chain)
		}
		u := units[r.chain]
		switch {
		case powers[i] < 0:
		case r.whole:
			u.whole = append(u.whole, powers[i])
		case r.level.Level == "phase":
			u.phases = append(u.phases, powers[i])
		}
	}
	for i := range l.rows {
		if r := &l.rows[i]; r.whole && r.apparent != nil {
			if powers[i] >= 0 {
				c.apparent = append(c.apparent, apparentCheck{device: l.device(name) + "/" + r.name, power: powers[i], volt: meter})
			}
			meter++
		}
	}
	for _, chain := range order {
		if u := units[chain]; len(u.whole) > 0 && len(u.phases) > 1 {
			c.sums = append(c.sums, *u)
		}
	}
	return c
}

// gap tells the checks that time has passed in which nothing was seen.
func (c *checks) gap() {
	for i := range c.pairs {
		c.pairs[i].restart()
	}
}

// check runs the checks on the samples of one poll, and notes new verdicts.
func (s *Source) check(samples []power.Sample, answers []answer) {
	for i := range s.checks.pairs {
		p := &s.checks.pairs[i]
		watts, energy := samples[p.power], samples[p.energy]
		if watts.Status != power.OK || energy.Status != power.OK {
			p.restart()
			continue
		}
		s.checkPair(p, watts, energy)
	}
	for i := range s.checks.sums {
		s.checkSum(&s.checks.sums[i], samples)
	}
	for i := range s.checks.apparent {
		a := &s.checks.apparent[i]
		va := s.points[a.volt].sample(a.volt, s.plan.slots[a.volt], answers)
		if w := samples[a.power]; w.Status == power.OK && va.Status == power.OK {
			p, v := s.points[a.power], s.points[a.volt]
			slop := float64(p.worth(p.step)+v.worth(v.step)) + apparentSlop*float64(v.worth(va.Raw))
			bad := float64(p.worth(w.Raw)) > float64(v.worth(va.Raw))+slop
			s.report(w.Time, a.device, "apparent_check", "below_power", &a.streak, bad)
		}
	}
}

func (s *Source) checkSum(u *sum, samples []power.Sample) {
	var total, slop [2]float64
	for k, list := range [][]int{u.whole, u.phases} {
		for _, m := range list {
			if samples[m].Status != power.OK {
				return
			}
			p := s.points[m]
			total[k] += float64(p.worth(samples[m].Raw))
			slop[k] += float64(p.worth(p.step))
		}
	}
	allowed := slop[0] + slop[1] + sumShare*max(total[0], total[1]) + sumWatts*float64(power.Watt)
	bad := max(total[0], total[1])-min(total[0], total[1]) > allowed
	s.report(samples[u.whole[0]].Time, u.device, "phases_check", "mismatch", &u.streak, bad)
}

// report notes a verdict that is new.
func (s *Source) report(t clock.Stamp, device, key, name string, k *streak, bad bool) {
	if verdict, changed := k.settle(bad, name); changed {
		s.note(t, device, key, verdict)
	}
}
