package status

import (
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/power"
)

// whole is a report with everything in it.
func whole() Report {
	connected := true
	return Report{
		Host: "h", Version: "v", Started: time.Unix(1, 0), Direct: &connected, Ready: true, Segments: 1,
		Sources: []Source{{Name: "nvml", Stats: sampler.Stats{Ticks: 1}}},
		Meters:  []MeterValue{{Source: "nvml", Meter: power.Meter{ID: "m", Quantity: power.Counter}}},
		Store:   &bus.Stats{Streams: []bus.StreamStats{{Name: "POWER", FirstTime: 1}}, Hub: bus.HubStats{Configured: true, Known: true}},
		Cursors: []Lag{{Name: "influx"}}, Clock: clock.State{Read: 1}, Sink: &Sink{LastSuccess: time.Unix(1, 0)},
	}
}

// What the alerts ask for is there.
func TestAlertsAskForWhatThereIs(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(collector{whole})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range families {
		there[f.GetName()] = true
	}
	text, err := os.ReadFile("../../../docs/prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	asked := regexp.MustCompile(`\bmeterd?_[a-z_]+\b`).FindAllString(string(text), -1)
	for _, name := range asked {
		if !there[name] {
			t.Errorf("an alert asks for %s, which is not there", name)
		}
	}
	if len(asked) < 8 {
		t.Errorf("only %d metrics are asked for", len(asked))
	}
}

// A meter that is not read any more shows no power, and keeps its energy.
func TestStaleMetersShowNoPower(t *testing.T) {
	var m Meters
	b := &power.Batch{Source: "nvml", Run: "R", Meters: []power.Meter{{ID: "m", Quantity: power.Counter, Scale: power.Scale{Num: 1000, Den: 1}}}}
	begin := clock.At(time.Now())
	for seq := range uint64(3) {
		b.Seq, b.Samples = seq+1, nil
		for i := range 10 {
			n := int64(seq)*10 + int64(i)
			b.Samples = append(b.Samples, power.Sample{Time: begin.Add(time.Duration(n) * 100 * time.Millisecond), Raw: n * 40_000})
		}
		m.See(b)
		m.See(b) // tried again
	}
	v := m.Values(time.Now())
	if len(v) != 1 || v[0].Stale || v[0].Watts < 399 || v[0].Watts > 401 || v[0].Joules < 1119 || v[0].Joules > 1161 {
		t.Errorf("got %+v, want 400 W and 1160 J, or up to 40 J less", v)
	}
	if v := m.Values(time.Now().Add(time.Minute)); !v[0].Stale || v[0].Joules < 1119 {
		t.Errorf("a minute later: %+v", v[0])
	}
}
