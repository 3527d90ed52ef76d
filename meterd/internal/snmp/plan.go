package snmp

import (
	"slices"

	"agentwatt/shared/clock"
)

// Sizes of an answer. A PDU's agent answers within one datagram that is not fragmented: 1472 bytes of UDP on Ethernet,
// less what version 3 puts around it.
const (
	mostAnswerBytes  = 1300
	aroundBytes      = 60 // version, community, request
	valueBytes       = 14 // headers of a variable and of its value, and an integer
	textBytes        = 46 // the same for a serial number or another text
	fewestInOneAsked = 2
)

// plan says which OIDs are asked in which request. All values of a row are in one request as long as they fit, and every
// request has sysUpTime in front, so that each tells of a reboot.
type plan struct {
	parts [][]string
	slots []slot // of the points, in their order
}

// slot is where the values of one point are found in the answers.
type slot struct {
	part                int // negative: not asked at present
	value, valid, stamp int // place in the part; valid and stamp 0: not asked (0 is sysUpTime)
}

// arrange makes the plan for the points of a layout, in their order, with at most most OIDs in a request, and without what
// the device refuses.
func arrange(points []*point, serialOID string, most int, refused map[string]clock.Stamp) plan {
	var p plan
	size := p.open(serialOID)
	for _, x := range points {
		if left(refused, x.oid) {
			p.slots = append(p.slots, slot{part: -1})
			continue
		}
		asked := []string{x.oid}
		if x.valid != "" && !left(refused, x.valid) {
			asked = append(asked, x.valid)
		}
		if x.time != "" && !left(refused, x.time) {
			asked = append(asked, x.time)
		}
		more := 0
		for _, oid := range asked {
			more += encodedBytes(oid) + valueBytes
		}
		if x.reading.Text != "" {
			more += textBytes - valueBytes
		}
		last := len(p.parts) - 1
		if n := len(p.parts[last]); n >= fewestInOneAsked && (n+len(asked) > most || size+more > mostAnswerBytes) {
			last, size = last+1, p.open("")
		}
		p.slots = append(p.slots, p.place(last, x, asked))
		size += more
	}
	return p
}

// open begins another request, and returns how long its answer is so far.
func (p *plan) open(serialOID string) int {
	part, size := []string{sysUpTime}, aroundBytes+encodedBytes(sysUpTime)+valueBytes
	if serialOID != "" {
		part, size = append(part, serialOID), size+encodedBytes(serialOID)+textBytes
	}
	p.parts = append(p.parts, part)
	return size
}

// place adds the OIDs of a point to a part. One that another point of the part has asked for already is not asked twice.
func (p *plan) place(part int, x *point, asked []string) slot {
	s := slot{part: part}
	for _, oid := range asked {
		at := slices.Index(p.parts[part], oid)
		if at < 0 {
			at = len(p.parts[part])
			p.parts[part] = append(p.parts[part], oid)
		}
		switch oid {
		case x.oid:
			s.value = at
		case x.valid:
			s.valid = at
		case x.time:
			s.stamp = at
		}
	}
	return s
}
