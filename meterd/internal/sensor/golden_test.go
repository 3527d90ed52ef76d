package sensor

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/shared/power"
)

var update = flag.Bool("update", false, "rewrite docs/sensors.md from models.yaml")

// docs/sensors.md is what models.yaml says, for people.
func TestGolden(t *testing.T) {
	const path = "../../../docs/sensors.md"
	got := page(All())
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/sensors.md does not say what models.yaml says (-page +models):\n%s\nrewrite it: go test ./meterd/internal/sensor -run Golden -update", diff)
	}
}

const preface = `# What is known about power sensors

<!-- Made from meterd/internal/sensor/models.yaml by: go test ./meterd/internal/sensor -run Golden -update -->

meterd looks its sensors up here and puts what it finds into the meters that it publishes, with where it comes from:
*assumed* (a default of ours), *specification* (a vendor's or a standard's document) or *publication* (a published
measurement). What is measured on the device itself, the refresh period and a calibration, wins over this table.
A sensor that is not in it can be used all the same: its meter's model ends in ` + "`/unknown`" + `.

- **architecture**: ` + "`*`" + ` is every one without a row of its own.
- **period**: between fresh values, however often the sensor is read.
- **window**: the stretch of time that one value describes; shorter than the period, the rest is not seen.
- **delay**: how late a value is, besides half of the window of a mean.
- **accuracy**: relative gain error at k = 2.
- **–**: not known.
`

// page writes the whole document: a table per vendor in the order of the file, and the sources under it.
func page(models []Model) string {
	var b strings.Builder
	b.WriteString(preface)
	for len(models) > 0 {
		vendor := models[0].Vendor
		var sources []string
		fmt.Fprintf(&b, "\n## %s\n\n", vendor)
		b.WriteString("| architecture | field | drivers | is | period | window | delay | accuracy | source |\n|---|---|---|---|---|---|---|---|---|\n")
		rest := models[:0:0]
		for _, m := range models {
			if m.Vendor != vendor {
				rest = append(rest, m)
				continue
			}
			if !slices.Contains(sources, m.Source) {
				sources = append(sources, m.Source)
			}
			fmt.Fprintf(&b, "| %s |\n", strings.Join(m.cells(slices.Index(sources, m.Source)+1), " | "))
		}
		b.WriteString("\n")
		for i, s := range sources {
			fmt.Fprintf(&b, "%d. %s\n", i+1, s)
		}
		models = rest
	}
	return b.String()
}

// cells is the row of one model; source is the number of its source.
func (m Model) cells(source int) []string {
	is := "–"
	if m.Quantity != 0 {
		is = power.Quantity(m.Quantity).String()
	}
	arch := m.Arch
	if arch == "*" {
		arch = "`*`"
	}
	accuracy := "–"
	if m.Accuracy.Value != 0 {
		accuracy = fmt.Sprintf("%.3g %% (%v)", 100*m.Accuracy.Value, power.Origin(m.Accuracy.From))
	}
	return []string{arch, "`" + m.Field + "`", m.Drivers.String(), is, m.Period.cell(), m.Window.cell(), m.Delay.cell(), accuracy, fmt.Sprint(source)}
}

func (s Span) cell() string {
	if s.Value == 0 {
		return "–"
	}
	number := strings.TrimSuffix(s.Value.String(), "0s")
	if s.Value < time.Minute {
		number = s.Value.String()
	}
	return fmt.Sprintf("%s (%v)", number, power.Origin(s.From))
}

// Every field of every vendor's row is in the page: a property that is added to Model and forgotten here would not be seen.
func TestPageSaysAll(t *testing.T) {
	second := Span{time.Second, Origin(power.Publication)}
	text := page([]Model{
		{Vendor: "v", Arch: "a", Field: "f", Drivers: Range{"1", "2"}, Quantity: Quantity(power.Held), Period: Span{5 * time.Minute, Origin(power.Assumed)},
			Window: second, Delay: Span{time.Millisecond, Origin(power.Specification)}, Accuracy: Share{0.015, Origin(power.Assumed)}, Source: "book one"},
		{Vendor: "w", Arch: "*", Field: "g", Source: "book two"},
		{Vendor: "v", Arch: "b", Field: "h", Source: "book one"},
	})
	for _, want := range []string{
		"## v\n", "## w\n", "1. book one\n\n## w", "1. book two\n",
		"| a | `f` | 1..2 | held | 5m (assumed) | 1s (publication) | 1ms (specification) | 1.5 % (assumed) | 1 |\n| b |",
		"| `*` | `g` | all | – | – | – | – | – | 1 |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
