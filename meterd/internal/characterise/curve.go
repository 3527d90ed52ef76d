package characterise

// curve is the energy up to a time, in joules, known at knots and straight in between: the power is constant from knot to
// knot. Of the load's switching it is the time spent busy.
type curve struct {
	at, sum []float64
	step    float64 // resolution: the median time between knots; 0: exact
	clock   float64 // standard uncertainty of the times as a whole, against the sensor's
	quantum float64 // size of one count of the reference in watts; 0: not known or fine
}

// powerCurve integrates powers of which each stands for the time from half way after the one before to half way before the
// one after: exact where values are means over that time, as of most meters, and the midpoint rule where they are points.
// The points must be in order, and at least two.
func powerCurve(points []point) *curve {
	n := len(points)
	c := &curve{at: make([]float64, n+1), sum: make([]float64, n+1)}
	var between []float64
	for i := 1; i < n; i++ {
		c.at[i] = (points[i-1].at + points[i].at) / 2
		between = append(between, points[i].at-points[i-1].at)
	}
	c.at[0] = points[0].at - between[0]/2
	c.at[n] = points[n-1].at + between[n-2]/2
	for i, p := range points {
		c.sum[i+1] = c.sum[i] + p.value*(c.at[i+1]-c.at[i])
	}
	c.step = medianOf(between)
	return c
}

// energyCurve is the curve of a counter's values.
func energyCurve(points []point) *curve {
	c := &curve{}
	var between []float64
	for i, p := range points {
		c.at, c.sum = append(c.at, p.at), append(c.sum, p.value)
		if i > 0 {
			between = append(between, p.at-points[i-1].at)
		}
	}
	c.step = medianOf(between)
	return c
}

// stepCurve is that of a load which draws 0 W idle and 1 W busy and switches at once. It goes on at both ends, as the load
// was idle before, or busy after, for as long as the recording asks.
func stepCurve(list []phase) *curve {
	const ends = 3600
	c := &curve{at: []float64{list[0].begin - ends}, sum: []float64{0}}
	for i, p := range list {
		end := p.end
		if i == len(list)-1 {
			end += ends
		}
		last := len(c.at) - 1
		gain := 0.0
		if p.busy {
			gain = end - c.at[last]
		}
		c.at, c.sum = append(c.at, end), append(c.sum, c.sum[last]+gain)
	}
	return c
}

// covers reports whether the curve is known from begin to end.
func (c *curve) covers(begin, end float64) bool {
	return len(c.at) > 1 && c.at[0] <= begin && end <= c.at[len(c.at)-1]
}

// to returns the energy up to t. Outside the knots it stays what it is at the end.
func (c *curve) to(t float64) float64 { return new(cursor).to(c, t) }

// mean returns the mean power over the window of length w around t; for w = 0 that of the knots around.
func (c *curve) mean(t, w float64) float64 {
	w = max(w, 1e-6)
	return (c.to(t+w/2) - c.to(t-w/2)) / w
}

// moved returns the curve d seconds later.
func (c *curve) moved(d float64) *curve {
	out := *c
	out.at = make([]float64, len(c.at))
	for i, t := range c.at {
		out.at[i] = t + d
	}
	return &out
}
