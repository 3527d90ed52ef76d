package snmp

import (
	"errors"
	"strconv"
	"time"

	"agentwatt/shared/clock"
)

// refusedPause is how long a value is left out of the requests after the device refused all of a request because of it.
const refusedPause = time.Minute

// adapt changes the next requests after what the device did not like: it makes them smaller where an answer did not fit, and
// leaves out a value that makes it refuse the rest.
func (s *Source) adapt(answers []answer) {
	now, changed := s.options.Now(), false
	for i, a := range answers {
		asked := s.plan.parts[i]
		var r refusal
		switch n := len(asked); {
		case errors.Is(a.err, errTooBig) && n > fewestInOneAsked:
			s.options.MaxOIDs, changed = max(n/2, fewestInOneAsked), true
			s.note(a.time, "", "oids_per_request", strconv.Itoa(s.options.MaxOIDs))
		case errors.As(a.err, &r) && r.index > 1 && r.index <= n:
			oid := asked[r.index-1]
			s.refused[oid], changed = now.Add(refusedPause), true
			s.note(a.time, "", "refused_oid", oid)
		}
	}
	for oid, until := range s.refused {
		if now >= until {
			delete(s.refused, oid)
			changed = true
		}
	}
	if changed {
		s.plan = arrange(s.points, s.layout.identity.serialOID, s.options.MaxOIDs, s.refused)
	}
}

// left reports whether a value is to be left out.
func left(refused map[string]clock.Stamp, oid string) bool {
	_, out := refused[oid]
	return out
}
