package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/clock"
)

// Measures of the power picture.
const (
	fleetHeight = 80.0
	powerHeight = 220.0
	courseTop   = 28.0
)

// course draws the fleet and the power of a run over time.
type course struct {
	canvas
	run  Run
	time axis // seconds since the begin of the span
}

// powerTimeline draws the mean power of each scope over the run, with the number of agents above it and idle and measured
// windows shaded. Where power was not covered there is no line. It is empty without power. width is in pixels.
func powerTimeline(run Run, id string, width float64) template.HTML {
	length := run.Timeline.Span.Length().Seconds()
	if length <= 0 || len(run.Timeline.Scopes) == 0 {
		return ""
	}
	c := course{run: run, canvas: canvas{width: width}, time: axis{0, length, false, leftMargin, width - rightMargin}}
	power := courseTop + fleetHeight + panelGap
	bottom := power + powerHeight
	c.windows(courseTop, bottom)
	c.fleet(courseTop, courseTop+fleetHeight)
	c.power(power, bottom)
	c.clock(bottom)
	c.height = c.legend(bottom+58) + 10
	return c.picture(id, "Power timeline", describeCourse(run), run.Result.Simulated)
}

// at returns the coordinate of a stamp.
func (c *course) at(s clock.Stamp) float64 {
	return c.time.at(s.Sub(c.run.Timeline.Span.Begin).Seconds())
}

// windows shades the windows of phases, numbered, and the idle ones. Numbers that would touch are left out.
func (c *course) windows(top, bottom float64) {
	free := 0.0
	label := func(begin, end clock.Stamp, name string) {
		x, w := (c.at(begin)+c.at(end))/2, textWidth(name)
		if x-w/2 > free {
			c.text("tick", "middle", x, top-8, name)
			free = x + w/2 + 3
		}
	}
	idle := func(list []bench.ScopePower, when string) {
		if w := idleWindow(list); w.Length() > 0 {
			c.rect("idle", c.at(w.Begin), top, c.at(w.End)-c.at(w.Begin), bottom-top, "idle "+when+" the run")
			label(w.Begin, w.End, "idle")
		}
	}
	idle(c.run.Result.IdleBefore, "before")
	for _, p := range c.run.Result.Phases {
		w := p.Window()
		if w.Length() == 0 {
			continue
		}
		class, what := "window", ""
		if tiers := answeredBy(c.run.Result, p.Index); tiers != "" {
			class, what = "window answered", ", the figures of "+tiers+" are from here"
		}
		c.rect(class, c.at(w.Begin), top, c.at(w.End)-c.at(w.Begin), bottom-top,
			fmt.Sprintf("phase %d, %s, window of %s%s", p.Index, plural(p.Agents, "agent"), span(w.Length()), what))
		label(w.Begin, w.End, strconv.Itoa(p.Index))
	}
	idle(c.run.Result.IdleAfter, "after")
}

// idleWindow returns the interval that idle power was asked over.
func idleWindow(list []bench.ScopePower) (w bench.Window) {
	for _, s := range list {
		for _, u := range s.Uses {
			return bench.Window{Begin: u.Begin, End: u.End}
		}
	}
	return w
}

// answeredBy names the tiers whose figures come from a phase; empty if none.
func answeredBy(r bench.Result, phase int) string {
	var names []string
	for _, t := range r.Tiers {
		if t.Phase == phase && t.Agents > 0 {
			names = append(names, t.Tier.Name)
		}
	}
	return strings.Join(names, ", ")
}

// fleet draws the number of agents asked for as steps.
func (c *course) fleet(top, bottom float64) {
	most := 1.0
	for _, p := range c.run.Result.Phases {
		most = max(most, float64(p.Agents))
	}
	y := axis{0, most * 1.1, false, bottom, top}
	c.frame(y, 2, "agents N", func(v float64) string { return count(int(v)) })
	var path [][2]float64
	for _, p := range c.run.Result.Phases {
		h := y.at(float64(p.Agents))
		path = append(path, [2]float64{c.at(p.Begin), h}, [2]float64{c.at(p.End), h})
	}
	c.polyline("fleet", path)
}

// power draws the mean power of each bin as steps; a bin that is not covered breaks the line.
func (c *course) power(top, bottom float64) {
	var all []float64
	for _, s := range c.run.Timeline.Scopes {
		all = append(all, s.Watts...)
	}
	high := 0.0
	for _, v := range all {
		if !math.IsInf(v, 0) && v > high {
			high = v
		}
	}
	y := axis{0, max(high*1.1, 1e-3), false, bottom, top}
	name, per := "mean power, W", 1.0
	if high >= 10e3 {
		name, per = "mean power, kW", 1e3
	}
	c.frame(y, 5, name, func(v float64) string { return strconv.FormatFloat(v/per, 'g', 4, 64) })
	for i, s := range c.run.Timeline.Scopes {
		width := (c.time.high - c.time.low) / float64(max(1, len(s.Watts)))
		var path [][2]float64
		for k, v := range s.Watts {
			h := y.at(v)
			if math.IsInf(v, 0) {
				h = math.NaN()
			}
			path = append(path, [2]float64{c.time.at(float64(k) * width), h}, [2]float64{c.time.at(float64(k+1) * width), h})
		}
		c.polyline(courseClass(i), path)
	}
}

// courseClass gives each scope its own colour and dash.
func courseClass(i int) string { return "course s" + strconv.Itoa(i%4) }

// frame draws the lines, values and name of a value axis.
func (c *course) frame(y axis, n int, name string, value func(float64) string) {
	for _, v := range y.ticks(n) {
		c.line("grid", leftMargin, y.at(v), c.width-rightMargin, y.at(v))
		c.text("tick", "end", leftMargin-6, y.at(v)+4, value(v))
	}
	c.line("axis", leftMargin, y.from, c.width-rightMargin, y.from)
	c.text("label halo", "start", leftMargin+4, y.to+10, name)
}

// clock writes the time below the picture.
func (c *course) clock(bottom float64) {
	step := timeStep(c.time.high / max(2, (c.width-leftMargin)/90))
	for k := 0.0; k*step <= c.time.high; k++ {
		x := c.time.at(k * step)
		c.line("axis", x, bottom, x, bottom+4)
		c.text("tick", "middle", x, bottom+18, since(1, clock.Stamp(1).Add(time.Duration(k*step*float64(time.Second)))))
	}
	c.text("label", "middle", (leftMargin+c.width-rightMargin)/2, bottom+34, "time since the begin of the run, min:s")
}

// timeStep returns the smallest step of a clock face that is not below v seconds.
func timeStep(v float64) float64 {
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200} {
		if s >= v {
			return s
		}
	}
	return 86400 * math.Ceil(v/86400)
}

func (c *course) legend(y float64) float64 {
	x := 8.0
	for i, s := range c.run.Timeline.Scopes {
		c.legendEntry(&x, &y, "@"+string(s.Scope), func(x, y float64) { c.line(courseClass(i), x-8, y, x+8, y) })
	}
	for _, e := range [][2]string{{"window", "window of a phase, numbered"}, {"window answered", "window that an answer rests on"}, {"idle", "idle"}} {
		c.legendEntry(&x, &y, e[1], func(x, y float64) { c.rect(e[0], x-8, y-7, 16, 14, "") })
	}
	c.legendEntry(&x, &y, "no line: power not covered", func(x, y float64) { c.line("grid", x-8, y, x+8, y) })
	return y
}

// describeCourse says the picture in words.
func describeCourse(run Run) string {
	var scopes []string
	for _, s := range run.Timeline.Scopes {
		covered := 0
		for _, v := range s.Watts {
			if !math.IsNaN(v) && !math.IsInf(v, 0) {
				covered++
			}
		}
		scopes = append(scopes, fmt.Sprintf("%s (%d of %d bins covered)", s.Scope, covered, len(s.Watts)))
	}
	return fmt.Sprintf("Mean power at %s over %s, with the number of agents and %s. Drawn for orientation; the figures are computed from the windows.",
		strings.Join(scopes, ", "), span(run.Timeline.Span.Length()), plural(len(run.Result.Phases), "phase"))
}
