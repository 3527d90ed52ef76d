package characterise

import (
	"cmp"
	"math"
	"slices"
)

// best finds the best place with windows up to most and delays up to most. First all values count the same, which tells the
// noise; then the neighbourhood is searched again with the noise known, and without values whose window would lie outside
// of the curve. fine is about the shortest window that matters, blur how well a time is known.
func (f *fit) best(most, fine, blur, quantum float64) place {
	const early = 0.2 // delays from a fifth of most before 0: clocks may disagree
	f.points = thin(f.points, mostPoints)
	p := f.of(thin(f.points, mostPoints/4)).search(most, -early*most, most, fine)
	reach := max(p.w, 4*fine)
	f.points = slices.DeleteFunc(f.points, func(q point) bool {
		return !f.curve.covers(q.at-p.c-p.w/2-reach, q.at-p.c+p.w/2+reach)
	})
	if len(f.points) < leastPoints {
		return p
	}
	f.learn(p, blur, quantum)
	p = f.search(2*reach, p.c-reach, p.c+reach, fine/2)
	f.learn(p, blur, quantum)
	return f.zoom(p, 2*fine)
}

// mostPoints bounds how many values a fit looks at, and with them how long it takes; a counter may tick each millisecond.
const mostPoints = 2000

// thin returns at most so many points, evenly taken.
func thin(points []point, most int) []point {
	step := (len(points) + most - 1) / most
	if step <= 1 {
		return points
	}
	var list []point
	for i := 0; i < len(points); i += step {
		list = append(list, points[i])
	}
	return list
}

// leastPoints is how many values a fit of window, delay, gain and offset needs.
const leastPoints = 8

// zoom looks at a grid around a place, then at a finer one around the best of it, and so on. The cost is rough where few
// values lie on edges: a way down from one place would end in the next dip.
func (f *fit) zoom(p place, span float64) place {
	const side = 3
	best := f.cost(p)
	for ; span > 1e-4; span /= 2 {
		from := p
		for i := -side; i <= side; i++ {
			if f.counter && i != 0 {
				continue
			}
			for j := -side; j <= side; j++ {
				q := place{max(from.w+span*float64(i)/side, 0), from.c + span*float64(j)/side}
				if c := f.cost(q); c < best {
					best, p = c, q
				}
			}
		}
	}
	return f.refine(p, 1e-4)
}

// search tries windows up to most and delays from least to last in steps of about fine, and refines the best few.
func (f *fit) search(most, least, last, fine float64) place {
	type candidate struct {
		place
		cost float64
	}
	const windows = 10
	delays := int(min(max((last-least)/fine, 24), 500))
	var list []candidate
	for i := range windows {
		w := 0.0
		if i > 0 { // a geometric series that ends at most
			w = most * math.Pow(0.55, float64(windows-1-i))
		}
		if f.counter && i > 0 {
			break
		}
		for j := range delays {
			p := place{w, least + (last-least)*float64(j)/float64(delays-1)}
			list = append(list, candidate{p, f.cost(p)})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.cost, b.cost) })
	best := list[0]
	for _, start := range list[:4] {
		p := f.refine(start.place, 2*fine)
		if c := f.cost(p); c < best.cost {
			best = candidate{p, c}
		}
	}
	return best.place
}

// refine looks around a place, closer and closer.
func (f *fit) refine(p place, step float64) place {
	best := f.cost(p)
	for step > 2e-5 {
		from, moved := p, false
		for _, d := range []place{{-1, 0}, {1, 0}, {0, -1}, {0, 1}, {1, 1}, {1, -1}, {-1, 1}, {-1, -1}} {
			if f.counter && d.w != 0 {
				continue
			}
			q := place{max(from.w+d.w*step, 0), from.c + d.c*step}
			if c := f.cost(q); c < best {
				best, p, moved = c, q, true
			}
		}
		if !moved {
			step *= 0.5
		}
	}
	return p
}

// curvature returns the standard uncertainties of w and c at the best place, once the noise is known: the cost grows by 1/n
// at one standard uncertainty. The rests of neighbours are correlated, which makes n values worth less than their number.
func (f *fit) curvature(p place, step float64) (uw, uc float64) {
	base := f.cost(p)
	l := f.straight()
	rests := make([]float64, len(f.points))
	for i, q := range f.points {
		rests[i] = (q.value - l.gain*f.xs[i] - l.offset) * math.Sqrt(f.weight[i])
	}
	worth := float64(len(f.points))
	if !f.counter {
		worth = effective(rests)
	}
	worth /= max(l.rest, 1) // what no model of the noise explains
	at := func(dw, dc float64) float64 {
		if p.w+dw < 0 {
			dw, dc = -dw, -dc
		}
		return f.cost(place{p.w + dw, p.c + dc}) - base
	}
	second := func(dw, dc float64) float64 { return (at(dw, dc) + at(-dw, -dc)) / 2 / (step * step) }
	cc := second(0, step)
	if f.counter {
		return 0, root(cc * worth)
	}
	ww := second(step, 0)
	wc := (second(step, step) - ww - cc) / 2
	det := (ww*cc - wc*wc) * worth
	if ww <= 0 || cc <= 0 || det <= 0 {
		return root(ww * worth), root(cc * worth)
	}
	return math.Sqrt(cc / det), math.Sqrt(ww / det)
}

// root is the uncertainty for a curvature; infinite where the cost does not grow.
func root(curvature float64) float64 {
	if curvature <= 0 {
		return math.Inf(1)
	}
	return 1 / math.Sqrt(curvature)
}
