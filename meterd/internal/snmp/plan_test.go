package snmp

import (
	"fmt"
	"slices"
	"testing"

	"agentwatt/shared/clock"
)

// Whatever the points and the bounds: every value is asked once, where the slots say, with sysUpTime in every request.
func TestArrange(t *testing.T) {
	var points []*point
	for i := range 100 {
		p := &point{reading: &Reading{}, oid: fmt.Sprintf("1.3.6.1.4.1.13742.6.5.4.3.1.4.1.%d.5", i)}
		if i%2 == 0 {
			p.valid = fmt.Sprintf("1.3.6.1.4.1.13742.6.5.4.3.1.2.1.%d.5", i)
		}
		if i%3 == 0 {
			p.time = "1.3.6.1.4.1.13742.6.5.4.3.1.5.1.1.5" // shared
		}
		points = append(points, p)
	}
	refused := map[string]clock.Stamp{points[5].oid: 1, points[6].valid: 1}
	for _, most := range []int{2, 3, 7, 20, 60, 1000} {
		p := arrange(points, "1.3.6.1.4.1.13742.6.3.2.1.1.4.1", most, refused)
		for i, part := range p.parts {
			size := aroundBytes
			for _, oid := range part {
				size += encodedBytes(oid) + valueBytes
			}
			if part[0] != sysUpTime || len(part) > max(most, 4) || size > mostAnswerBytes+100 || len(part) < 2 {
				t.Errorf("at most %d: request %d has %d OIDs and about %d bytes, the first is %s", most, i, len(part), size, part[0])
			}
		}
		for i, s := range p.slots {
			x := points[i]
			if left(refused, x.oid) {
				if s.part >= 0 {
					t.Errorf("%s is asked although the device refuses it", x.oid)
				}
				continue
			}
			part := p.parts[s.part]
			if part[s.value] != x.oid || x.valid != "" && !left(refused, x.valid) && part[s.valid] != x.valid || x.time != "" && part[s.stamp] != x.time {
				t.Errorf("at most %d: point %d is at the wrong place", most, i)
			}
		}
	}
	if all := slices.Concat(arrange(points[:10], "", 60, nil).parts...); len(all) != 1+10+5+1 {
		t.Errorf("ten points are %d OIDs, want 17 in one request", len(all))
	}
}
