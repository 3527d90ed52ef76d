package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/rundir"
	"agentwatt/runner/internal/search"
	"agentwatt/runner/internal/servermetrics"
	"agentwatt/runner/internal/simulate"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

//go:embed run.yaml
var referenceConfig string

func searchCommand() *cobra.Command {
	var print bool
	var e experiment
	flags := defaults()
	cmd := &cobra.Command{
		Use:   "search",
		Short: "Find the largest number of agents that meets each tier, and their power",
		Long: `Search replays the dataset's trajectories at rising concurrency against the endpoint, finds for each tier the largest
number of concurrent agents that meets it, and joins the power that meterd measured in exactly the same windows.

Everything goes to a run directory; "runner report DIR" makes the result again from its files alone. Ctrl-C ends cleanly
and keeps what was measured. A search with a published profile takes hours; --quick takes minutes and is not comparable.`,
		Example: `  runner trace synth -o traces.jsonl
  runner search --endpoint http://gpu1:8000/v1 --model my-model --dataset traces.jsonl -o run-1
  runner search -c run.yaml --profile quick -o run-2
  runner search -c run.yaml --workers 4 --workers-listen 127.0.0.1:4333 -o run-3
  runner search --print-config > run.yaml`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if print {
				_, err := io.WriteString(cmd.OutOrStdout(), referenceConfig)
				return err
			}
			return e.run(cmd, flags, "run-")
		},
	}
	e.flags(cmd, &flags)
	cmd.Flags().BoolVar(&print, "print-config", false, "print the experiment file with every key and its default")
	return cmd
}

// runSearch is one search from configuration to printed result.
func runSearch(ctx context.Context, c config, out string, stdout, stderr io.Writer) error {
	clk := clock.New()
	tiers, tiersSum, profile, err := rules(c)
	if err != nil {
		return err
	}
	layout, err := c.readLayout()
	if err != nil {
		return err
	}
	l, err := openLoad(ctx, c, clk)
	if err != nil {
		return err
	}
	conn, why, err := openBus(ctx, c.Power.Bus, c.Power.credentials())
	if err != nil {
		return err
	}
	if conn != nil {
		defer conn.Close()
	} else {
		l.note("no power was measured, so agents per megawatt cannot be given: %s", why)
		fmt.Fprintf(stderr, "runner: no power: %s; it goes on, agents per megawatt will not be given\n", why)
	}
	exp, err := describe(c, l, tiers, tiersSum, profile, clk)
	if err != nil {
		return err
	}
	if conn != nil {
		exp.Power.Bus = bus.Redact(busURL(c.Power.Bus))
	}
	scraper, plan, err := openServerMetrics(ctx, c)
	if err != nil {
		return err
	}
	exp.Server, exp.Fixed = plan, c.Fixed.plan()
	run := &session{exp: exp, clk: clk, load: l, conn: conn, scraper: scraper, plan: l.plan(c, exp.ID, profile), config: c, layout: layout}
	err = run.search(ctx, out, stderr)
	if run.dir == nil {
		return err
	}
	// Whatever happened, what was measured is computed and kept.
	if ferr := finish(run.dir, stdout); err == nil {
		err = ferr
	}
	return err
}

// session is a search about to run.
type session struct {
	exp     bench.Experiment
	clk     *clock.Clock
	load    *load
	conn    *bus.Conn              // nil: no power
	scraper *servermetrics.Scraper // nil: the server tells nothing
	plan    agent.Plan
	config  config
	layout  *layout // nil: none was named
	dir     *rundir.Dir
}

// firstPower is how long a run waits for the first power of a bus that answers.
const firstPower = 5 * time.Second

// search makes the run directory and runs the search in it. An interrupted search is no error here: the result says so.
func (r *session) search(ctx context.Context, out string, stderr io.Writer) (err error) {
	dir, err := rundir.Create(out, rundir.Manifest{Experiment: r.exp, Simulated: r.exp.Simulated, Notes: r.load.notes})
	if err != nil {
		return fault.Hint(fault.Misuse(err), "choose another directory with -o")
	}
	r.dir = dir
	if err := errors.Join(r.saveConfig(), r.saveAssignment(), r.saveLayout()); err != nil {
		return err
	}
	fleet, closed, err := r.fleet(ctx, stderr)
	if err != nil {
		return err
	}
	defer closed()
	s := &search.Search{Experiment: r.exp, Fleet: fleet, Dir: r.dir, Clock: r.clk, Watch: newWatcher(stderr).show}
	watched := r.watchServer(ctx)
	defer func() { err = errors.Join(err, watched()) }()
	following, stop := context.WithCancel(context.WithoutCancel(ctx)) // power is followed to the end of an interrupted run too
	defer stop()
	var wg sync.WaitGroup
	var followed error
	if r.conn != nil {
		s.Power = &search.Power{Conn: r.conn, Dir: r.dir, Now: r.clk.Now, Boot: r.exp.Boot, Epoch: r.exp.Epoch}
		wg.Go(func() { followed = s.Power.Run(following, r.clk.Now().Add(-firstPower)) })
		if err := r.expect(ctx, s); err != nil {
			stop()
			wg.Wait()
			return errors.Join(err, followed)
		}
	}
	err = s.Run(ctx)
	stop()
	wg.Wait()
	if errors.Is(err, search.ErrInvalid) {
		err = fault.NotCounted(err)
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("interrupted; what was measured is in %s", out)
	}
	return errors.Join(err, followed)
}

// expect fixes, before the first request, which devices have to be there at the end.
func (r *session) expect(ctx context.Context, s *search.Search) error {
	s.Power.Await(ctx, r.clk.Now(), firstPower)
	devices := s.Power.Devices(r.exp.Power.Scopes)
	if len(r.exp.Power.Expected) == 0 {
		r.exp.Power.Expected = devices
	}
	var notes []string
	if r.layout != nil {
		var err error
		if r.exp.Power.Expected, notes, err = r.layout.expected(s.Power.Batches(), r.exp.Power.Scopes); err != nil {
			return err
		}
	}
	s.Experiment.Power.Expected = r.exp.Power.Expected
	return r.dir.Update(func(m *rundir.Manifest) {
		m.Experiment = r.exp
		m.Notes = append(m.Notes, notes...)
		if len(devices) == 0 {
			m.Notes = append(m.Notes, "the bus answers but no meter of a headline scope has published: agents per megawatt cannot be given")
		}
	})
}

// describe writes down what will be run.
func describe(c config, l *load, tiers []bench.Tier, sum string, p bench.Profile, clk *clock.Clock) (bench.Experiment, error) {
	binary, err := ownDigest()
	if err != nil {
		return bench.Experiment{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return bench.Experiment{}, fmt.Errorf("find own host name: %w", err)
	}
	// Without these two, power of this host is treated as another host's: its clock error then counts.
	boot, _ := clock.BootID("/proc")
	state, _ := clock.Kernel(clk)
	return bench.Experiment{
		ID: runID(), Started: clk.Now(), Tool: "runner " + version, Binary: binary, Endpoint: l.client.URL(), Model: c.Model,
		Dataset: l.dataset.Name, DatasetSum: fmt.Sprintf("%x", l.dataset.Digest), Tiers: tiers, TiersSum: sum, Profile: p,
		Output: string(l.client.Mode()), OutputAsked: string(l.asked), OutputCap: c.Output.Cap, ToolTime: c.ToolTime.Mode, Salt: c.Salt,
		Seed: c.Seed, Host: host, Boot: boot, Epoch: state.Epoch, Simulated: simulatedModel(l.probe), System: c.System.system(),
		Power: bench.PowerPlan{Scopes: c.Power.Scopes, Expected: c.Power.Devices, Idle: c.Power.Idle},
	}, nil
}

// simulatedModel reports whether the endpoint says that it is a simulation.
func simulatedModel(p endpoint.Probe) bool {
	return slices.ContainsFunc(append(p.Models, p.Served), func(m string) bool { return strings.HasPrefix(m, simulate.ModelPrefix) })
}
