package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/search"
	"agentwatt/runner/internal/worker"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
)

func workerCommand() *cobra.Command {
	var url, name, keyFile string
	var as bus.Credentials
	var once bool
	c := &cobra.Command{
		Use:   "worker",
		Short: "Make a part of the load of a search that another host runs",
		Long: `Worker offers this host to a coordinator, "runner search --workers N", as a maker of load. It waits for a NATS server and plays
one run after the other until Ctrl-C. What to play comes from the coordinator; the API key of the endpoint does not: it is
read here. Raw records go back to the coordinator, which moves them onto its own clock.

Before a run the worker calibrates itself like "runner calibrate". A worker whose coordinator falls silent for 15 s stops its agents.`,
		Example: `  runner worker --bus nats://coordinator:4333 --nkey worker.nkey --bus-ca ca.pem
  AGENTWATT_API_KEY=... runner worker --bus nats://127.0.0.1:4333 --name left`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			host, err := os.Hostname()
			if err != nil {
				return fmt.Errorf("find own host name: %w", err)
			}
			if name == "" {
				name = host
			}
			key, err := config{KeyFile: keyFile}.key()
			if err != nil {
				return err
			}
			binary, err := ownDigest()
			if err != nil {
				return err
			}
			nc, err := worker.Dial(cmd.Context(), url, as, "worker "+name)
			if err != nil {
				return err
			}
			defer nc.Close()
			clk := clock.New()
			h := &worker.Host{
				Name: name, Version: "runner " + version, Binary: binary, Clock: clk, Costs: search.Costs,
				Log:   slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)),
				Build: func(ctx context.Context, job worker.Job) (worker.Load, error) { return buildLoad(ctx, job, key, clk) },
			}
			return h.Run(cmd.Context(), nc, host, once)
		},
	}
	c.Flags().StringVar(&url, "bus", "nats://127.0.0.1:4333", "NATS URL of the coordinator, or of a server with JetStream that both use")
	c.Flags().StringVar(&name, "name", "", "name in the result (default: the host's)")
	c.Flags().StringVar(&keyFile, "key-file", "", "file with the endpoint's API key (default: environment AGENTWATT_API_KEY)")
	c.Flags().StringVar(&as.NKeyFile, "nkey", "", "file of this worker's key, where the server wants one")
	c.Flags().StringVar(&as.CAFile, "bus-ca", "", "file with the authority that signed the server's certificate")
	c.Flags().StringVar(&as.CertFile, "bus-cert", "", "certificate of this worker, where the server wants one")
	c.Flags().StringVar(&as.KeyFile, "bus-cert-key", "", "and its key")
	c.Flags().BoolVar(&once, "once", false, "end after one run")
	return c
}

// endpointOrder is what a coordinator says of the endpoint. The key is not part of it.
type endpointOrder struct {
	URL           string            `json:"url"`
	Model         string            `json:"model"`
	Output        endpoint.Mode     `json:"output_mode"`
	Cap           int               `json:"output_cap"`
	Fixed         int               `json:"output_fixed"`
	Sampling      json.RawMessage   `json:"sampling,omitempty"`
	Headers       map[string]string `json:"headers,omitempty"`
	SessionHeader string            `json:"session_header,omitempty"`
	Timeouts      endpoint.Timeouts `json:"timeouts"`
	Fresh         bool              `json:"fresh_connections"`
}

// orderOf returns what workers are told of an endpoint.
func orderOf(o endpoint.Options, output endpoint.Mode, p endpoint.Probe) endpointOrder {
	return endpointOrder{
		URL: o.URL, Model: o.Model, Output: output, Cap: o.Cap, Fixed: o.Fixed, Sampling: o.Sampling, Headers: o.Headers,
		SessionHeader: o.SessionHeader, Timeouts: o.Timeouts, Fresh: p.Closes,
	}
}

// buildLoad makes what the agents of a job need: it calibrates this host, and sees that the endpoint can be reached from it.
func buildLoad(ctx context.Context, job worker.Job, key string, clk *clock.Clock) (load worker.Load, err error) {
	var o endpointOrder
	if err := json.Unmarshal(job.Endpoint, &o); err != nil {
		return load, fmt.Errorf("read the order: %w", err)
	}
	client, err := endpoint.New(endpoint.Options{
		URL: o.URL, Key: key, Model: o.Model, Output: o.Output, Cap: o.Cap, Fixed: o.Fixed, Sampling: o.Sampling, Headers: o.Headers,
		SessionHeader: o.SessionHeader, Timeouts: o.Timeouts, Fresh: o.Fresh, Clock: clk,
	})
	if err != nil {
		return load, err
	}
	lane := client.Lane()
	err = lane.Prepare(ctx)
	lane.Close()
	if err != nil {
		return load, fmt.Errorf("reach the endpoint from this host: %w", err)
	}
	if job.Calibrate >= 0 {
		c, err := calibration(ctx, job.Calibrate, strings.HasPrefix(o.URL, "https:"), clk)
		if err != nil {
			return load, err
		}
		if c.Proven == 0 {
			return load, fmt.Errorf("calibrate: this host keeps up with nothing: something else keeps it busy")
		}
		load.Ready.Calibration = &c
	}
	engine, err := client.Engine(0)
	if err != nil {
		return load, err
	}
	load.Open, load.Limit, load.Close = func() agent.Lane { return engine.Caller() }, client.Cap, func() { engine.Close() }
	return load, nil
}

// crew finds the workers of a search and prepares them. They calibrate themselves; the runner's own host makes no load.
func (r *session) crew(ctx context.Context, stderr io.Writer) (crew *worker.Crew, closed func(), err error) {
	w := r.config.Workers
	nc, closed, err := w.connect(ctx, stderr)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			closed()
		}
	}()
	finding, cancel := context.WithTimeoutCause(ctx, w.Wait, fmt.Errorf("nobody more within %v", w.Wait))
	defer cancel()
	if crew, err = worker.Gather(finding, nc, w.Count, r.clk, r.exp.ID); err != nil {
		return nil, nil, err
	}
	order, err := r.order()
	if err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(stderr, "preparing %d workers\n", w.Count)
	if err := crew.Prepare(ctx, r.load.dataset, order); err != nil {
		crew.Close()
		return nil, nil, err
	}
	for _, m := range crew.Members {
		r.exp.Workers = append(r.exp.Workers, m.Worker)
		if m.Tool != r.exp.Tool {
			crew.Close()
			return nil, nil, fmt.Errorf("worker %s on %s is %s, this is %s: all have to be of one version", m.Name, m.Host, m.Tool, r.exp.Tool)
		}
	}
	r.exp.Calibration = bench.Crew(r.exp.Workers)
	return crew, closed, nil
}

// order is what all workers are told.
func (r *session) order() (worker.Job, error) {
	opt, err := endpointOptions(r.config, r.clk)
	if err != nil {
		return worker.Job{}, err
	}
	if r.config.Fixed.Diagnose == bench.PrefillOnly {
		opt.Fixed = 1 // the trajectories of the other diagnosis are sent as they are played
	}
	said, err := json.Marshal(orderOf(opt, r.load.client.Mode(), r.load.probe))
	if err != nil {
		return worker.Job{}, fmt.Errorf("write the order: %w", err)
	}
	job := worker.Job{Plan: r.plan, Spawn: r.exp.Profile.Spawn, Endpoint: said, Calibrate: -1}
	if r.config.Calibrate {
		job.Calibrate = expectedRate(r.exp) // all of it: those of one host are held to what one of them was seen to do
	}
	return job, nil
}

// names lists workers for people.
func names(workers []bench.Worker) string {
	var list []string
	for _, w := range workers {
		list = append(list, w.Name)
	}
	return strings.Join(list, ", ")
}
