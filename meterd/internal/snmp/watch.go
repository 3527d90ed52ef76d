package snmp

import (
	"slices"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// watch looks for a device that was replaced or started again. The values of another device are nobody's until a search in
// the background has found out what they are.
func (s *Source) watch(answers []answer) {
	s.watchSerial(answers[0])
	ticks, at, ok := upTime(answers)
	if !ok {
		return
	}
	if !s.fresh && rebooted(s.uptime, ticks, at.Sub(s.upAt)) {
		s.note(at, "", "event", "reboot")
		s.checks.gap()
		s.again = at.Add(settleTime)
	}
	s.fresh, s.uptime, s.upAt = false, ticks, at
	if s.again != 0 && at >= s.again {
		s.again = 0
		s.search.begin(s.options, s.profiles)
	}
}

// settleTime is left to a device that started again, to bring up its sensors before it is searched.
const settleTime = 30 * time.Second

func (s *Source) watchSerial(a answer) {
	if s.layout.identity.serialOID == "" || len(a.values) < 2 {
		return
	}
	now := serialOf(a.values[1])
	if !distinct(now) {
		return // not read this time
	}
	other := now != s.layout.identity.serial
	if other && !s.other {
		s.note(a.time, "", "event", "replaced")
		s.checks.gap()
	}
	s.other = other
	if other {
		s.fresh = true // its uptime is no one's restart
		s.search.begin(s.options, s.profiles)
	}
}

// rebooted reports whether sysUpTime went back. It wraps at 2^32 hundredths of a second, which is after 497 days.
func rebooted(before, now int64, passed time.Duration) bool {
	const wraps, slack = 1 << 32, 6000 // a minute
	return now < before && before+passed.Milliseconds()/10 < wraps-slack
}

// upTime returns the device's uptime in hundredths of a second, as one of the answers has it.
func upTime(answers []answer) (ticks int64, at clock.Stamp, ok bool) {
	for _, a := range answers {
		if len(a.values) > 0 && a.values[0].form == integer {
			return a.values[0].n, a.time, true
		}
	}
	return 0, 0, false
}

// collect takes in what a search has found. After a restart the same device must still offer all that it did: what is
// missing may come up later, and its meters say meanwhile that they have no value.
func (s *Source) collect() {
	now := s.options.Now()
	out, ok := s.search.done(now)
	switch {
	case !ok:
	case out.err != nil:
		s.note(now, "", "search", "failed")
	case out.layout.identity.serial == s.layout.identity.serial && s.loses(&out.layout):
		s.note(now, "", "search", "fewer_values")
	default:
		s.adopt(out.layout)
	}
}

// loses reports whether the layout lacks meters that there are now.
func (s *Source) loses(l *layout) bool {
	next := l.meters(s.options.Name)
	return slices.ContainsFunc(s.Meters(), func(m power.Meter) bool {
		return !slices.ContainsFunc(next, func(n power.Meter) bool { return n.ID == m.ID })
	})
}
