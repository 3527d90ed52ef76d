package report

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// canvas collects the elements of one SVG picture. Colours come from the page's style sheet by class, so that dark mode and
// print need no second picture. An element with a coordinate that is not finite is not drawn.
type canvas struct {
	b             strings.Builder
	width, height float64
}

// simulatedMark is what every picture of a simulated run says.
const simulatedMark = "SIMULATED"

func (c *canvas) add(format string, coordinates []float64, rest ...any) {
	args := make([]any, 0, len(coordinates)+len(rest))
	for _, v := range coordinates {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return
		}
		args = append(args, strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64))
	}
	fmt.Fprintf(&c.b, format+"\n", append(args, rest...)...)
}

func (c *canvas) line(class string, x1, y1, x2, y2 float64) {
	c.add(`<line x1="%s" y1="%s" x2="%s" y2="%s" class="%s"/>`, []float64{x1, y1, x2, y2}, class)
}

// rect draws a rectangle; title may be empty.
func (c *canvas) rect(class string, x, y, w, h float64, title string) {
	c.add(`<rect x="%s" y="%s" width="%s" height="%s" class="%s">%s</rect>`, []float64{x, y, max(0, w), max(0, h)}, class, titleTag(title))
}

// text writes s with its anchor ("start", "middle", "end") at x and its baseline at y.
func (c *canvas) text(class, anchor string, x, y float64, s string) {
	c.add(`<text x="%s" y="%s" text-anchor="%s" class="%s">%s</text>`, []float64{x, y}, anchor, class, escape(s))
}

// polyline draws a line through points; a point that is not finite breaks it.
func (c *canvas) polyline(class string, points [][2]float64) {
	var d strings.Builder
	pen := "M"
	for _, p := range points {
		if math.IsNaN(p[0]+p[1]) || math.IsInf(p[0]+p[1], 0) {
			pen = "M"
			continue
		}
		fmt.Fprintf(&d, "%s%.1f %.1f", pen, p[0], p[1])
		pen = "L"
	}
	if d.Len() > 0 {
		c.add(`<path d="%s" class="%s"/>`, nil, d.String(), class)
	}
}

// mark draws a symbol of radius 5·size around (x, y). Shapes differ, so that nothing rests on colour alone.
func (c *canvas) mark(m symbol, x, y, size float64, title string) {
	const r = 5.0
	points := [][2]float64{}
	switch m {
	case passesSome:
		points = [][2]float64{{-r, -r}, {r, -r}, {r, r}, {-r, r}}
	case passesNone:
		points = [][2]float64{{0, -r - 1}, {r + 1, r}, {-r - 1, r}}
	case saysNothing:
		points = [][2]float64{{0, -r - 1}, {r + 1, 0}, {0, r + 1}, {-r - 1, 0}}
	}
	class := "mark " + m.class()
	if len(points) == 0 {
		c.add(`<circle cx="%s" cy="%s" r="%s" class="%s">%s</circle>`, []float64{x, y, size * r}, class, titleTag(title))
		return
	}
	var coordinates []float64
	for _, p := range points {
		coordinates = append(coordinates, x+size*p[0], y+size*p[1])
	}
	c.add(`<polygon points="`+strings.TrimSuffix(strings.Repeat("%s,%s ", len(points)), " ")+`" class="%s">%s</polygon>`, coordinates, class, titleTag(title))
}

// picture closes the canvas: the SVG with its name and description for those who cannot see it, and over it, where the run is
// simulated, the word that says so.
func (c *canvas) picture(id, title, description string, simulated bool) template.HTML {
	if simulated {
		title = simulatedMark + ": " + title
		c.text("watermark", "middle", c.width/2, c.height/2, simulatedMark)
	}
	return template.HTML(fmt.Sprintf( // every foreign string in it went through escape
		`<svg viewBox="0 0 %.0f %.0f" role="img" aria-labelledby="%s-t %s-d">
<title id="%s-t">%s</title><desc id="%s-d">%s</desc>
%s</svg>`, c.width, c.height, id, id, id, escape(title), id, escape(description), c.b.String()))
}

func titleTag(s string) string {
	if s == "" {
		return ""
	}
	return "<title>" + escape(s) + "</title>"
}

func escape(s string) string { return template.HTMLEscapeString(s) }

// textWidth estimates the width of s at the pictures' font size of 12: enough to keep labels apart.
func textWidth(s string) float64 { return 6.6 * float64(len([]rune(s))) }
