package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"agentwatt/runner/internal/bench"
)

// Measures of the capacity picture.
const (
	panelHeight = 190.0
	panelGap    = 40.0
	leftMargin  = 58.0
	rightMargin = 14.0
)

// curve draws the panels of a result one below the other on one axis of agents.
type curve struct {
	canvas
	r     bench.Result
	x     axis
	ticks []float64
}

// capacityCurve draws agents against the percentiles that tiers limit, each tier's limits and answer, and each phase with
// its interval. It is empty if no phase has a value. id makes names in the page unique, width is in pixels.
func capacityCurve(r bench.Result, id string, width float64) template.HTML {
	c := curve{r: r, canvas: canvas{width: width}}
	most, found := 1.0, false
	list := panels(r.Run.Tiers)
	for _, p := range list {
		for _, pt := range p.points(r.Phases) {
			most, found = max(most, float64(pt.phase.Agents)), true
		}
	}
	if !found {
		return ""
	}
	for _, t := range r.Tiers {
		most = max(most, float64(t.Agents), float64(t.FirstFail))
	}
	c.x = axis{0.8, most * 1.25, true, leftMargin, width - rightMargin}
	c.ticks = powersOfTwo(most, int((width-leftMargin-rightMargin)/40))
	top := 10 + 15*float64(len(answered(r.Tiers)))
	bottom := top + float64(len(list))*(panelHeight+panelGap) - panelGap
	c.answers(top, bottom)
	for i, p := range list {
		y := top + float64(i)*(panelHeight+panelGap)
		c.panel(p, y+16, y+panelHeight)
	}
	for _, v := range c.ticks {
		c.text("tick", "middle", c.x.at(v), bottom+16, count(int(v)))
	}
	c.text("label", "middle", (leftMargin+width-rightMargin)/2, bottom+34, "concurrent agents N (log scale)")
	c.height = c.legend(bottom+58) + 10
	return c.picture(id, "Capacity curve", describeCurve(r), r.Simulated)
}

// answered lists the tiers that some number of agents met.
func answered(tiers []bench.TierResult) []bench.TierResult {
	return slices.DeleteFunc(slices.Clone(tiers), func(t bench.TierResult) bool { return t.Agents == 0 })
}

// powersOfTwo lists 1, 2, 4 ... up to most, thinned to about n.
func powersOfTwo(most float64, n int) (list []float64) {
	octaves := int(math.Log2(max(1, most))) + 1
	every := max(1, (octaves+n-1)/max(1, n))
	for k := 0; k < octaves; k += every {
		list = append(list, math.Pow(2, float64(k)))
	}
	return list
}

// answers marks each tier's N over all panels, and the bracket up to the first fail.
func (c *curve) answers(top, bottom float64) {
	for i, t := range answered(c.r.Tiers) {
		x := c.x.at(float64(t.Agents))
		y := top - 15*float64(i)
		if t.FirstFail > 0 {
			c.rect("bracket", x, y, c.x.at(float64(t.FirstFail))-x, bottom-y, "")
		}
		c.line("answer", x, y-4, x, bottom)
		name := fmt.Sprintf("%s: %s", short(t.Tier.Name, 14), plural(t.Agents, "agent"))
		if t.FirstFail == 0 {
			name = fmt.Sprintf("%s: at least %s", short(t.Tier.Name, 14), plural(t.Agents, "agent"))
		}
		anchor, dx := "end", -5.0
		if x-textWidth(name) < 4 {
			anchor, dx = "start", 5
		}
		c.text("label", anchor, x+dx, y, name)
	}
}

// panel draws one percentile between the heights top and bottom.
func (c *curve) panel(p panel, top, bottom float64) {
	points := p.points(c.r.Phases)
	y := valueAxis(c.values(p, points), bottom, top)
	scale := ""
	if y.log {
		scale = " (log scale)"
	}
	c.text("label", "start", 4, top-6, p.title()+scale)
	for _, v := range y.ticks(5) {
		c.line("grid", leftMargin, y.at(v), c.width-rightMargin, y.at(v))
		c.text("tick", "end", leftMargin-6, y.at(v)+4, strconv.FormatFloat(v, 'g', 4, 64))
	}
	for _, v := range c.ticks {
		c.line("grid", c.x.at(v), top, c.x.at(v), bottom)
	}
	c.line("axis", leftMargin, bottom, c.width-rightMargin, bottom)
	c.guide(points, y)
	c.limits(p, y, top)
	c.points(p, points, y)
}

// values collects what an axis must show.
func (c *curve) values(p panel, points []point) (values []float64) {
	for _, pt := range points {
		values = append(values, pt.value, pt.low, pt.high)
	}
	for _, t := range c.r.Run.Tiers {
		for _, o := range t.Objectives {
			if p.of(o) {
				values = append(values, o.Limit)
			}
		}
	}
	return values
}

// guide leads the eye along the phases that were judged. It breaks where a percentile is infinite.
func (c *curve) guide(points []point, y axis) {
	var path [][2]float64
	for _, pt := range points {
		if symbolOf(pt.phase) == saysNothing {
			continue
		}
		h := y.at(pt.value)
		if math.IsInf(pt.value, 0) {
			h = math.NaN()
		}
		path = append(path, [2]float64{c.x.at(float64(pt.phase.Agents)), h})
	}
	c.polyline("guide", path)
}

// limits draws each tier's limit in a panel, labelled at the left, where small N leave room. Labels are kept apart.
func (c *curve) limits(p panel, y axis, top float64) {
	type label struct {
		y    float64
		text string
	}
	var labels []label
	for _, t := range c.r.Run.Tiers {
		for _, o := range t.Objectives {
			if p.of(o) {
				c.line("limit", leftMargin, y.at(o.Limit), c.width-rightMargin, y.at(o.Limit))
				labels = append(labels, label{y.at(o.Limit) - 4, short(t.Name, 14) + " " + bound(o)})
			}
		}
	}
	slices.SortFunc(labels, func(a, b label) int { return int(b.y - a.y) })
	last := math.Inf(1)
	for _, l := range labels {
		last = max(min(l.y, last-13), top+9)
		c.text("limit-label", "start", leftMargin+4, last, l.text)
	}
}

// points draws the phases of a panel. Phases at one N are set side by side.
func (c *curve) points(p panel, points []point, y axis) {
	for i, pt := range points {
		before, after := 0, 0
		for k := i - 1; k >= 0 && points[k].phase.Agents == pt.phase.Agents; k-- {
			before++
		}
		for k := i + 1; k < len(points) && points[k].phase.Agents == pt.phase.Agents; k++ {
			after++
		}
		s := symbolOf(pt.phase)
		x := c.x.at(float64(pt.phase.Agents)) + 4*float64(before-after)
		if !math.IsNaN(pt.low) && !math.IsNaN(pt.high) {
			low, high := y.at(pt.low), y.at(pt.high)
			c.line("whisker "+s.class(), x, low, x, high)
			c.line("whisker "+s.class(), x-3, low, x+3, low)
			c.line("whisker "+s.class(), x-3, high, x+3, high)
		}
		c.mark(s, x, y.at(pt.value), 0.9, p.describe(pt, s))
		if math.IsInf(pt.value, 1) {
			c.text("label", "middle", x, y.at(pt.value)-7, "∞")
		}
	}
}

// legend explains the symbols in as many rows as the width needs and returns the height it ends at.
func (c *curve) legend(y float64) float64 {
	x := 8.0
	for s := passesAll; s <= saysNothing; s++ {
		c.legendEntry(&x, &y, s.String(), func(x, y float64) { c.mark(s, x, y, 0.9, "") })
	}
	c.legendEntry(&x, &y, "95 % interval", func(x, y float64) {
		c.line("whisker all", x, y-6, x, y+6)
		c.line("whisker all", x-3, y-6, x+3, y-6)
		c.line("whisker all", x-3, y+6, x+3, y+6)
	})
	c.legendEntry(&x, &y, "limit", func(x, y float64) { c.line("limit", x-7, y, x+7, y) })
	if len(answered(c.r.Tiers)) > 0 {
		c.legendEntry(&x, &y, "answer N, up to the first fail", func(x, y float64) {
			c.rect("bracket", x, y-7, 7, 14, "")
			c.line("answer", x, y-7, x, y+7)
		})
	}
	return y
}

// legendEntry places one entry after the last, on a new row where it does not fit.
func (c *canvas) legendEntry(x, y *float64, name string, draw func(x, y float64)) {
	w := 32 + textWidth(name)
	if *x > 8 && *x+w > c.width {
		*x, *y = 8, *y+20
	}
	draw(*x+7, *y-4)
	c.text("label", "start", *x+20, *y, name)
	*x += w
}

// describeCurve says the picture in words.
func describeCurve(r bench.Result) string {
	list := []string{fmt.Sprintf("%s over the number of concurrent agents.", plural(len(r.Phases), "phase"))}
	for _, t := range r.Tiers {
		list = append(list, fmt.Sprintf("%s (%s): %s.", t.Tier.Name, limits(t.Tier), answer(t)))
	}
	return strings.Join(list, " ")
}

// short cuts a name to n characters.
func short(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
