package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/meterd/internal/observer"
	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

func selftestCommand() *cobra.Command {
	var f flags
	var t selftest
	c := &cobra.Command{
		Use:   "selftest [flags] [-- command [argument...]]",
		Short: "Measure what metering costs the work that is metered",
		Long: `selftest does the same work again and again, by turns without and with every source
sampled as meterd run would, and prints how much longer the work takes with sampling,
as a ratio with its 95 % interval, and what reading each source cost. The command must
do a fixed amount of work and end; it is run without a shell. Without a command all
processors calculate for about half a second, which says nothing about GPU work: give
it a short, fixed piece of that.`,
		Example: `  meterd selftest -- ./decode-benchmark --tokens 2000
  meterd selftest --profile quiet -n 40 -- python3 matmul.py
  meterd selftest              what it costs work on the processors`,
		Args: dashedCommand("meterd selftest"),
		RunE: func(c *cobra.Command, args []string) error {
			conf, err := f.load()
			if err != nil {
				return err
			}
			if t.pairs < 5 {
				return fault.Misuse(fmt.Errorf("-n %d: at least 5 pairs are needed to say anything", t.pairs))
			}
			t.command, t.log = args, newLog(c.ErrOrStderr())
			return t.run(c.Context(), conf, c.OutOrStdout())
		},
	}
	f.add(c)
	c.Flags().IntVarP(&t.pairs, "pairs", "n", 20, "how often the work is done without and with sampling")
	c.Flags().BoolVar(&t.asJSON, "json", false, "print JSON")
	return c
}

// selftest is one run of meterd selftest.
type selftest struct {
	pairs   int
	asJSON  bool
	command []string
	log     *slog.Logger

	spent map[string]*readCost // by source
}

// readCost is what reading one source cost during the test.
type readCost struct {
	Source string        `json:"source"`
	Reads  uint64        `json:"reads"`
	P50    time.Duration `json:"read_p50_nanos"`
	P99    time.Duration `json:"read_p99_nanos"` // the worst turn's
	Max    time.Duration `json:"read_max_nanos"`
	Missed uint64        `json:"missed_ticks"`
}

func (t *selftest) run(ctx context.Context, conf config, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "meterd-selftest-")
	if err != nil {
		return fmt.Errorf("make a directory for the readings: %w", err)
	}
	defer os.RemoveAll(dir)
	conf.Bus.Dir, conf.Bus.Listen = dir, "127.0.0.1:0"
	quiet := slog.New(slog.DiscardHandler)
	segments := clock.NewSegments("selftest")
	found, missing, err := openSources(ctx, conf, segments.Now, quiet)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSources(found)) }()
	if len(found) == 0 {
		return noSource(missing)
	}
	store, err := openBus(ctx, conf, "selftest", quiet)
	if err != nil {
		return err
	}
	defer store.close()
	makeRoom(found)
	sampling := func() func() { return t.sample(ctx, conf, found, store, segments, quiet) }
	pairs, err := observer.Measure(ctx, t.pairs, t.work(), sampling)
	if err != nil {
		return err
	}
	cost, err := observer.Compare(pairs)
	if err != nil {
		return err
	}
	return t.print(out, cost, found)
}

// sample reads every source as meterd run does, until the function that it returns is called.
func (t *selftest) sample(ctx context.Context, conf config, found []opened, store store, segments *clock.Segments, log *slog.Logger) func() {
	ctx, stop := context.WithCancel(ctx)
	segments.Renew() // the samplers number their batches anew
	var wg sync.WaitGroup
	var samplers []*sampler.Sampler
	for _, o := range found {
		s := &sampler.Sampler{
			Name: o.name, Source: o.source, Bus: store.publisher, Interval: o.interval, Flush: time.Duration(conf.Bus.Flush),
			Host: "selftest", Clock: segments, Log: log,
		}
		samplers = append(samplers, s)
		wg.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.log.Warn("source stopped", "source", s.Name, "err", err)
			}
		})
	}
	return func() {
		stop()
		wg.Wait()
		for _, s := range samplers {
			t.count(s)
		}
	}
}

func (t *selftest) count(s *sampler.Sampler) {
	if t.spent == nil {
		t.spent = map[string]*readCost{}
	}
	c := t.spent[s.Name]
	if c == nil {
		c = &readCost{Source: s.Name}
		t.spent[s.Name] = c
	}
	st := s.Stats()
	c.Reads, c.Missed = c.Reads+st.Ticks, c.Missed+st.Missed
	c.P50, c.P99, c.Max = st.Read.P50, max(c.P99, st.Read.P99), max(c.Max, st.Read.Max)
}

// work returns the work to do: the user's command, or arithmetic on all processors.
func (t *selftest) work() func(context.Context) error {
	if len(t.command) == 0 {
		return calculate
	}
	return func(ctx context.Context) error {
		var stderr bytes.Buffer
		c := exec.CommandContext(ctx, t.command[0], t.command[1:]...)
		c.Stderr = &stderr
		if err := c.Run(); err != nil {
			said := strings.TrimSpace(stderr.String())
			return fmt.Errorf("run %s: %w: %.300s", t.command[0], err, said)
		}
		return nil
	}
}

// calculate keeps every processor busy with a fixed amount of arithmetic.
func calculate(ctx context.Context) error {
	const rounds, each = 100, 400_000
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			x := 1.0
			for range rounds {
				if ctx.Err() != nil {
					return
				}
				for range each {
					x = math.Sqrt(x + 1.5)
				}
			}
			runtime.KeepAlive(x)
		})
	}
	wg.Wait()
	return ctx.Err()
}

func (t *selftest) print(out io.Writer, c observer.Cost, found []opened) error {
	var costs []*readCost
	simulated := false
	for _, o := range found {
		costs = append(costs, t.spent[o.name])
		for _, m := range o.source.Meters() {
			simulated = simulated || m.Simulated
		}
	}
	if t.asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Simulated bool          `json:"simulated,omitempty"`
			Work      []string      `json:"work"`
			Cost      observer.Cost `json:"cost"`
			Verdict   string        `json:"verdict"`
			Sources   []*readCost   `json:"sources"`
		}{simulated, t.command, c, c.Verdict(), costs})
	}
	work := "arithmetic on all processors"
	if len(t.command) > 0 {
		work = strings.Join(t.command, " ")
	}
	fmt.Fprintf(out, "%swork: %s, %d pairs\n", mark(simulated), work, c.Pairs)
	fmt.Fprintf(out, "without sampling %v, with %v (medians)\n", c.Without.Round(10*time.Microsecond), c.With.Round(10*time.Microsecond))
	fmt.Fprintf(out, "ratio %.4f, 95 %% interval %.4f to %.4f: %s\n\n", c.Ratio, c.Low, c.High, c.Verdict())
	tab := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "SOURCE\tREADS\tREAD P50\tWORST P99\tMAX\tMISSED TICKS")
	for _, s := range costs {
		fmt.Fprintf(tab, "%s\t%d\t%s\t%s\t%s\t%d\n", s.Source, s.Reads, brief(s.P50), brief(s.P99), brief(s.Max), s.Missed)
	}
	return tab.Flush()
}
