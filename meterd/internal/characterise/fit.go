package characterise

import "math"

// fit compares a sensor's values with what a window of length w, shown c after its middle, would have made of the curve:
//
//	value(t) = g · 1/w ∫ P over [t-c-w/2, t-c+w/2] + o      (counter: g · E(t-c) + o·t + constant)
//
// For each w and c the best g and o follow from a straight line, so only w and c are searched.
//
// When a value was refreshed is known to within a read, and the curve to within its knots. On a steep edge that matters
// more than any noise, so once the noise is known (sigma > 0) the values are weighed by the variance that they then have:
//
//	v = sigma² + (g · dx/dt)² · blur²
type fit struct {
	curve   *curve
	points  []point
	counter bool

	sigma float64 // noise of a value, watts or joules; 0: not known, all values count the same
	blur  float64 // standard uncertainty of a time, seconds
	scale float64 // g, for the variance

	xs, weight []float64 // of the last cost
}

func newFit(c *curve, points []point, counter bool) *fit {
	f := &fit{curve: c, points: points, counter: counter, xs: make([]float64, len(points)), weight: make([]float64, len(points))}
	for i := range f.weight {
		f.weight[i] = 1
	}
	return f
}

// of returns the same fit of other points.
func (f *fit) of(points []point) *fit {
	g := newFit(f.curve, points, f.counter)
	g.sigma, g.blur, g.scale = f.sigma, f.blur, f.scale
	return g
}

// place is one answer.
type place struct{ w, c float64 }

// cost returns how badly a place explains the values: the mean square of the rest, or once the noise is known minus twice
// the logarithm of the likelihood, per value.
func (f *fit) cost(p place) float64 {
	f.predict(p)
	penalty := 0.0
	if f.sigma > 0 {
		penalty = f.weigh(p)
	}
	if f.counter {
		return f.counterCost() + penalty
	}
	l := f.straight()
	return l.rest + penalty
}

// predict sets xs to what the place makes of the curve. The points are in order, so the places in the curve are found by
// walking along it.
func (f *fit) predict(p place) {
	w := max(p.w, 1e-6)
	var lo, hi cursor
	for i, q := range f.points {
		t := q.at - p.c
		if f.counter {
			f.xs[i] = hi.to(f.curve, t)
			continue
		}
		f.xs[i] = (hi.to(f.curve, t+w/2) - lo.to(f.curve, t-w/2)) / w
	}
}

// weigh sets the weights to 1/v and returns the mean of log v.
func (f *fit) weigh(p place) float64 {
	h := max(f.blur, 1e-4)
	w := max(p.w, 1e-6)
	var at [4]cursor
	sum, product := 0.0, 1.0
	for i, q := range f.points {
		t := q.at - p.c
		var slope float64
		if f.counter {
			slope = (at[0].to(f.curve, t+h) - at[1].to(f.curve, t-h)) / (2 * h)
		} else {
			after := at[0].to(f.curve, t+w/2+h) - at[1].to(f.curve, t-w/2+h)
			slope = (after - at[2].to(f.curve, t+w/2-h) + at[3].to(f.curve, t-w/2-h)) / w / (2 * h)
		}
		v := f.sigma*f.sigma + square(f.scale*slope*f.blur)
		f.weight[i] = 1 / v
		if product *= v; product < 1e-100 || product > 1e100 { // one logarithm for many values
			sum, product = sum+math.Log(product), 1
		}
	}
	return (sum + math.Log(product)) / float64(len(f.points))
}

// fitted is a straight line through the values over xs.
type fitted struct{ gain, offset, rest float64 }

func (f *fit) straight() fitted {
	var n, mx, my float64
	for i, q := range f.points {
		n, mx, my = n+f.weight[i], mx+f.weight[i]*f.xs[i], my+f.weight[i]*q.value
	}
	mx, my = mx/n, my/n
	var sxx, sxy, syy float64
	for i, q := range f.points {
		dx, dy := f.xs[i]-mx, q.value-my
		sxx, sxy, syy = sxx+f.weight[i]*dx*dx, sxy+f.weight[i]*dx*dy, syy+f.weight[i]*dy*dy
	}
	var l fitted
	l.rest = syy
	if sxx > 0 {
		l.gain = sxy / sxx
		l.rest = max(syy-sxy*l.gain, 0)
	}
	l.rest /= float64(len(f.points))
	l.offset = my - l.gain*mx
	return l
}

// explained returns which part of the variance of a power's values a place explains, 0 to 1.
func (f *fit) explained(p place) float64 {
	f.predict(p)
	ys := make([]float64, len(f.points))
	for i, q := range f.points {
		ys[i], f.weight[i] = q.value, 1
	}
	_, sd := meanOf(ys)
	if sd == 0 {
		return 0
	}
	n := float64(len(ys))
	return 1 - f.straight().rest*n/(n-1)/(sd*sd)
}

// counterCost fits E = g x + o t + constant and returns the weighted mean square of the rest.
func (f *fit) counterCost() float64 {
	var n, mx, mt, my float64
	for i, q := range f.points {
		w := f.weight[i]
		n, mx, mt, my = n+w, mx+w*f.xs[i], mt+w*q.at, my+w*q.value
	}
	mx, mt, my = mx/n, mt/n, my/n
	var xx, xt, tt, xy, ty, yy float64
	for i, q := range f.points {
		dx, dt, dy, w := f.xs[i]-mx, q.at-mt, q.value-my, f.weight[i]
		xx, xt, tt = xx+w*dx*dx, xt+w*dx*dt, tt+w*dt*dt
		xy, ty, yy = xy+w*dx*dy, ty+w*dt*dy, yy+w*dy*dy
	}
	rest := yy
	if det := xx*tt - xt*xt; det > 1e-12*xx*tt {
		g, o := (xy*tt-ty*xt)/det, (ty*xx-xy*xt)/det
		rest = max(yy-g*xy-o*ty, 0)
	}
	return rest / float64(len(f.points))
}

// learn takes the noise of the values from what is left at a place: most values lie on plateaus, so the median of the
// rests is noise and not edges.
func (f *fit) learn(p place, blur, quantum float64) {
	f.cost(p)
	l := f.straight()
	rests := make([]float64, len(f.points))
	for i, q := range f.points {
		rests[i] = math.Abs(q.value - l.gain*f.xs[i] - l.offset)
	}
	f.sigma = max(1.4826*medianOf(rests), quantum/math.Sqrt(12), 1e-9)
	f.blur, f.scale = blur, l.gain
}

// cursor is a place in a curve that moves forward.
type cursor struct{ k int }

// to returns the energy up to t. It gallops: neighbouring values are often many knots apart.
func (u *cursor) to(c *curve, t float64) float64 {
	n := len(c.at)
	if u.k < n && c.at[u.k] < t {
		low, step := u.k, 1
		for low+step < n && c.at[low+step] < t {
			low, step = low+step, 2*step
		}
		high := min(low+step, n) // at[low] < t <= at[high], if there is one
		for low+1 < high {
			if middle := (low + high) / 2; c.at[middle] < t {
				low = middle
			} else {
				high = middle
			}
		}
		u.k = high
	}
	switch {
	case u.k == 0:
		return c.sum[0]
	case u.k == n:
		return c.sum[n-1]
	}
	a, b := c.at[u.k-1], c.at[u.k]
	return c.sum[u.k-1] + (c.sum[u.k]-c.sum[u.k-1])*(t-a)/(b-a)
}
