package characterise

import (
	"fmt"
	"math"
	"slices"
)

// mostGroups bounds into how many groups of cycles a recording is split to see how far their answers agree.
const mostGroups = 6

// leastExplained is the part of the values' variance that a window and a delay must explain.
const leastExplained = 0.5

// timing estimates window, delay and rise.
func (m *study) timing() {
	r := &m.result
	points := m.near()
	if len(points) < leastPoints {
		m.noTiming("too few values around the load's steps")
		return
	}
	if reason := m.noStep(); reason != "" {
		m.noTiming(reason)
		return
	}
	most := m.reach()
	f := newFit(m.curve, points, m.values.counter)
	// A read sees a change up to one read late, and a reference that is known at points blurs what lies between them.
	blur := math.Hypot(m.coarse, m.values.poll) / math.Sqrt(12)
	best := f.best(most, max(r.Period.Value/2, m.values.poll), blur, m.values.quantum)
	if len(f.points) < leastPoints {
		m.noTiming("too few values whose window the reference covers")
		return
	}
	if best.w > 1.5*most || best.c > 1.5*most {
		m.noTiming(fmt.Sprintf("the phases are too short: the best window, %.3g s, and delay, %.3g s, reach beyond one", best.w, best.c))
		return
	}
	uw, uc := m.spread(f, best)
	if !m.values.counter && f.explained(best) < leastExplained {
		m.noTiming(fmt.Sprintf("the values do not follow the %s, whatever window and delay", r.Against))
		return
	}
	if t := r.Period.Value; best.w > 2*t { // a long window is made of refreshes, each of which may itself be a mean over a period
		uw = math.Hypot(uw, t/math.Sqrt(3))
	}
	r.Delay = Estimate{Value: best.c, U: 2 * math.Hypot(math.Hypot(uc, blur/2), m.curve.clock)}
	r.Window = Estimate{Value: best.w, U: 2 * math.Hypot(uw, blur)}
	if math.IsInf(uw, 0) || math.IsInf(uc, 0) {
		m.noTiming("the values do not tell one window or delay from another")
		return
	}
	if m.values.counter {
		r.Window = Estimate{Reason: "a counter has no window"}
	} else if early := best.w/2 - best.c; early > r.Delay.U+r.Window.U/2 {
		r.Notes = append(r.Notes, fmt.Sprintf("values show %.3g s before their window has ended: the clocks of sensor and %s disagree", early, r.Against))
	}
	r.Rise = m.rise()
}

func (m *study) noTiming(reason string) {
	no := Estimate{Reason: reason}
	m.result.Window, m.result.Delay, m.result.Rise = no, no, no
}

// reach is the longest window and delay that are looked for.
func (m *study) reach() float64 {
	var lengths []float64
	for _, p := range m.phases {
		lengths = append(lengths, p.end-p.begin)
	}
	return min(max(medianOf(lengths), 0.5), 10)
}

// near returns the refreshes that tell about timing: those around the steps, where the curve is known. Of a counter it is
// all: its energy adds up.
func (m *study) near() []point {
	most := m.reach()
	return slices.DeleteFunc(slices.Clone(m.refresh), func(p point) bool {
		if !m.curve.covers(p.at, p.at) {
			return true
		}
		return !m.values.counter && !slices.ContainsFunc(m.phases[1:], func(e phase) bool {
			return math.Abs(p.at-e.begin) < 2*most
		})
	})
}

// noStep says why the values do not follow the load; empty: they do.
func (m *study) noStep() string {
	busy, idle := m.levels()
	bm, bs := meanOf(busy)
	im, is := meanOf(idle)
	if len(busy) < 2 || len(idle) < 2 {
		return "no values while the load was steady"
	}
	if step := bm - im; step < 0.02*math.Abs(bm) || step < 3*(bs+is)/math.Sqrt(float64(min(len(busy), len(idle)))) {
		return fmt.Sprintf("no step: %.4g W idle, %.4g W busy", im, bm)
	}
	return ""
}

// levels returns the powers seen in the later halves of the phases.
func (m *study) levels() (busy, idle []float64) {
	for _, p := range m.phases {
		for i, q := range m.refresh {
			v := q.value
			if m.values.counter {
				if i == 0 {
					continue
				}
				v = (q.value - m.refresh[i-1].value) / (q.at - m.refresh[i-1].at)
			}
			if q.at < (p.begin+p.end)/2 || q.at > p.end {
				continue
			}
			if p.busy {
				busy = append(busy, v)
			} else {
				idle = append(idle, v)
			}
		}
	}
	return busy, idle
}

// spread returns the standard uncertainties of window and delay: from how fast the fit worsens around the best place, or
// from how far groups of cycles agree, which includes what no model of the noise knows; whichever is larger.
func (m *study) spread(f *fit, best place) (uw, uc float64) {
	uw, uc = f.curvature(best, max(f.blur, m.result.Period.Value/20))
	var ws, cs []float64
	for _, points := range m.groups(f.points) {
		if len(points) < 6 {
			continue
		}
		p := f.of(points).zoom(best, max(2*f.blur, m.result.Period.Value/2))
		ws, cs = append(ws, p.w), append(cs, p.c)
	}
	if len(ws) >= 3 {
		uw, uc = max(uw, ofMean(ws)), max(uc, ofMean(cs))
	}
	return uw, uc
}

// groups splits points by cycle into at most mostGroups groups of whole cycles.
func (m *study) groups(points []point) [][]point {
	var begins []float64 // of cycles: in the middle of the phase before each step up
	for i := 1; i < len(m.phases); i++ {
		if m.phases[i].busy {
			begins = append(begins, (m.phases[i-1].begin+m.phases[i-1].end)/2)
		}
	}
	n := min(len(begins), mostGroups)
	list := make([][]point, n)
	for _, p := range points {
		i, _ := slices.BinarySearch(begins, p.at)
		i = min(max(i-1, 0)*n/len(begins), n-1)
		list[i] = append(list[i], p)
	}
	return list
}

// rise measures how long values take from 10 % to 90 % of a step up. Between two refreshes nothing is seen, so a sensor
// faster than its period shows about 0.8 periods.
func (m *study) rise() Estimate {
	if m.values.counter {
		return Estimate{Reason: "a counter has no rise"}
	}
	var times []float64
	for i := 1; i < len(m.phases); i++ {
		if up := m.phases[i]; up.busy {
			if t, ok := m.riseAt(m.phases[i-1], up); ok {
				times = append(times, t)
			}
		}
	}
	if len(times) < 2 {
		return Estimate{Reason: fmt.Sprintf("%d clean steps up, want 2", len(times))}
	}
	mean, _ := meanOf(times)
	return Estimate{Value: mean, U: 2 * ofMean(times)}
}

func (m *study) riseAt(before, up phase) (float64, bool) {
	var low, high []float64
	for _, p := range m.refresh {
		switch {
		case p.at > (before.begin+before.end)/2 && p.at < before.end:
			low = append(low, p.value)
		case p.at > (up.begin+up.end)/2 && p.at < up.end:
			high = append(high, p.value)
		}
	}
	if len(low) < 2 || len(high) < 2 {
		return 0, false
	}
	a, b := medianOf(low), medianOf(high)
	if b <= a {
		return 0, false
	}
	first, ok := m.crossing(before.end-m.result.Period.Value, a+(b-a)/10)
	last, ok2 := m.crossing(before.end-m.result.Period.Value, b-(b-a)/10)
	return last - first, ok && ok2 && last < up.end
}

// crossing returns when the values first go above a level after a time, on the line between two refreshes.
func (m *study) crossing(after, level float64) (float64, bool) {
	for i := 1; i < len(m.refresh); i++ {
		a, b := m.refresh[i-1], m.refresh[i]
		if b.at > after && b.value >= level {
			if a.value >= level || a.at < after-10 {
				return b.at, true
			}
			return a.at + (b.at-a.at)*(level-a.value)/(b.value-a.value), true
		}
	}
	return 0, false
}
