package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/doctor"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

func doctorCommand() *cobra.Command {
	var file string
	var asJSON bool
	var keepAlive time.Duration
	flags := defaults()
	cmd := &cobra.Command{
		Use:   "doctor [URL]",
		Short: "Examine an endpoint before anything is measured",
		Long: `Doctor sends an endpoint about ten small requests and says what it found: whether it streams and reports usage, whether
ignore_eos is honoured, also with tools, whether its prefix cache works, which context and output cap it takes, when it closes
idle connections, which metrics it has, and what kind of server it is. What fails or is missing has a hint beside it.

Exit code 0: it can be measured; 1: it cannot. docs/servers.md says how to start each server.`,
		Example: `  runner doctor http://gpu1:8000/v1
  runner doctor http://gpu1:8000/v1 --model my-model --json
  runner doctor -c run.yaml`,
		Args: usageArgs(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := doctorConfig(cmd, file, flags, args)
			if err != nil {
				return err
			}
			return runDoctor(cmd.Context(), c, keepAlive, asJSON, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&file, "config", "c", "", "experiment file to take endpoint, model, key and headers from")
	f.StringVar(&flags.Model, "model", "", "model name at the endpoint (default: the only one that it lists)")
	f.StringVar(&flags.KeyFile, "key-file", "", "file with the API key (default: environment AGENTWATT_API_KEY)")
	f.StringVar(&flags.SessionHeader, "session-header", "", "header by which a router keeps a conversation on one replica")
	f.IntVar(&flags.Output.Cap, "output-cap", flags.Output.Cap, "most tokens of one answer that the run will allow")
	f.StringVar(&flags.ServerMetrics, "server-metrics", flags.ServerMetrics, "URL of the server's Prometheus metrics, auto (/metrics on its host), or none")
	f.DurationVar(&keepAlive, "keep-alive", 6*time.Second, "how long to leave a connection idle; 0: not tried")
	f.BoolVar(&asJSON, "json", false, "print the findings as JSON")
	return cmd
}

// doctorConfig reads the experiment file, if any, and puts what the command line says over it.
func doctorConfig(cmd *cobra.Command, file string, flags config, args []string) (config, error) {
	c := defaults()
	if file == "" && len(args) == 0 {
		return c, fault.Hint(fault.Misuse(errors.New("no endpoint was named")), "runner doctor http://host:8000/v1, or -c run.yaml")
	}
	if file != "" {
		var err error
		if c, err = loadConfig(file); err != nil {
			return c, err
		}
	}
	if len(args) > 0 {
		c.Endpoint = args[0]
	}
	for name, set := range map[string]func(){
		"model": func() { c.Model = flags.Model }, "key-file": func() { c.KeyFile = flags.KeyFile },
		"session-header": func() { c.SessionHeader = flags.SessionHeader }, "output-cap": func() { c.Output.Cap = flags.Output.Cap },
		"server-metrics": func() { c.ServerMetrics = flags.ServerMetrics },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	return c, nil
}

// errNotMeasurable ends doctor where something failed (exit code 1).
var errNotMeasurable = errors.New("the endpoint cannot be measured as it is: see what failed")

func runDoctor(ctx context.Context, c config, keepAlive time.Duration, asJSON bool, stdout io.Writer) error {
	opt, err := endpointOptions(c, clock.New())
	if err != nil {
		return err
	}
	scraper, err := metricsScraper(c)
	if err != nil {
		return err
	}
	report, err := doctor.Examine(ctx, doctor.Options{Endpoint: opt, Metrics: scraper, KeepAlive: keepAlive})
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(report)
	} else {
		_, err = io.WriteString(stdout, findings(report))
	}
	if err == nil && !report.Measurable {
		err = errNotMeasurable
	}
	return err
}

// findings lays the report out: one line per question, the hint below it.
func findings(r doctor.Report) string {
	var b strings.Builder
	wide := 0
	for _, f := range r.Findings {
		wide = max(wide, len(f.Check))
	}
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-4s  %-*s  %s\n", f.Level, wide, f.Check, f.Found)
		if f.Hint != "" {
			fmt.Fprintf(&b, "      %-*s  hint: %s\n", wide, "", f.Hint)
		}
	}
	verdict := "it can be measured"
	if !r.Measurable {
		verdict = "it CANNOT be measured as it is"
	}
	fmt.Fprintf(&b, "\n%s, model %q: %s\n", r.URL, r.Model, verdict)
	return b.String()
}
