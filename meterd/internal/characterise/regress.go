package characterise

import "math"

// gain fits reading = gain · truth + offset to the plateaus, weighted by their noise, and carries every source of
// uncertainty through the fit with what it has in common:
//
//   - noise: each plateau's own; where the plateaus scatter by more than their noise explains, what they scatter (Birge);
//   - a count of sensor or reference: the rounding error of a level is the same each time the level comes back;
//   - the reference's gain and zero: the same for all plateaus.
func (m *study) gain(ref *Reference, list []plateau) {
	r := &m.result
	l := fitLine(list)
	v := l.covariance(list, l.birge(list), m.levelVariance(l.slope))
	v[0][0] += square(l.slope * ref.Accuracy / 2) // truth = reference / (1 + error)
	v[1][1] += square(l.slope * ref.Floor / 2)    // truth = reference - error
	r.Gain = Estimate{Value: l.slope, U: 2 * math.Sqrt(v[0][0])}
	r.Offset = Estimate{Value: l.offset, U: 2 * math.Sqrt(v[1][1])}
	r.Cross = v[0][1] / math.Sqrt(v[0][0]*v[1][1])
	r.Residual = l.residual
	if len(list) == 2 {
		r.Notes = append(r.Notes, "the gain rests on two plateaus: a line through two points has no residual that could show a mistake")
	}
	var sum, n [2]float64
	for _, p := range list {
		sum[index(p.busy)] += p.x
		n[index(p.busy)]++
	}
	r.Idle, r.Busy = sum[0]/n[0], sum[1]/n[1]
}

func square(x float64) float64 { return x * x }

// levelVariance is the variance that plateaus of one level share: the rounding of both meters.
func (m *study) levelVariance(slope float64) float64 {
	return square(m.rounding()) + square(slope*m.truth.quantum)/12
}

// line is a weighted straight line through plateaus. It is linear in the readings: slope = Σ a y, offset = Σ b y.
type line struct {
	slope, offset  float64
	a, b           []float64
	chi2, residual float64
}

func fitLine(list []plateau) line {
	var l line
	var s, sx float64
	w := make([]float64, len(list))
	for i, p := range list {
		w[i] = 1 / (p.u * p.u)
		s, sx = s+w[i], sx+w[i]*p.x
	}
	mx := sx / s
	var sxx float64
	for i, p := range list {
		sxx += w[i] * square(p.x-mx)
	}
	for i, p := range list {
		a := w[i] * (p.x - mx) / sxx
		l.a, l.b = append(l.a, a), append(l.b, w[i]/s-a*mx)
		l.slope += a * p.y
		l.offset += l.b[i] * p.y
	}
	for i, p := range list {
		rest := p.y - l.slope*p.x - l.offset
		l.residual += rest * rest
		l.chi2 += w[i] * rest * rest
	}
	if nu := len(list) - 2; nu > 0 {
		l.residual = math.Sqrt(l.residual / float64(nu))
	}
	return l
}

// birge returns by how much the variances of the plateaus must be multiplied: to explain their scatter around the line, and
// because a scatter that is known from few values is not well known.
func (l line) birge(list []plateau) float64 {
	var inside float64 // degrees of freedom of the plateaus' own noise
	for _, p := range list {
		inside += max(effective(p.spread)-1, 0)
	}
	if nu := float64(len(list) - 2); nu > 0 && l.chi2 > nu {
		return l.chi2 / nu * square(student(nu)/2)
	}
	if inside == 0 { // a counter's are computed
		return 1
	}
	return square(student(inside) / 2)
}

// covariance returns that of slope and offset: noise is what the plateaus' own variances are multiplied by, level the
// variance that all plateaus of one level share.
func (l line) covariance(list []plateau, noise, level float64) (v [2][2]float64) {
	var a, b [2]float64 // sums of the coefficients by level
	for i, p := range list {
		u := p.u * p.u * noise
		v[0][0] += l.a[i] * l.a[i] * u
		v[0][1] += l.a[i] * l.b[i] * u
		v[1][1] += l.b[i] * l.b[i] * u
		a[index(p.busy)] += l.a[i]
		b[index(p.busy)] += l.b[i]
	}
	for k := range a {
		v[0][0] += a[k] * a[k] * level
		v[0][1] += a[k] * b[k] * level
		v[1][1] += b[k] * b[k] * level
	}
	v[1][0] = v[0][1]
	return v
}
