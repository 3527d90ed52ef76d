package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"math"
	"regexp"
	"strings"
	"testing"

	"agentwatt/runner/internal/bench"
	"agentwatt/shared/power"
)

var (
	digest     = regexp.MustCompile(`sha256-(?:[A-Za-z0-9+/=]|&#43;)+`)
	tag        = regexp.MustCompile(`<[^>]*>`)
	styleTag   = regexp.MustCompile(`(?s)<style>(.*)</style>`)
	svgTag     = regexp.MustCompile(`(?s)<svg.*?</svg>`)
	sections   = regexp.MustCompile(`(?s)<section>.*?</section>`)
	headings   = regexp.MustCompile(`(?s)<h2>.*?</h2>`)
	figures    = regexp.MustCompile(`(?s)<div class="figure .*?</div>`)
	coordinate = regexp.MustCompile(` (?:x|y|x1|x2|y1|y2|cx|cy|r|width|height|points|d|viewBox)="([^"]*)"`)
)

func pageOf(t *testing.T, r Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func textOf(t *testing.T, r Run) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, r.Result); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// words of a page: its text without tags.
func plainText(page string) string {
	return html.UnescapeString(tag.ReplaceAllString(styleTag.ReplaceAllString(page, ""), " "))
}

func TestScaleOfTheMethod(t *testing.T) {
	run := normalRun()
	for name, got := range map[string]string{"text": textOf(t, run), "html": plainText(pageOf(t, run))} {
		for _, want := range []string{"61.4 K agents/MW @accelerator", "57.5", "per accelerator", "1,840 agents", "nameplate, not measured", "29.98 kW"} {
			if !strings.Contains(strings.ToLower(got), strings.ToLower(want)) {
				t.Errorf("%s does not say %q", name, want)
			}
		}
	}
}

// TestHeadlineIsNeverBare checks that each printed figure stands with its scope, coverage, uncertainty and standing, and that
// an invalid one has reasons and no number.
func TestHeadlineIsNeverBare(t *testing.T) {
	for _, f := range fixtures() {
		t.Run(f.name, func(t *testing.T) {
			wanted, page := 0, pageOf(t, f.run)
			text := textOf(t, f.run)
			for _, tier := range f.run.Result.Tiers {
				wanted += len(tier.Figures)
			}
			got := figures.FindAllString(page, -1)
			if len(got) != wanted {
				t.Fatalf("got %d figures in the page, want %d", len(got), wanted)
			}
			for _, block := range got {
				bare := !strings.Contains(block, "agents/MW @")
				if strings.Contains(block, "figure invalid") {
					if !bare || !strings.Contains(block, "<li>") || !strings.Contains(block, "@") {
						t.Errorf("an invalid figure shows a number or no reason: %s", block)
					}
					continue
				}
				for _, want := range []string{"agents/MW @", "± ", "k = 2", "coverage ", "badge", "device"} {
					if !strings.Contains(block, want) {
						t.Errorf("figure without %q: %s", want, block)
					}
				}
			}
			for line := range strings.Lines(text) {
				if strings.Contains(line, "agents/MW @") && !(strings.Contains(line, "± ") && strings.Contains(line, "k = 2")) {
					t.Errorf("figure in text without uncertainty: %s", line)
				}
			}
			if n := strings.Count(text, "agents/MW @"); strings.Count(text, "; coverage ") != n {
				t.Errorf("text has %d figures and %d coverages", n, strings.Count(text, "; coverage "))
			}
		})
	}
}

func TestSimulatedIsSaidEverywhere(t *testing.T) {
	page := pageOf(t, simulatedRun())
	for _, h := range headings.FindAllString(page, -1) {
		if !strings.Contains(h, simulatedMark) {
			t.Errorf("section heading without %s: %s", simulatedMark, h)
		}
	}
	if got, want := len(headings.FindAllString(page, -1)), len(sections.FindAllString(page, -1)); got != want || got == 0 {
		t.Errorf("got %d headings in %d sections", got, want)
	}
	pictures := svgTag.FindAllString(page, -1)
	if got, want := len(pictures), 6; got != want {
		t.Errorf("got %d pictures, want %d", got, want)
	}
	for _, p := range pictures {
		if strings.Count(p, simulatedMark) < 2 {
			t.Errorf("picture is not marked in its name and on its face: %.200s", p)
		}
	}
	for _, f := range figures.FindAllString(page, -1) {
		if !strings.Contains(f, "simulated, not evidence") || !strings.Contains(f, simulatedMark) {
			t.Errorf("figure passes for measured: %s", f)
		}
	}
	if real := pageOf(t, normalRun()); strings.Contains(styleTag.ReplaceAllString(real, ""), simulatedMark) {
		t.Error("a measured result is called simulated")
	}
	for _, block := range strings.Split(textOf(t, simulatedRun()), "\n\n") {
		if !strings.Contains(block, simulatedMark) && !strings.HasPrefix(block, "simulated/demo at") {
			t.Errorf("block of text without %s: %s", simulatedMark, block)
		}
	}
}

func TestForeignTextIsEscaped(t *testing.T) {
	const evil = `<script>alert("x")</script><img src=x onerror=y>`
	r := scopesRun()
	x := &r.Result.Run
	x.Model, x.Endpoint, x.Dataset, x.System.Name, x.System.Submitter = evil, evil, evil, evil, evil
	x.System.Disclosure = map[string]string{evil: evil}
	x.Tiers[0].Name = evil
	r.Result.Warnings = []string{evil}
	r.Result.Server = &bench.ServerMetrics{ServerPlan: bench.ServerPlan{URL: evil, None: evil}, Servers: []string{evil}, Failure: evil}
	r.Timeline.Scopes[0].Scope = power.Scope(evil)
	for i := range r.Result.Tiers {
		r.Result.Tiers[i].Tier.Name, r.Result.Tiers[i].Notes = evil, []string{evil}
	}
	for i := range r.Result.Phases {
		p := &r.Result.Phases[i]
		p.Purpose, p.Reason, p.Warnings, p.Verdicts[0].Tier, p.Verdicts[0].Reasons = evil, evil, []string{evil}, evil, []string{evil}
		p.Power[0].Devices[0], p.Power[0].Uses[0].Meter.Name = evil, evil
	}
	page := pageOf(t, r)
	for _, bad := range []string{"<script", "<img"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	r.Result.Run.Model = "model\x1b[31m\nWARNINGS\u202e"
	if text := textOf(t, r); strings.ContainsAny(text, "\x1b\u202e") || strings.Contains(text, "\nWARNINGS\u202e") {
		t.Error("control characters reach the terminal")
	}
}

// TestPageNeedsNothing checks that the page refers to nothing outside it, and that its policy allows its style.
func TestPageNeedsNothing(t *testing.T) {
	for _, f := range fixtures() {
		page := pageOf(t, f.run)
		rest := strings.ReplaceAll(page, f.run.Result.Run.Endpoint, "")
		if s := f.run.Result.Server; s != nil {
			rest = strings.ReplaceAll(rest, s.URL, "")
		}
		for _, bad := range []string{"http://", "https://", "src=", "url(", "@import", "<link", "<script", "javascript:", " style="} {
			if i := strings.Index(rest, bad); i >= 0 {
				t.Errorf("%s: the page has %q: %s", f.name, bad, rest[max(0, i-40):min(len(rest), i+60)])
			}
		}
		sum := sha256.Sum256([]byte(styleTag.FindStringSubmatch(page)[1]))
		want := "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
		if got := html.UnescapeString(digest.FindString(html.UnescapeString(page))); got != want {
			t.Errorf("%s: policy allows style %s, the page's is %s", f.name, got, want)
		}
		if strings.Contains(page, "ZgotmplZ") || strings.Contains(page, "%!") {
			t.Errorf("%s: the page has a value that could not be written", f.name)
		}
	}
}

func TestCoordinatesAreFinite(t *testing.T) {
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, -1, 1e300, 5e-324}
	r := scopesRun()
	for i := range r.Result.Phases {
		p := &r.Result.Phases[i]
		v := odd[i%len(odd)]
		for k := range p.Verdicts {
			for j := range p.Verdicts[k].Observed {
				p.Verdicts[k].Observed[j].Value, p.Verdicts[k].Observed[j].Low, p.Verdicts[k].Observed[j].High = v, odd[(i+1)%len(odd)], odd[(i+2)%len(odd)]
			}
		}
		p.Metrics["ttft"] = bench.Summary{N: 1, P95: v}
	}
	for i := range r.Timeline.Scopes {
		for k := range r.Timeline.Scopes[i].Watts {
			r.Timeline.Scopes[i].Watts[k] = odd[(i+k)%len(odd)]
		}
	}
	checkCoordinates(t, pageOf(t, r))
	var c canvas
	for _, v := range odd[:3] {
		c.line("x", 1, v, 1, 1)
		c.text("x", "end", v, 1, "x")
		c.mark(passesNone, v, 1, 1, "")
		c.polyline("x", [][2]float64{{1, v}})
	}
	if c.b.Len() > 0 {
		t.Errorf("drew what has no place: %s", c.b.String())
	}
	for _, f := range fixtures() {
		checkCoordinates(t, pageOf(t, f.run))
	}
}

func checkCoordinates(t *testing.T, page string) {
	t.Helper()
	for _, svg := range svgTag.FindAllString(page, -1) {
		for _, m := range coordinate.FindAllStringSubmatch(svg, -1) {
			if strings.Contains(m[1], "NaN") || strings.Contains(m[1], "Inf") || strings.Contains(m[1], "e+") {
				t.Fatalf("coordinate %s", m[0])
			}
		}
	}
}

// TestGapsAreNotBridged counts the pieces of a course with two gaps.
func TestGapsAreNotBridged(t *testing.T) {
	r := normalRun()
	watts := r.Timeline.Scopes[0].Watts
	watts[10] = math.NaN() // besides the one from 120 on
	svg := string(powerTimeline(r, "x", widePicture))
	path := regexp.MustCompile(`<path d="([^"]*)" class="course s0"`).FindStringSubmatch(svg)
	if path == nil {
		t.Fatal("no course was drawn")
	}
	if got, want := strings.Count(path[1], "M"), 3; got != want {
		t.Errorf("got %d pieces, want %d", got, want)
	}
}

func TestTextKeepsItsWidth(t *testing.T) {
	for _, f := range fixtures() {
		for line := range strings.Lines(textOf(t, f.run)) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > textWide {
				t.Errorf("%s: line of %d columns: %s", f.name, n, line)
			}
		}
	}
}

func TestJSONReadsBack(t *testing.T) {
	for _, f := range fixtures() {
		var b bytes.Buffer
		if err := JSON(&b, f.run.Result); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		var r bench.Result
		if err := json.Unmarshal(b.Bytes(), &r); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
		if got, want := len(r.Phases), len(f.run.Result.Phases); got != want {
			t.Errorf("%s: got %d phases, want %d", f.name, got, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percent(0), "0 %"}, {percent(0.0512), "5.1 %"}, {percent(0.00012), "0.012 %"}, {percent(math.NaN()), "unknown"},
		{coverage(1), "100 %"}, {coverage(0.99999), "99.99 %"}, {coverage(0.9901), "99.01 %"},
		{count(999), "999"}, {count(1840), "1,840"}, {count(int64(-1234567)), "-1,234,567"},
		{quantity(math.Inf(1), "s"), "∞ s"}, {quantity(math.NaN(), "s"), "none"}, {quantity(57.5, "tok/s"), "57.5 tok/s"},
		{since(1, 1), "0:00"}, {since(1, 1+3723e9), "1:02:03"}, {since(1, 0), "never"},
		{number(math.NaN()), ""}, {number(math.Inf(1)), "inf"}, {number(0.1), "0.1"},
		{limit(bench.Objective{Metric: bench.OutputSpeed, Quantile: 0.25, Limit: 60}), "P25 output speed ≥ 60 tok/s"},
		{limit(bench.Objective{Metric: bench.TTFT, Quantile: 0.999, Limit: 0.5}), "P99.9 TTFT ≤ 0.5 s"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestAxis(t *testing.T) {
	for _, values := range [][]float64{nil, {math.NaN()}, {0}, {5}, {1, 10}, {0.01, 40}, {math.Inf(1), 3}, {1e-300, 1e300}, {5e-324}} {
		a := valueAxis(values, 100, 0)
		if got := a.ticks(5); len(got) > 40 {
			t.Errorf("axis of %v has %d ticks", values, len(got))
		}
		last := math.Inf(1)
		for _, v := range []float64{math.Inf(-1), 0, 0.01, 1, 5, 1e9, math.Inf(1)} {
			got := a.at(v)
			if got < 0 || got > 100 || got > last || math.IsNaN(got) {
				t.Errorf("axis of %v puts %v at %v after %v", values, v, got, last)
			}
			last = got
		}
	}
}
