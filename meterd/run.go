package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"agentwatt/meterd/internal/sampler"
	"agentwatt/shared/fault"
)

func runCommand() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "run",
		Short: "Measure until stopped, and publish on the embedded bus",
		Long: `run finds every power source of this host, reads each at its own interval and stores
the readings on the embedded bus, on disk. It needs no configuration. What is not
there is logged once, with its reason. Logs go to standard error; SIGTERM or
Ctrl-C stops it after the last readings are stored.`,
		Example: `  meterd run
  meterd run --dir ~/meterd --listen 127.0.0.1:4333
  meterd run -c /etc/meterd.yaml`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := f.load()
			if err != nil {
				return err
			}
			return serve(c.Context(), conf, f.load, newLog(c.ErrOrStderr()))
		},
	}
	f.add(c)
	c.Flags().StringVar(&f.listen, "listen", "", "`address` of the bus, instead of bus.listen")
	c.Flags().StringVar(&f.dir, "dir", "", "`directory` of the stored readings, instead of bus.dir")
	return c
}

// newLog logs to w, without the time where the journal adds its own.
func newLog(w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{}
	if os.Getenv("JOURNAL_STREAM") != "" {
		o.ReplaceAttr = func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// serve is meterd run. load reads the configuration again.
func serve(ctx context.Context, conf config, load func() (config, error), log *slog.Logger) error {
	d, err := newDaemon(ctx, conf, load, log)
	if err != nil {
		return err
	}
	return d.run(ctx)
}

// makeRoom sees to it that samplers which keep a processor each leave one for the bus and the rest.
func makeRoom(found []opened) {
	kept := 0
	for _, o := range found {
		if sampler.Precise(o.interval) {
			kept++
		}
	}
	if runtime.GOMAXPROCS(0) <= kept {
		runtime.GOMAXPROCS(kept + 1)
	}
}

// log says once that a source is not there.
func (a absence) log(log *slog.Logger) {
	attrs := []any{"source", a.name, "reason", a.err}
	if advice := fault.Advice(a.err); advice != "" {
		attrs = append(attrs, "hint", advice)
	}
	log.Info("absent", attrs...)
}

// announce says that everything runs.
func announce(log *slog.Logger, url string, found []opened) {
	var names []string
	meters, awaited, simulated := 0, 0, false
	for _, o := range found {
		names = append(names, o.name)
		if o.remote && len(o.source.Meters()) == 0 {
			awaited++ // its sampler opens it
		}
		for _, m := range o.source.Meters() {
			meters++
			simulated = simulated || m.Simulated
		}
	}
	if simulated {
		log.Warn("SIMULATED meters are published; nothing that they touch is a measurement")
	}
	attrs := []any{"bus", url, "sources", strings.Join(names, ","), "meters", meters}
	if awaited > 0 {
		attrs = append(attrs, "awaited", awaited)
	}
	log.Info("ready", attrs...)
}

// noSource says why nothing can be measured, with every reason.
func noSource(missing []absence) error {
	var reasons []string
	for _, m := range missing {
		reasons = append(reasons, m.name+": "+m.err.Error())
	}
	err := fmt.Errorf("no power source on this host (%s)", strings.Join(reasons, "; "))
	if len(reasons) == 0 {
		err = errors.New("no power source: every source is switched off")
	}
	return fault.Hint(err, "meterd probe shows what is missing and how to get it; sources.simulated needs no hardware")
}
