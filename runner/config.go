package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"agentwatt/runner/internal/agent"
	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/shared/bus"
	"agentwatt/shared/fault"
	"agentwatt/shared/power"
	"agentwatt/shared/settings"
)

// config is the experiment file; run.yaml beside this file is its reference.
type config struct {
	Endpoint      string            `yaml:"endpoint"`
	Model         string            `yaml:"model"`
	KeyFile       string            `yaml:"key_file"`
	Sampling      map[string]any    `yaml:"sampling"`
	Headers       map[string]string `yaml:"headers"`
	SessionHeader string            `yaml:"session_header"`
	Dataset       string            `yaml:"dataset"`
	DropLong      bool              `yaml:"drop_long"`
	Output        outputConfig      `yaml:"output"`
	ToolTime      toolConfig        `yaml:"tool_time"`
	Salt          string            `yaml:"salt"`
	Seed          uint64            `yaml:"seed"`
	Tiers         string            `yaml:"tiers"`
	Profile       string            `yaml:"profile"`
	MaxAgents     int               `yaml:"max_agents"`
	Calibrate     bool              `yaml:"calibrate"`
	Fixed         fixedConfig       `yaml:"fixed"`
	Workers       workersConfig     `yaml:"workers"`
	Timeouts      timeoutConfig     `yaml:"timeouts"`
	ServerMetrics string            `yaml:"server_metrics"`
	Power         powerConfig       `yaml:"power"`
	System        systemConfig      `yaml:"system"`
}

type outputConfig struct {
	Mode  string `yaml:"mode"`
	Cap   int    `yaml:"cap"`
	Fixed int    `yaml:"fixed"`
}

type toolConfig struct {
	Mode    string                  `yaml:"mode"`
	Scale   float64                 `yaml:"scale"`
	Default distribution            `yaml:"default"`
	Tools   map[string]distribution `yaml:"tools"`
}

type distribution struct {
	Median time.Duration `yaml:"median"`
	Sigma  float64       `yaml:"sigma"`
	Min    time.Duration `yaml:"min"`
	Max    time.Duration `yaml:"max"`
}

type timeoutConfig struct {
	Connect   time.Duration `yaml:"connect"`
	FirstByte time.Duration `yaml:"first_byte"`
	Idle      time.Duration `yaml:"idle"`
	Total     time.Duration `yaml:"total"`
}

type powerConfig struct {
	Bus      string        `yaml:"bus"`
	NKeyFile string        `yaml:"nkey_file"`
	CAFile   string        `yaml:"ca_file"`
	CertFile string        `yaml:"cert_file"`
	KeyFile  string        `yaml:"cert_key_file"`
	Scopes   []power.Scope `yaml:"scopes"`
	Devices  []string      `yaml:"devices"`
	Topology string        `yaml:"topology"`
	Idle     time.Duration `yaml:"idle"`
}

// credentials are what the runner shows to the bus.
func (p powerConfig) credentials() bus.Credentials {
	return bus.Credentials{NKeyFile: p.NKeyFile, CAFile: p.CAFile, CertFile: p.CertFile, KeyFile: p.KeyFile}
}

type systemConfig struct {
	Name         string            `yaml:"name"`
	Accelerator  string            `yaml:"accelerator"`
	Accelerators int               `yaml:"accelerators"`
	Systems      int               `yaml:"systems"`
	TDPWatts     float64           `yaml:"tdp_watts"`
	Submitter    string            `yaml:"submitter"`
	Disclosure   map[string]string `yaml:"disclosure"`
}

// defaults are what run.yaml says.
func defaults() config {
	d := agent.DefaultDistribution
	return config{
		Endpoint: "http://127.0.0.1:8000/v1",
		Output:   outputConfig{Mode: string(endpoint.Free), Cap: 16384},
		ToolTime: toolConfig{Mode: string(agent.Sampled), Scale: 1, Default: distribution(d)},
		Salt:     "before",
		Seed:     42,
		Tiers:    "deepseek-v4-pro",
		Profile:  "aa-agentperf-2026-06", Calibrate: true,
		Fixed:    fixedConfig{Windows: 1},
		Workers:  workersConfig{Wait: 2 * time.Minute, Listen: "127.0.0.1:4333"},
		Timeouts: timeoutConfig{Connect: 10 * time.Second, FirstByte: 300 * time.Second, Idle: 120 * time.Second, Total: 900 * time.Second},
		Power:    powerConfig{Bus: "auto", Idle: 30 * time.Second},

		ServerMetrics: "auto",
	}
}

// loadConfig reads an experiment file over the defaults. Unknown keys are errors with their place.
func loadConfig(path string) (config, error) {
	c := defaults()
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fault.Misuse(fmt.Errorf("read experiment: %w", err))
	}
	if err := settings.Decode(data, path, &c); err != nil {
		return c, fault.Hint(fault.Misuse(err), "every key is explained in run.yaml (runner search --print-config)")
	}
	return c, nil
}

// check reports what cannot be run, before anything is.
func (c config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Dataset == "" {
		bad("dataset is not set: runner trace synth -o traces.jsonl makes one, runner trace import converts yours")
	}
	if c.Model == "" {
		bad("model is not set: the name under which the endpoint serves it (GET <endpoint>/models lists them)")
	}
	if c.Salt != "before" && c.Salt != "after" {
		bad("salt is %q, want before or after", c.Salt)
	}
	switch agent.ToolMode(c.ToolTime.Mode) {
	case agent.Sampled, agent.Recorded, agent.Scaled, agent.NoTools:
	default:
		bad("tool_time.mode is %q, want sampled, recorded, scaled or none", c.ToolTime.Mode)
	}
	if c.ToolTime.Scale < 0 {
		bad("tool_time.scale is %g, want 0 or more", c.ToolTime.Scale)
	}
	for name, d := range c.ToolTime.all() {
		if err := agent.Distribution(d).Validate(); err != nil {
			bad("tool_time.%s: %w", name, err)
		}
	}
	for _, s := range c.Power.Scopes {
		if !s.Headline() {
			bad("power.scopes: %q is not one of accelerator, module, node, rack", s)
		}
	}
	if c.Power.Topology != "" && len(c.Power.Devices) > 0 {
		bad("power.devices and power.topology both say which devices must be present")
	}
	for _, err := range []error{c.Workers.check(), c.Fixed.check()} {
		if err != nil {
			bad("%w", err)
		}
	}
	if c.MaxAgents < 0 {
		bad("max_agents is %d, want 0 or more", c.MaxAgents)
	}
	return fault.Misuse(errors.Join(errs...))
}

func (t toolConfig) all() map[string]distribution {
	all := map[string]distribution{"default": t.Default}
	for name, d := range t.Tools {
		all["tools."+name] = d
	}
	return all
}

func (t toolConfig) toolTime() agent.ToolTime {
	out := agent.ToolTime{Mode: agent.ToolMode(t.Mode), Scale: t.Scale, Default: agent.Distribution(t.Default), PerTool: map[string]agent.Distribution{}}
	for name, d := range t.Tools {
		out.PerTool[name] = agent.Distribution(d)
	}
	return out
}

func (s systemConfig) system() bench.System {
	return bench.System{
		Name: s.Name, Accelerator: s.Accelerator, Accelerators: s.Accelerators, Systems: s.Systems,
		TDP: power.Power(s.TDPWatts * float64(power.Watt)), Submitter: s.Submitter, Disclosure: s.Disclosure,
	}
}

// key returns the API key: from the file, else from the environment. It never comes from the command line.
func (c config) key() (string, error) {
	if c.KeyFile == "" {
		return os.Getenv("AGENTWATT_API_KEY"), nil
	}
	data, err := os.ReadFile(c.KeyFile)
	if err != nil {
		return "", fmt.Errorf("read API key: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// sampling returns the further request fields as a JSON object; nil if there are none.
func (c config) sampling() (json.RawMessage, error) {
	if len(c.Sampling) == 0 {
		return nil, nil
	}
	data, err := json.Marshal(c.Sampling)
	if err != nil {
		return nil, fault.Misuse(fmt.Errorf("sampling: %w", err))
	}
	return data, nil
}
