package topology

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"agentwatt/shared/power"
)

// Report is what a check of a topology yields; the parts that were not asked for are nil.
type Report struct {
	Findings []Finding `json:"findings"`
	Counted  []Counted `json:"counted,omitempty"`
	Tiers    []Tier    `json:"balance,omitempty"`
}

// width is how many columns a line may take.
const width = 100

// Print writes a report for people. Findings that say the same of several entries are written once.
func Print(w io.Writer, r Report) {
	p := &printer{w: w}
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

// counted writes how many devices count at each scope, and what does not and why.
func (p *printer) counted(rows []Counted) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(p.w, "\ncounted once:")
	for _, s := range headline {
		var names []string
		for _, r := range rows {
			if r.Scope == s && r.Why == "" {
				names = append(names, r.Device)
			}
		}
		if len(names) > 0 {
			p.wrap("  ", fmt.Sprintf("%s (%d): %s", s, len(names), several(names)))
		}
	}
	why := map[string][]string{}
	for _, r := range rows {
		if r.Why != "" {
			k := fmt.Sprintf("%s, %s", r.Scope, r.Why)
			why[k] = append(why[k], r.Device)
		}
	}
	for _, k := range sortedKeys(why) {
		p.wrap("  ", fmt.Sprintf("not at %s: %s", k, several(why[k])))
	}
}

func sortedKeys(m map[string][]string) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, natural)
	return keys
}

// tiers writes the balance: the sums of each tier, then what they say.
func (p *printer) tiers(list []Tier) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintln(p.w, "\nbalance (uncertainties k = 2):")
	tab := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "  TIER\tPLACE\tPARENT\tCHILDREN\tDIFFERENCE\tVERDICT")
	for _, t := range list {
		fmt.Fprintf(tab, "  %s\t%s\t%s\t%s\t%s\t%s\n", t.Name, printable(t.Place), t.Parent.words(), t.Children.words(), t.difference(), t.Verdict)
	}
	tab.Flush()
	said := map[string][]string{}
	var order []string
	for _, t := range list {
		k := fmt.Sprintf("%s: %s", t.Verdict, t.Text)
		if said[k] == nil {
			order = append(order, k)
		}
		said[k] = append(said[k], t.Place)
	}
	for _, k := range order {
		p.wrap("  ", several(said[k])+": "+k)
	}
}

func (s Side) words() string {
	if s.Mean == 0 && s.Uncertainty == 0 {
		return "-"
	}
	return s.Mean.String() + " ± " + s.share()
}

// share gives the uncertainty in percent.
func (s Side) share() string {
	return fmt.Sprintf("%.1f %%", share(s.Uncertainty, cmp.Or(s.Mean, power.Watt)))
}

func (t Tier) difference() string {
	if t.Verdict == NotJudged {
		return "-"
	}
	return t.Difference.String() + " ± " + t.Uncertainty.String()
}
