package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
	"agentwatt/shared/topology"
	"agentwatt/shared/wire"
)

func topologyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "topology",
		Short: "Say what feeds what, and find what is counted twice or not at all",
		Long: `A topology is a small file that says which rack input, outlet and node stands above
which module and accelerator. draft writes a first one from what is metered; check
holds it against the meters. docs/topology.md is the manual of the file.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(topologyDraftCommand(), topologyCheckCommand())
	return c
}

func topologyDraftCommand() *cobra.Command {
	var l listener
	c := &cobra.Command{
		Use:   "draft",
		Short: "Write a first topology of what is metered, to be completed by hand",
		Example: `  meterd topology draft > topology.yaml
  meterd topology draft --bus nats://gpu-01:4222 --bus nats://rack-01:4222 > topology.yaml`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			batches, _, err := l.listen(c.Context())
			if err != nil {
				return err
			}
			_, err = c.OutOrStdout().Write(topology.Draft(topology.Discover(batches)))
			return err
		},
	}
	l.add(c, 15*time.Second)
	return c
}

func topologyCheckCommand() *cobra.Command {
	var l listener
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Hold a topology against what is metered",
		Long: `check listens to the bus for a while and finds what is counted twice or not at all,
feeds that are missing, parts beside their wholes, and tiers that do not agree: what the
parts draw together cannot be more than what goes in above them, and what conversion
may lose is known. Exit code 3: something would make a figure wrong.`,
		Example: `  meterd topology check topology.yaml
  meterd topology check topology.yaml --for 10m --bus nats://gpu-01:4222 --bus nats://rack-01:4222`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, args []string) error {
			data, err := os.ReadFile(args[0])
			if err != nil {
				return fault.Misuse(fmt.Errorf("read the topology: %w", err))
			}
			file, err := topology.Parse(data, args[0])
			if err != nil {
				return fault.Misuse(err)
			}
			batches, w, err := l.listen(c.Context())
			if err != nil {
				return err
			}
			return report(c.OutOrStdout(), asJSON, judge(file, batches, w))
		},
	}
	l.add(c, 30*time.Second)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// judge does everything that check promises over one window.
func judge(file topology.File, batches []power.Batch, w window) topology.Report {
	found := topology.Discover(batches)
	return topology.Report{
		Simulated: found.Simulated(),
		Findings:  topology.Check(file, found),
		Counted:   topology.Once(file, found),
		Tiers:     topology.Balance(file, found, uses(batches, w)),
	}
}

// report prints and says with the exit code whether something is wrong.
func report(out io.Writer, asJSON bool, r topology.Report) error {
	if asJSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return err
		}
	} else {
		topology.Print(out, r)
	}
	wrong := topology.Worst(r.Findings) == topology.Error
	for _, t := range r.Tiers {
		wrong = wrong || t.Verdict == topology.Impossible
	}
	if wrong {
		return fault.NotCounted(errors.New("figures from these meters would be wrong: see the errors above"))
	}
	return nil
}

// window is the interval of a balance.
type window struct{ begin, end clock.Stamp }

// uses asks every meter about the window.
func uses(batches []power.Batch, w window) (list []topology.HostUse) {
	type key struct{ host, id string }
	samples, meters := map[key][]power.Sample{}, map[key]power.Meter{}
	for _, b := range batches {
		for _, s := range b.Samples {
			if s.Meter >= 0 && s.Meter < len(b.Meters) {
				k := key{b.Host, b.Meters[s.Meter].ID}
				samples[k], meters[k] = append(samples[k], s), b.Meters[s.Meter]
			}
		}
	}
	order := slices.SortedFunc(maps.Keys(meters), func(a, b key) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.id, b.id))
	})
	for _, k := range order {
		list = append(list, topology.HostUse{Host: k.host, Use: power.Between(meters[k], samples[k], w.begin, w.end)})
	}
	return list
}

// listener gathers what is published on one or more buses for a while.
type listener struct {
	urls   []string
	as     bus.Credentials
	length time.Duration
}

func (l *listener) add(c *cobra.Command, length time.Duration) {
	c.Flags().StringArrayVar(&l.urls, "bus", []string{defaultBus}, "`URL` of a bus; may be given for several hosts")
	addCredentials(c, &l.as)
	c.Flags().DurationVar(&l.length, "for", length, "how long to listen; coarse counters want minutes")
}

// edge is left out at both ends of the time listened, so that values before and after an edge are there.
const edge = 3 * time.Second

// listen returns the batches of all buses, and the window that they cover.
func (l *listener) listen(ctx context.Context) ([]power.Batch, window, error) {
	if l.length < 3*edge {
		return nil, window{}, fault.Misuse(fmt.Errorf("--for %v is too short, at least %v", l.length, 3*edge))
	}
	limited, stop := context.WithTimeout(ctx, l.length)
	defer stop()
	begin := time.Now()
	lists, errs := make([][]power.Batch, len(l.urls)), make(chan error, len(l.urls))
	for i, url := range l.urls {
		go func() {
			var err error
			if lists[i], err = gather(limited, url, l.as); err != nil {
				stop() // without one of them the rest says too little
			}
			errs <- err
		}()
	}
	var err error
	for range l.urls {
		err = errors.Join(err, <-errs)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, window{}, err
	}
	batches := slices.Concat(lists...)
	if len(batches) == 0 {
		return nil, window{}, fault.Hint(errors.New("nothing is published"), "is meterd run running, and does meterd probe find meters?")
	}
	return batches, window{clock.At(begin.Add(edge)), clock.At(begin.Add(l.length - edge))}, nil
}

// gather follows one bus until ctx ends.
func gather(ctx context.Context, url string, as bus.Credentials) (batches []power.Batch, err error) {
	conn, err := bus.Dial(ctx, url, as)
	if err != nil {
		return nil, fault.Hint(err, "is meterd run running, and is this the address that it logged as bus?")
	}
	defer conn.Close()
	err = conn.Follow(ctx, clock.At(time.Now()), func(m bus.Message) error {
		b, err := wire.Decode(m.Payload)
		if err != nil {
			return fmt.Errorf("decode batch %d of %s on %s: %w", m.Sequence, m.Source, m.Host, err)
		}
		batches = append(batches, *b)
		return nil
	})
	return batches, err
}
