package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"agentwatt/runner/internal/bench"
)

// ServerCourse is what the server told of itself over a run, in equal bins, for the picture; NaN where it told nothing. It is
// drawn, never counted.
type ServerCourse struct {
	Span        bench.Window
	Running     []float64
	Waiting     []float64
	KV          []float64 // 0 to 1
	HitRate     []float64 // 0 to 1
	Preemptions []float64 // since the begin
}

// serverBin is the shortest bin: two reads are in it, so that one that comes a little late leaves no hole.
const serverBin = 2 * time.Second

// NewServerCourse puts the samples of a run into bins over a span.
func NewServerCourse(samples []bench.ServerSample, span bench.Window) ServerCourse {
	c := ServerCourse{Span: span}
	bins := min(timelineBins, int(span.Length()/serverBin))
	if bins <= 0 || len(samples) == 0 {
		return c
	}
	c.Running, c.Waiting, c.KV, c.HitRate, c.Preemptions = gaps(bins), gaps(bins), gaps(bins), gaps(bins), gaps(bins)
	width := span.Length() / time.Duration(bins)
	next := 0
	for i := range bins {
		end := span.Begin.Add(time.Duration(i+1) * width)
		from := next
		for next < len(samples) && samples[next].Time < end {
			next++
		}
		if next == from {
			continue
		}
		in := samples[from:next]
		c.Running[i], c.Waiting[i], c.KV[i] = meanOf(in, bench.ServerRunning), meanOf(in, bench.ServerWaiting), meanOf(in, bench.ServerKV)
		// What grew since the last read before the bin belongs to the bin.
		if rate, ok := bench.HitRate(samples[max(0, from-1):next]); ok {
			c.HitRate[i] = rate
		}
		if n, _, ok := bench.Increase(samples[:next], bench.ServerPreemptions); ok {
			c.Preemptions[i] = n
		}
	}
	return c
}

// meanOf returns the mean of what was told; NaN where nothing was.
func meanOf(samples []bench.ServerSample, q bench.ServerQuantity) float64 {
	total, n := 0.0, 0.0
	for _, s := range samples {
		if v, ok := s.Values[q]; ok {
			total, n = total+v, n+1
		}
	}
	return total / n // 0/0 is NaN
}

// told reports whether a course has any value.
func told(values []float64) bool {
	for _, v := range values {
		if !math.IsNaN(v) {
			return true
		}
	}
	return false
}

// serverPanel is one small course: one line or two over a value axis.
type serverPanel struct {
	name  string
	lines []serverLine
	share bool // from 0 to 1, written in percent
}

type serverLine struct {
	name   string
	values []float64
}

// serverPanels lists what there is to draw.
func (c ServerCourse) panels() (list []serverPanel) {
	for _, p := range []serverPanel{
		{"requests at the server", []serverLine{{"running", c.Running}, {"waiting", c.Waiting}}, false},
		{"KV cache in use, %", []serverLine{{"KV cache in use", c.KV}}, true},
		{"prefix cache hits, % of what was looked up", []serverLine{{"prefix cache hits", c.HitRate}}, true},
		{"preemptions since the begin", []serverLine{{"preemptions", c.Preemptions}}, false},
	} {
		some := false
		for _, l := range p.lines {
			some = some || told(l.values)
		}
		if some {
			list = append(list, p)
		}
	}
	return list
}

const serverHeight = 64.0

// serverTimeline draws what the server told over the run, with the windows of the phases shaded as in the power timeline. It is
// empty where the server told nothing. width is in pixels.
func serverTimeline(run Run, id string, width float64) template.HTML {
	panels := run.Server.panels()
	length := run.Server.Span.Length().Seconds()
	if length <= 0 || len(panels) == 0 {
		return ""
	}
	run.Timeline = Timeline{Span: run.Server.Span} // whose begin the windows are drawn from
	c := course{run: run, canvas: canvas{width: width}, time: axis{0, length, false, leftMargin, width - rightMargin}}
	step := serverHeight + panelGap
	bottom := courseTop + step*float64(len(panels)) - panelGap
	c.windows(courseTop, bottom)
	for i, p := range panels {
		top := courseTop + step*float64(i)
		c.serverPanel(p, top, top+serverHeight)
	}
	c.clock(bottom)
	c.height = c.serverLegend(panels, bottom+58) + 10
	return c.picture(id, "Server metrics", describeServer(run.Server.Span.Length(), panels), run.Result.Simulated)
}

func (c *course) serverPanel(p serverPanel, top, bottom float64) {
	high, per := 1.0, 100.0
	if !p.share {
		per = 1
		for _, l := range p.lines {
			for _, v := range l.values {
				if v > high { // false for NaN
					high = v
				}
			}
		}
		high *= 1.1
	}
	y := axis{0, high, false, bottom, top}
	c.frame(y, 2, p.name, func(v float64) string { return strconv.FormatFloat(v*per, 'g', 4, 64) })
	for i, l := range p.lines {
		width := (c.time.high - c.time.low) / float64(max(1, len(l.values)))
		var path [][2]float64
		for k, v := range l.values {
			path = append(path, [2]float64{c.time.at(float64(k) * width), y.at(v)}, [2]float64{c.time.at(float64(k+1) * width), y.at(v)})
		}
		c.polyline(courseClass(i), path)
	}
}

func (c *course) serverLegend(panels []serverPanel, y float64) float64 {
	x := 8.0
	for _, p := range panels {
		for i, l := range p.lines {
			if len(p.lines) > 1 {
				c.legendEntry(&x, &y, l.name, func(x, y float64) { c.line(courseClass(i), x-8, y, x+8, y) })
			}
		}
	}
	c.legendEntry(&x, &y, "no line: not told", func(x, y float64) { c.line("grid", x-8, y, x+8, y) })
	return y
}

// describeServer says the picture in words.
func describeServer(length time.Duration, panels []serverPanel) string {
	var names []string
	for _, p := range panels {
		for _, l := range p.lines {
			if told(l.values) {
				names = append(names, l.name)
			}
		}
	}
	return fmt.Sprintf("What the server told of itself over %s: %s. Drawn for orientation; no figure rests on it.", span(length), strings.Join(names, ", "))
}
