package search

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/clock"
)

// fading is a fleet whose worker is lost when it is asked for its requests for the last time.
type fading struct{ lost error }

func (f *fading) Resize(context.Context, context.Context, int) (clock.Stamp, error) { return 0, nil }
func (f *fading) Active() int                                                       { return 1 }
func (f *fading) Wait()                                                             {}
func (f *fading) Lost() error                                                       { return f.lost }
func (f *fading) Costs(context.Context) []bench.WorkerFacts {
	return []bench.WorkerFacts{{Name: "w", Answered: true, Client: bench.ClientCost{CPU: time.Second, SchedP99: time.Hour}}}
}

func (f *fading) InFlight() []bench.Record {
	f.lost = errors.New("worker w is lost")
	return nil
}

// A worker that is lost after the window, before all its records are here, spoils the phase: in run.json too, of which the result is made.
func TestLostAfterTheWindow(t *testing.T) {
	d, err := rundir.Create(filepath.Join(t.TempDir(), "run"), rundir.Manifest{})
	if err != nil {
		t.Fatal(err)
	}
	clk := clock.New()
	tier := bench.Tier{Name: "t"}
	f := &fading{}
	r := &running{Search: &Search{Experiment: bench.Experiment{Tiers: []bench.Tier{tier}}, Dir: d, Clock: clk}, fleet: f, crew: f}
	now := clk.Now()
	p := &phase{running: r, cost: startCost(), tally: bench.NewTally(nil), facts: bench.PhaseFacts{
		Index: 1, Agents: 1, Begin: now, Full: now, WindowBegin: now, WindowEnd: now.Add(time.Millisecond), Reason: bench.EndCertain, // which does not drain
	}}
	out, err := p.close(t.Context())
	if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "worker w is lost") {
		t.Errorf("error %v", err)
	}
	var noted []bench.PhaseFacts
	if err := d.Update(func(m *rundir.Manifest) { noted = m.Phases }); err != nil {
		t.Fatal(err)
	}
	if len(noted) != 1 || noted[0].Lost != "worker w is lost" || out.Verdicts[0].Outcome != bench.Invalid {
		t.Errorf("noted %+v, verdict %s", noted, out.Verdicts[0].Outcome)
	}
	if c := out.Client; c.CPU < time.Second || c.SchedP99 != time.Hour || len(out.Workers) != 1 {
		t.Errorf("costs %+v of %d workers", c, len(out.Workers))
	}
}

func TestWithout(t *testing.T) {
	r := func(agent, turn int) bench.Record { return bench.Record{Agent: agent, Turn: turn} }
	got := without([]bench.Record{r(1, 1), r(1, 2), r(2, 1)}, []bench.Record{r(1, 2), r(3, 1)})
	if diff := cmp.Diff([]bench.Record{r(1, 1), r(2, 1)}, got); diff != "" {
		t.Error(diff)
	}
}
