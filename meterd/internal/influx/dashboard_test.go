package influx

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// dashboard is what is checked of docs/grafana/agentwatt.json.
type dashboard struct {
	SchemaVersion int
	Panels        []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
		Targets []struct{ Query string }
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	data, err := os.ReadFile("../../../docs/grafana/agentwatt.json")
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Panels have numbers of their own and do not overlap.
func TestDashboardIsWellFormed(t *testing.T) {
	d := readDashboard(t)
	seen := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if seen[p.ID] || p.Title == "" || len(p.Targets) == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d, %q", p.ID, p.Title)
		}
		seen[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" {
					t.Fatalf("panel %q overlaps %q", p.Title, taken[at])
				}
				taken[at] = p.Title
			}
		}
	}
	if len(d.Panels) < 5 || d.SchemaVersion < 30 {
		t.Errorf("%d panels, schema %d", len(d.Panels), d.SchemaVersion)
	}
}

// Every query of the dashboard runs on a real server and finds something.
func TestDashboardQueries(t *testing.T) {
	d := startInfluxd(t)
	h := newHost(t)
	h.publish(120)
	s, _ := h.sink(d.address)
	h.caughtUp(s)
	variables := strings.NewReplacer("${bucket}", "power/autogen", "v.timeRangeStart", "-3h", "v.timeRangeStop", "now()", "v.windowPeriod", "10s")
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			rows := d.flux(variables.Replace(target.Query))
			if len(rows) < 2 {
				t.Errorf("%s: no rows of\n%s", p.Title, target.Query)
			}
		}
	}
}
