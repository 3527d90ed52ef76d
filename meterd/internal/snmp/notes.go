package snmp

import (
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// mostNotes bounds what waits for a caller that never asks.
const mostNotes = 4096

// Notes appends what the reads since the last call came upon: what the device is, that it was lost, came back, started
// again or was replaced, and what the checks found.
func (s *Source) Notes(dst []power.Note) []power.Note {
	dst = append(dst, s.notes...)
	s.notes = s.notes[:0]
	return dst
}

// note remembers a fact until Notes is called. An empty device means the PDU.
func (s *Source) note(t clock.Stamp, device, key, val string) {
	if device == "" {
		device = s.layout.device(s.options.Name)
	}
	if len(s.notes) < mostNotes {
		s.notes = append(s.notes, power.Note{Time: t, Device: device, Key: key, Value: val})
	}
}

// noteIdentity says what the device is and since when its counters count.
func (s *Source) noteIdentity() {
	now, id := s.options.Now(), s.layout.identity
	for _, x := range []struct{ key, value string }{
		{"profile", s.layout.profile.Name}, {"model", id.model}, {"serial", id.serial}, {"firmware", id.firmware},
	} {
		if x.value != "" {
			s.note(now, "", x.key, x.value)
		}
	}
	for i := range s.layout.rows {
		if r := &s.layout.rows[i]; r.energy != nil && r.since != "" {
			s.note(now, s.layout.device(s.options.Name)+"/"+r.name, "energy_since", r.since)
		}
	}
}
