package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/shared/bus"
	"agentwatt/shared/evidence"
	"agentwatt/shared/fault"
	"agentwatt/shared/settings"
)

// hubConf says where the hub is.
type hubConf struct {
	URL    string `yaml:"url"`
	CAFile string `yaml:"ca_file"`
}

// check finds an address that readings would reach unencrypted.
func (h hubConf) check() error {
	if h.URL == "" {
		return nil
	}
	return fault.Hint(bus.CheckHub(h.URL), "hub.url: tls://hub.example:7422")
}

// hubFile is the configuration of a hub, hub.yaml.
type hubFile struct {
	Listen   string    `yaml:"listen"`
	Hosts    string    `yaml:"listen_hosts"`
	TLS      tlsConf   `yaml:"tls"`
	CAFile   string    `yaml:"ca_file"`
	Dir      string    `yaml:"dir"`
	Server   string    `yaml:"server"`
	MaxBytes size      `yaml:"max_bytes"`
	MaxAge   span      `yaml:"max_age"`
	Members  []hubHost `yaml:"hosts"`
	Readers  []string  `yaml:"readers"`
}

type hubHost struct {
	Name string `yaml:"name"`
	Key  string `yaml:"key"`
}

func defaultHub() hubFile {
	return hubFile{
		Listen: "127.0.0.1:4222", Hosts: "127.0.0.1:7422", Dir: "/var/lib/meterd-hub", MaxAge: span(365 * day),
	}
}

const (
	hubKeyName  = "hub.key"
	hubConfName = "nats-server.conf"
)

func hubCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "hub",
		Short: "Run a hub, which holds a mirror of what every host stores",
		Long: `A hub is a NATS server with JetStream to which meterds connect. It holds a mirror of each
stream of each host, and signs every ten seconds what it holds. Hosts and readers are
known by their keys. docs/hub.md says how to set one up.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(hubInitCommand(), hubRunCommand(), hubStatusCommand())
	return c
}

// hubFlags name the file of a hub.
type hubFlags struct{ file string }

func (f *hubFlags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "configuration `file` of the hub; see meterd hub init --help")
}

// load reads the file and the key of the hub, which is made at the first time, and returns what they mean.
func (f hubFlags) load() (hubFile, bus.HubOptions, *evidence.Key, error) {
	h := defaultHub()
	if f.file == "" {
		return h, bus.HubOptions{}, nil, fault.Hint(fault.Misuse(errors.New("which hub? no configuration is named")), "meterd hub ... -c hub.yaml")
	}
	b, err := os.ReadFile(f.file)
	if err == nil {
		err = settings.Decode(b, f.file, &h)
	}
	if err != nil {
		return h, bus.HubOptions{}, nil, fault.Misuse(fmt.Errorf("read the configuration of the hub: %w", err))
	}
	if err := os.MkdirAll(h.Dir, 0o700); err != nil {
		return h, bus.HubOptions{}, nil, fmt.Errorf("make the directory of the hub: %w", err)
	}
	key, err := evidence.LoadKey(filepath.Join(h.Dir, hubKeyName))
	if err != nil {
		return h, bus.HubOptions{}, nil, err
	}
	o := bus.HubOptions{
		Listen: h.Listen, Leafs: h.Hosts, Dir: filepath.Join(h.Dir, "store"), Key: key.Public(), Readers: h.Readers,
		MaxBytes: int64(h.MaxBytes), MaxAge: time.Duration(h.MaxAge),
	}
	if h.TLS.given() {
		o.TLS = &bus.TLS{CertFile: h.TLS.CertFile, KeyFile: h.TLS.KeyFile}
	}
	for _, m := range h.Members {
		o.Hosts = append(o.Hosts, bus.HubHost{Name: m.Name, Key: m.Key})
	}
	if err := o.Check(); err != nil {
		return h, o, nil, fault.Misuse(fmt.Errorf("%s: %w", f.file, err))
	}
	return h, o, key, nil
}

// url is where the warden connects: the server of the hub itself.
func (h hubFile) url() string {
	switch {
	case h.Server != "":
		return h.Server
	case h.TLS.given():
		return "tls://" + h.Listen
	}
	return "nats://" + h.Listen
}

func hubInitCommand() *cobra.Command {
	var f hubFlags
	c := &cobra.Command{
		Use:   "init",
		Short: "Make the hub's key and the configuration of its NATS server",
		Long: `init makes what a hub needs beside its configuration, in its directory: its key, and
nats-server.conf, for a stock nats-server. It may be run again at any time, after each
change of the configuration: what is there stays, and the NATS server's configuration
is written anew. Its settings, with their defaults:

  listen: 127.0.0.1:4222         # of readers: runner, meterd top
  listen_hosts: 127.0.0.1:7422   # of hosts
  tls: {cert_file: "", key_file: ""}   # of both; needed beyond loopback
  ca_file: ""                    # authority of that certificate, for meterd hub run itself
  dir: /var/lib/meterd-hub       # its key and its store
  server: ""                     # a NATS server that runs already, instead of one of its own
  max_bytes: 0                   # of the readings of one host; 0: no limit
  max_age: 8760h                 # of readings
  hosts: []                      # - {name: gpu-01, key: U...}: as meterd key shows them on the host
  readers: []                    # public keys of those who may read: meterd key --file reader.key`,
		Example: `  meterd hub init -c hub.yaml
  nats-server -c /var/lib/meterd-hub/nats-server.conf`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			h, o, key, err := f.load()
			if err != nil {
				return err
			}
			path, changed, err := writeHubConfig(h.Dir, o)
			if err != nil {
				return err
			}
			what := "as it was"
			if changed {
				what = "written"
			}
			fmt.Fprintf(c.OutOrStdout(), "hub key %s\n%s: %s, %d hosts, %d readers\n", key.Public(), path, what, len(o.Hosts), len(o.Readers))
			return nil
		},
	}
	f.add(c)
	return c
}

// writeHubConfig writes the configuration of the NATS server, if it is another one.
func writeHubConfig(dir string, o bus.HubOptions) (path string, changed bool, err error) {
	path = filepath.Join(dir, hubConfName)
	text := []byte(o.Config())
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, text) {
		return path, false, nil
	}
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return path, false, fmt.Errorf("write the configuration of the NATS server: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return path, false, fmt.Errorf("write the configuration of the NATS server: %w", err)
	}
	return path, true, nil
}

func hubRunCommand() *cobra.Command {
	var f hubFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the hub until stopped: mirrors and checkpoints",
		Long: `run makes a mirror of each stream of each host, as soon as the host is there, and signs
every ten seconds what the mirrors hold. It starts nats-server, which must be in PATH,
unless server names one that runs with the configuration that meterd hub init wrote.`,
		Example: "  meterd hub run -c hub.yaml",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			h, o, key, err := f.load()
			if err != nil {
				return err
			}
			return runHub(c.Context(), h, o, key, newLog(c.ErrOrStderr()))
		},
	}
	f.add(c)
	return c
}

// runHub looks after the hub until ctx ends, or until its NATS server does, which is an error.
func runHub(ctx context.Context, h hubFile, o bus.HubOptions, key *evidence.Key, log *slog.Logger) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var server sync.WaitGroup
	defer server.Wait()
	if h.Server == "" {
		path, _, err := writeHubConfig(h.Dir, o)
		if err != nil {
			return err
		}
		c := exec.CommandContext(ctx, "nats-server", "-c", path)
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
		c.WaitDelay = 30 * time.Second
		c.Stdout, c.Stderr = os.Stderr, os.Stderr
		if err := c.Start(); err != nil {
			return fault.Hint(fmt.Errorf("start the NATS server of the hub: %w", err), "install nats-server, or name one that runs in server")
		}
		server.Go(func() { cancel(fmt.Errorf("the NATS server of the hub ended: %w", c.Wait())) })
		defer cancel(nil)
	}
	w, err := openWarden(ctx, h, o, key, log)
	if err != nil {
		return err
	}
	defer w.Close()
	log.Info("ready", "hub", h.url(), "hosts", len(o.Hosts))
	notify("READY=1")
	server.Go(func() { watchdog(ctx, log, w.Alive) })
	w.Run(ctx)
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// openWarden waits for the NATS server of the hub to take connections.
func openWarden(ctx context.Context, h hubFile, o bus.HubOptions, key *evidence.Key, log *slog.Logger) (*bus.Warden, error) {
	for end := time.Now().Add(hubStart); ; pauseFor(ctx, 100*time.Millisecond) {
		w, err := bus.OpenWarden(ctx, h.url(), h.CAFile, key, o, log)
		switch {
		case err == nil:
			return w, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case time.Now().After(end):
			return nil, fault.Hint(err, "the NATS server must run with the configuration that meterd hub init wrote")
		}
	}
}

const hubStart = time.Minute // for the NATS server to read a large store
