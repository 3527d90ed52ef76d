package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/calibrate"
	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

func calibrateCommand() *cobra.Command {
	var asJSON, serve, secure bool
	var most float64
	c := &cobra.Command{
		Use:   "calibrate",
		Short: "Measure the load generator itself on this host",
		Long: `Calibrate measures this host as a load generator: a server of runner's own, in a process of its own on loopback, sends streams at
rising rates and says in every token when it sent it. What the client makes of them is the floor of every time that it
reports. A search does the same before it begins, and a phase that asks more of the client than two thirds of what it
has been seen to do is invalid. With an endpoint behind https it calibrates through TLS. It takes about 10 s and a processor beside the
client's.`,
		Example: `  runner calibrate
  runner calibrate --tls
  runner calibrate --json | jq .proven_chunks_per_second`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if serve {
				return serveCalibration(cmd.Context(), cmd.InOrStdin(), cmd.OutOrStdout(), secure)
			}
			result, err := calibration(cmd.Context(), most, secure, clock.New())
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), result)
			}
			return printCalibration(cmd.OutOrStdout(), result)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().Float64Var(&most, "up-to", 0, "chunks per second that are enough (default: as far as the client goes)")
	c.Flags().BoolVar(&secure, "tls", false, "through TLS, as for an endpoint behind https")
	c.Flags().BoolVar(&serve, "serve", false, "be the server, until standard input ends")
	if err := c.Flags().MarkHidden("serve"); err != nil {
		panic(err)
	}
	return c
}

// calibration calibrates against a server process of its own, up to most chunks per second; 0: as far as the client goes.
func calibration(ctx context.Context, most float64, secure bool, clk *clock.Clock) (c bench.Calibration, err error) {
	self, err := os.Executable()
	if err != nil {
		return c, fmt.Errorf("find own program file: %w", err)
	}
	cmd := exec.Command(self, "calibrate", "--serve", fmt.Sprintf("--tls=%t", secure))
	var said strings.Builder
	cmd.Stderr = &said
	in, err := cmd.StdinPipe()
	if err != nil {
		return c, fmt.Errorf("start the calibration's server: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return c, fmt.Errorf("start the calibration's server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return c, fmt.Errorf("start the calibration's server: %w", err)
	}
	defer func() { err = errors.Join(err, in.Close(), cmd.Wait()) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return c, fmt.Errorf("start the calibration's server: it ended: %s", said.String())
	}
	at, err := calibrationServer(line)
	if err != nil {
		return c, err
	}
	return calibrate.Run(ctx, at, most, clk)
}

const notCalibrated = "the client was not calibrated (calibrate: false): its part in the times is not known"

// calibrate calibrates before a search, as far as its load can go, and refuses a host on which the client keeps up with nothing.
func (r *session) calibrate(ctx context.Context, stderr io.Writer) error {
	if !r.config.Calibrate {
		return r.dir.Update(func(m *rundir.Manifest) {
			m.Notes = append(m.Notes, notCalibrated)
		})
	}
	fmt.Fprintln(stderr, "calibrating the client")
	c, err := calibration(ctx, expectedRate(r.exp), strings.HasPrefix(r.exp.Endpoint, "https:"), r.clk)
	switch {
	case err != nil:
		return err
	case c.Proven == 0:
		s := c.Steps[0]
		return fault.Hint(fmt.Errorf("calibrate the client: it does not keep up with %.0f chunks/s: stamps off by %v, requests %v late (P99)",
			s.PerSecond, seconds(s.Stamp.P99), seconds(s.Lag.P99)), "something else keeps this host busy: look with top, or run the load from another host")
	}
	r.exp.Calibration = &c
	return r.dir.Update(func(m *rundir.Manifest) {
		m.Experiment = r.exp
	})
}

// expectedRate is the most chunks per second that a search can come to, with room: every agent answered all the time at the fastest tier's
// speed.
func expectedRate(x bench.Experiment) (chunksPerSecond float64) {
	fastest := 0.0
	for _, t := range x.Tiers {
		for _, o := range t.Objectives {
			if o.Metric.HigherIsBetter() {
				fastest = max(fastest, o.Limit)
			}
		}
	}
	return 2 * fastest * float64(x.Profile.MaxAgents)
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Microsecond)
}

func printCalibration(w io.Writer, c bench.Calibration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "chunks/s\tstreams\tstamp error P50\tP99\tTTFT P50\tP99\tlag P99\tmerged\tCPU per chunk\t\t")
	for _, s := range c.Steps {
		verdict := "clean"
		if !s.Clean {
			verdict = "too much"
		}
		fmt.Fprintf(t, "%.0f\t%d\t%v\t%v\t%v\t%v\t%v\t%.2f %%\t%v\t%s\t\n", s.PerSecond, s.Streams, seconds(s.Stamp.P50), seconds(s.Stamp.P99),
			seconds(s.TTFT.P50), seconds(s.TTFT.P99), seconds(s.Lag.P99), 100*s.Merged, s.CPU.Round(100*time.Nanosecond), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "this host is proven for %.0f chunks/s, a phase may have two thirds of that\n", c.Proven)
	return err
}
