package redfish

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// pointState is what the reads of one point remember, for notes.
type pointState struct {
	raw      int64
	device   clock.Stamp
	follows  int    // reads in a row in which only the device's time moved
	decimals int    // most that were seen, plus one
	doubt    string // implausible things that were noted
	rounded  bool   // noted
	followed bool   // noted
}

// follow is after how many reads in a row, in which the value stands still and its time is that of the read, that time is
// taken for the time of the request.
const follow = 20

// watch notes what a reading shows about the sensor, each thing once.
func (s *Source) watch(p *point, x *power.Sample, n number, rounded bool, around excerpt, r *resource) {
	st := &p.state
	device := s.meterOf(p).Device
	if rounded && !st.rounded {
		st.rounded = true
		s.note(device, p.key("rounded_to_decimals"), strconv.Itoa(kinds[p.kind].decimals))
	}
	if f := fraction(n.text); f >= st.decimals {
		st.decimals = f + 1
		s.note(device, p.key("decimals"), strconv.Itoa(f))
		s.refine(p, f)
	}
	if doubt := implausible(p.kind, around, r); doubt != st.doubt {
		st.doubt = doubt
		s.note(device, p.key("implausible"), cmp.Or(doubt, "no-longer"))
	}
	if x.Device != 0 && kinds[p.kind].quantity != power.Counter {
		s.follows(p, x)
	}
}

// refine declares the resolution of a meter whose readings show the given number of decimals. A device may leave out zeros at the end,
// so the most that were seen count.
func (s *Source) refine(p *point, decimals int) {
	l := *s.layout.Load()
	step := int64(1)
	for range kinds[p.kind].decimals - decimals {
		step *= 10
	}
	if step == l.meters[p.meter].Resolution() {
		return
	}
	l.meters = slices.Clone(l.meters)
	l.meters[p.meter].Step = step
	s.layout.Store(&l)
}

// follows notes a device time that is only that of the request: it moves with every read, faster than the sensor is said
// to look, while the value stands still. Of a counter nothing can be said, as a coarse one stands still rightly.
func (s *Source) follows(p *point, x *power.Sample) {
	st, m := &p.state, s.meterOf(p)
	step := x.Device.Sub(st.device)
	off := x.Time.Sub(x.Device.Add(-s.ahead))
	honest := m.Period > 0 && step > m.Period*9/10
	if x.Raw == st.raw && step != 0 && !honest && off.Abs() < 2*time.Second {
		st.follows++
	} else {
		st.follows = 0
	}
	if st.follows == follow && !st.followed {
		st.followed = true
		s.note(m.Device, p.key("reading_time"), "that-of-the-request") // as far as can be seen
	}
	st.raw, st.device = x.Raw, x.Device
}

// Tolerances of the plausibility checks: readings are rounded, and not taken at the same instant.
const (
	tolerance  = 0.01 // of the reading
	tolerateBy = 1    // watts
)

// implausible says what contradicts itself around a power reading: real power above apparent power, a power factor out of
// range or other than their ratio, phases that do not add up.
func implausible(k kind, e excerpt, r *resource) string {
	w, ok := e.Reading.float()
	if !ok || k == energy || k == joules {
		return ""
	}
	var doubts []string
	va, hasVA := e.ApparentVA.float()
	if hasVA && w > va*(1+tolerance)+tolerateBy {
		doubts = append(doubts, "more-watts-than-va")
	}
	if pf, ok := e.PowerFactor.float(); ok {
		switch {
		case math.Abs(pf) > 1:
			doubts = append(doubts, "power-factor-out-of-range")
		case hasVA && va > 0 && math.Abs(pf-w/va) > 0.05:
			doubts = append(doubts, "power-factor-is-not-watts-per-va")
		}
	}
	if sum, ok := r.PolyPhasePowerWatts.sum(); ok && k == watts && math.Abs(sum-w) > 5*tolerance*math.Abs(w)+tolerateBy {
		doubts = append(doubts, "phases-do-not-add-up")
	}
	return strings.Join(doubts, ",")
}

// sum adds the phases: those to neutral where there are any, else those between lines.
func (p phases) sum() (total float64, ok bool) {
	for _, group := range [][]excerpt{
		{p.Line1ToNeutral, p.Line2ToNeutral, p.Line3ToNeutral},
		{p.Line1ToLine2, p.Line2ToLine3, p.Line3ToLine1},
	} {
		for _, e := range group {
			if v, has := e.Reading.float(); has {
				total, ok = total+v, true
			}
		}
		if ok {
			return total, true
		}
	}
	return 0, false
}
