package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/rundir"
	"agentwatt/runner/internal/search"
	"agentwatt/runner/internal/worker"
	"agentwatt/shared/bus"
)

// workersConfig says who makes the load.
type workersConfig struct {
	Count    int           `yaml:"count"`
	Wait     time.Duration `yaml:"wait"`
	Bus      string        `yaml:"bus"`
	NKeyFile string        `yaml:"nkey_file"`
	CAFile   string        `yaml:"ca_file"`
	Listen   string        `yaml:"listen"`
	Keys     []string      `yaml:"keys"`
	CertFile string        `yaml:"cert_file"`
	KeyFile  string        `yaml:"cert_key_file"`
}

// check reports what cannot be.
func (w workersConfig) check() error {
	switch {
	case w.Count < 0:
		return fmt.Errorf("workers.count is %d, want 0 or more", w.Count)
	case w.Count > 0 && w.Wait <= 0:
		return fmt.Errorf("workers.wait is %v, want more than 0", w.Wait)
	case w.Bus != "" && len(w.Keys) > 0:
		return errors.New("workers.keys are those of the runner's own server: with workers.bus the server at hand decides who may connect")
	}
	return nil
}

// connect connects to the server of the workers, which is a server of our own unless one is named.
func (w workersConfig) connect(ctx context.Context, stderr io.Writer) (nc *worker.Conn, closed func(), err error) {
	if w.Bus != "" {
		dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		nc, err = worker.Dial(dialing, w.Bus, bus.Credentials{NKeyFile: w.NKeyFile, CAFile: w.CAFile}, "coordinator")
		if err != nil {
			return nil, nil, err
		}
		fmt.Fprintf(stderr, "waiting for %d workers: runner worker --bus %s\n", w.Count, bus.Redact(w.Bus))
		return nc, nc.Close, nil
	}
	o := worker.ServerOptions{Listen: w.Listen, Keys: w.Keys}
	if w.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(w.CertFile, w.KeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("read the certificate for workers: %w", err)
		}
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	}
	srv, err := worker.Serve(o)
	if err != nil {
		return nil, nil, err
	}
	if nc, err = srv.Connect(); err != nil {
		return nil, nil, errors.Join(err, srv.Close())
	}
	fmt.Fprintf(stderr, "waiting for %d workers: runner worker --bus %s\n", w.Count, srv.URL())
	return nc, func() { nc.Close(); srv.Close() }, nil
}

// fleet makes the agents of a search: here, or on other hosts. It calibrates whoever makes the load.
func (r *session) fleet(ctx context.Context, stderr io.Writer) (make func(context.Context, func(bench.Record)) (search.Fleet, error), closed func(), err error) {
	if r.config.Workers.Count > 0 {
		crew, closed, err := r.crew(ctx, stderr)
		if err != nil {
			return nil, nil, err
		}
		err = r.dir.Update(func(m *rundir.Manifest) {
			m.Experiment = r.exp
			m.Notes = append(m.Notes, fmt.Sprintf("the load was made by %d workers: %s", len(r.exp.Workers), names(r.exp.Workers)))
			if r.exp.Calibration == nil {
				m.Notes = append(m.Notes, notCalibrated)
			}
		})
		return func(ctx context.Context, emit func(bench.Record)) (search.Fleet, error) {
			return crew.Start(ctx, emit)
		}, func() { crew.Close(); closed() }, err
	}
	if err := r.calibrate(ctx, stderr); err != nil {
		return nil, nil, err
	}
	engine, err := r.load.client.Engine(0)
	if err != nil {
		return nil, nil, err
	}
	return func(_ context.Context, emit func(bench.Record)) (search.Fleet, error) {
		return &agent.Fleet{
			Plan: r.plan, Open: func() agent.Lane { return engine.Caller() }, Limit: r.load.client.Cap, Now: r.clk.Now, Spawn: r.exp.Profile.Spawn, Emit: emit,
		}, nil
	}, func() { engine.Close() }, nil
}
