package topology

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"
)

// Report is what a check of a topology yields; the parts that were not asked for are nil.
type Report struct {
	Simulated bool      `json:"simulated,omitempty"` // no hardware stands behind one of the meters: nothing here is evidence about hardware
	Findings  []Finding `json:"findings"`
	Counted   []Counted `json:"counted,omitempty"`
	Tiers     []Tier    `json:"balance,omitempty"`
}

// width is how many columns a line may take.
const width = 100

// Print writes a report for people. Findings that say the same of several entries are written once.
func Print(w io.Writer, r Report) {
	p := &printer{w: w}
	if r.Simulated {
		fmt.Fprint(w, "SIMULATED: no hardware stands behind some of these meters. Nothing below is evidence about any system.\n\n")
	}
	p.findings(r.Findings)
	p.counted(r.Counted)
	p.tiers(r.Tiers)
}

type printer struct{ w io.Writer }

func (p *printer) findings(list []Finding) {
	n := map[Severity]int{}
	type same struct {
		severity Severity
		code     Code
		text     string
	}
	var order []same
	places, devices := map[same][]string{}, map[same][]string{}
	for _, f := range list {
		n[f.Severity]++
		k := same{f.Severity, f.Code, f.Text}
		if !slices.Contains(order, k) {
			order = append(order, k)
		}
		devices[k] = append(devices[k], f.Devices...)
		if f.Place != "" {
			places[k] = append(places[k], f.Place)
		}
	}
	fmt.Fprintf(p.w, "%s, %s, %s\n", plural(n[Error], "error"), plural(n[Warning], "warning"), plural(n[Info], "remark"))
	for _, k := range order {
		fmt.Fprintf(p.w, "\n%s  %s\n", k.severity, k.code)
		what := several(places[k])
		if len(devices[k]) > 0 {
			what = strings.TrimPrefix(what+": "+several(devices[k]), ": ")
		}
		p.wrap("    ", what)
		p.wrap("    ", k.text)
	}
}

// shown is how many names or ranges a line gives before it only counts: UUIDs do not fold.
const shown = 6

// several writes names in ranges, and the number of those that there is no room for.
func several(names []string) string {
	patterns := fold(names)
	left := 0
	if len(patterns) > shown {
		left = len(each(patterns[shown-1:]...))
		patterns = patterns[:shown-1]
	}
	text := strings.Join(patterns, ", ")
	if left > 0 {
		text += fmt.Sprintf(" and %d more", left)
	}
	return text
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// wrap writes text in lines of the width, broken at spaces. Bytes of a device that a terminal must not see are replaced.
func (p *printer) wrap(indent, text string) {
	line := indent
	for _, word := range strings.Fields(printable(text)) {
		if len(line) > len(indent) && len([]rune(line))+1+len([]rune(word)) > width {
			fmt.Fprintln(p.w, line)
			line = indent
		}
		if len(line) > len(indent) {
			line += " "
		}
		line += word
	}
	if len(line) > len(indent) {
		fmt.Fprintln(p.w, line)
	}
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// counted writes which devices count at each scope, which are missing, and what does not count and why.
func (p *printer) counted(rows []Counted) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(p.w, "\ncounted once:")
	for _, s := range headline {
		var there, missing []string
		for _, r := range rows {
			switch {
			case r.Scope != s || r.Why != "":
			case len(r.Meters) == 0:
				missing = append(missing, r.Device)
			default:
				there = append(there, r.Device)
			}
		}
		if len(there) > 0 {
			p.wrap("  ", fmt.Sprintf("%s: %s: %s", s, plural(len(there), "device"), several(there)))
		}
		if len(missing) > 0 {
			p.wrap("  ", fmt.Sprintf("%s, not metered: %s", s, several(missing)))
		}
	}
	why := map[string][]string{}
	for _, r := range rows {
		if r.Why != "" {
			k := fmt.Sprintf("%s, not counted, %s", r.Scope, r.Why)
			why[k] = append(why[k], r.Device)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(why), natural) {
		p.wrap("  ", k+": "+several(why[k]))
	}
}

// tiers writes the balance: the sums of each tier, then what they say.
func (p *printer) tiers(list []Tier) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(p.w, "\nbalance, with uncertainties k = 2:")
	for _, name := range tierOrder {
		of := slices.DeleteFunc(slices.Clone(list), func(t Tier) bool { return t.Name != name })
		if len(of) > 0 {
			fmt.Fprintf(p.w, "\n  %s\n", name)
			p.tier(of)
		}
	}
}

// tier writes the balances of one tier. What is said of several places is said once.
func (p *printer) tier(list []Tier) {
	tab := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "    PLACE\tABOVE\tBELOW\tDIFFERENCE\tVERDICT")
	said := map[string][]string{}
	var order []string
	for _, t := range list {
		place := printable(t.Place)
		if t.Parent.Simulated || t.Children.Simulated {
			place = "SIMULATED " + place
		}
		fmt.Fprintf(tab, "    %s\t%s\t%s\t%s\t%s\n", place, t.Parent, t.Children, t.difference(), t.Verdict)
		if said[t.Text] == nil {
			order = append(order, t.Text)
		}
		said[t.Text] = append(said[t.Text], t.Place)
	}
	tab.Flush()
	for _, text := range order {
		p.wrap("    ", several(said[text])+": "+text)
	}
}

// String writes a side's mean and its uncertainty.
func (s Side) String() string {
	switch {
	case s.Mean == 0 && s.Uncertainty == 0:
		return "-"
	case s.Mean == 0:
		return fmt.Sprintf("0 W ± %v", s.Uncertainty)
	}
	return fmt.Sprintf("%v ± %.1f %%", s.Mean, share(s.Uncertainty, s.Mean))
}

func (t Tier) difference() string {
	if t.Verdict == NotJudged {
		return "-"
	}
	return fmt.Sprintf("%v ± %v", t.Difference, t.Uncertainty)
}
