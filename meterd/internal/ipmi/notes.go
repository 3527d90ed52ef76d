package ipmi

import (
	"strconv"

	"agentwatt/shared/power"
)

// note keeps a fact about the node for Notes.
func (s *Source) note(key, value string) {
	s.notes = append(s.notes, power.Note{Time: s.o.Now(), Device: s.device, Key: key, Value: value})
}

// describe notes what was found when the source was opened.
func (s *Source) describe(fromSupplies bool) {
	s.note("bmc_manufacturer", s.id.maker())
	s.note("bmc_product_id", strconv.Itoa(int(s.id.product)))
	s.note("bmc_firmware", s.id.firmware)
	if s.id.guid != "" {
		s.note("bmc_guid", s.id.guid)
	}
	if c := s.link.cipher(); c != 0 {
		s.note("bmc_cipher_suite", strconv.Itoa(c))
	}
	if fromSupplies {
		s.note("node_power_from", "psu_inputs") // a supply without a sensor is missing from their sum
	}
	for i, p := range s.ports {
		if p.sensor != nil {
			s.notes = append(s.notes, power.Note{Time: s.o.Now(), Device: s.meters[i].Device, Key: "quantisation_watts",
				Value: strconv.FormatFloat(p.sensor.line.step, 'g', 6, 64)})
		}
	}
}

// Notes appends what was found out since the last call.
func (s *Source) Notes(dst []power.Note) []power.Note {
	dst = append(dst, s.notes...)
	s.notes = s.notes[:0]
	return dst
}
