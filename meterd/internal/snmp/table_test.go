package snmp

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"agentwatt/shared/power"
)

var update = flag.Bool("update", false, "write docs/pdus.md")

const pduPage = "../../../docs/pdus.md"

// docs/pdus.md is made from the profiles: go test ./meterd/internal/snmp -run TestPduPage -update
func TestGoldenPage(t *testing.T) {
	want := pduTable(Builtin())
	if *update {
		if err := os.WriteFile(pduPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(t, pduPage); got != want {
		t.Error("docs/pdus.md is not what the profiles say; look at the difference after make golden")
	}
}

// pduTable writes what is known about PDUs for people.
func pduTable(profiles []*Profile) string {
	var b strings.Builder
	b.WriteString(`# PDUs that meterd knows

Made from meterd/internal/snmp/profiles; do not edit. How to read it: [snmp.md](snmp.md). A row in **bold** is the whole of
the PDU, if it is the first such row that the device has; all others are parts of it and never summed with it. The last
column is the shortest window in which the counter gives the mean of 2 kW within 0.5 %.
`)
	for _, p := range profiles {
		fmt.Fprintf(&b, "\n## %s\n\n`%s`. Source: %s.\n", cmp.Or(p.Title, p.Name), p.Name, p.Source)
		fmt.Fprintf(&b, "Values are refreshed: %s. Accuracy: %s.\n\n", period(p), accuracy(p))
		b.WriteString("| level | power | energy | counts of | wraps | window at 2 kW |\n|---|---|---|---|---|---|\n")
		for _, l := range p.Levels {
			name := l.Level
			if l.Whole {
				name = "**" + name + "**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |", name, place(l.Power), place(l.Energy))
			if !l.Energy.OID.set() {
				b.WriteString(" – | – | – |\n")
				continue
			}
			count := power.Energy(l.Energy.Unit.Scale.Num / l.Energy.Unit.Scale.Den)
			wraps := "not known"
			if l.Energy.Wrap > 0 {
				wraps = fmt.Sprint(l.Energy.Wrap)
			}
			fmt.Fprintf(&b, " %s | %s | %v |\n", l.Energy.Unit.Text, wraps, ShortestWindow(count, 2*power.Kilowatt))
		}
		for i, trap := range p.Traps {
			fmt.Fprintf(&b, "%s- %s\n", map[bool]string{true: "\n"}[i == 0], trap)
		}
	}
	return b.String()
}

func place(r Reading) string {
	if !r.OID.set() {
		return "–"
	}
	s := fmt.Sprintf("`%s`, %s", strings.TrimPrefix(r.OID.text, "1.3.6.1.4.1."), r.Unit.Text)
	if r.Text != "" {
		s += ", a text"
	}
	if r.Units != nil {
		s += ", or as the device says"
	}
	return s
}

func period(p *Profile) string {
	if p.Period.Value == 0 {
		return "not documented, measured by meterd"
	}
	return fmt.Sprintf("every %v (%v)", p.Period.Value, power.Origin(p.Period.From))
}

func accuracy(p *Profile) string {
	if p.Accuracy.Value == 0 {
		return "not documented"
	}
	return fmt.Sprintf("%g %% (%v)", 100*p.Accuracy.Value, power.Origin(p.Accuracy.From))
}
