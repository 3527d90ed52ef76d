package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/shared/fault"
	"agentwatt/shared/settings"
)

// reference is the manual: every setting with its default, commented.
//
//go:embed meterd.yaml
var reference []byte

// config is meterd's configuration; meterd.yaml explains each setting.
type config struct {
	Host         string     `yaml:"host"`
	Profile      profile    `yaml:"profile"`
	Study        span       `yaml:"study"`
	Calibrations string     `yaml:"calibrations"`
	SysRoot      string     `yaml:"sys_root"`
	ProcRoot     string     `yaml:"proc_root"`
	KeyFile      string     `yaml:"key_file"`
	Bus          busConf    `yaml:"bus"`
	Hub          hubConf    `yaml:"hub"`
	Direct       directConf `yaml:"direct"`
	Rollups      rollupConf `yaml:"rollups"`
	Influx       influxConf `yaml:"influx"`
	Status       statusConf `yaml:"status"`
	Sources      sources    `yaml:"sources"`
}

type busConf struct {
	Listen   string   `yaml:"listen"`
	TLS      tlsConf  `yaml:"tls"`
	Readers  []string `yaml:"readers"`
	Dir      string   `yaml:"dir"`
	MaxBytes size     `yaml:"max_bytes"`
	MaxAge   span     `yaml:"max_age"`
	Flush    span     `yaml:"flush"`
}

type sources struct {
	NVML      nvmlConf      `yaml:"nvml"`
	AMDGPU    sourceConf    `yaml:"amdgpu"`
	AMDSMI    libraryConf   `yaml:"amdsmi"`
	RAPL      sourceConf    `yaml:"rapl"`
	Hwmon     sourceConf    `yaml:"hwmon"`
	IPMI      ipmiConf      `yaml:"ipmi"`
	SNMP      snmpConf      `yaml:"snmp"`
	Redfish   redfishConf   `yaml:"redfish"`
	Simulated simulatedConf `yaml:"simulated"`
}

type sourceConf struct {
	Enabled  mode `yaml:"enabled"`
	Interval span `yaml:"interval"`
}

// libraryConf configures a source that a vendor's library reads.
type libraryConf struct {
	Common  sourceConf `yaml:",inline"`
	Library string     `yaml:"library"`
}

type nvmlConf struct {
	Common  sourceConf `yaml:",inline"`
	Library string     `yaml:"library"`
	Ring    bool       `yaml:"ring"`
}

// defaults is the configuration of a host without a file. In the profile normal the intervals are those at which the sensors refresh.
// Quiet is for scored runs: the energy comes from counters, which need no more than one or two readings a second.
func defaults(p profile) config {
	found := sourceConf{Enabled: auto, Interval: span(100 * time.Millisecond)}
	gpus, counters, remote := found, found, sourceConf{Enabled: auto, Interval: span(time.Second)}
	if p == quiet {
		gpus.Interval, counters.Interval = span(500*time.Millisecond), span(time.Second)
	}
	return config{
		Profile: p, Study: span(2 * time.Second), Calibrations: "/etc/meterd/calibrations", SysRoot: "/sys", ProcRoot: "/proc",
		Bus: busConf{
			Listen: "127.0.0.1:4222", Dir: "/var/lib/meterd",
			MaxBytes: 8 << 30, MaxAge: span(7 * 24 * time.Hour), Flush: span(time.Second),
		},
		Rollups: rollupConf{Second: span(30 * day), Minute: span(365 * day), Hour: span(3650 * day)},
		Direct:  directConf{Stream: "POWER"},
		Influx:  influxConf{Batch: 5000, Flush: span(time.Second)}, Status: statusConf{Listen: "127.0.0.1:9477"},
		Sources: sources{
			NVML: nvmlConf{Common: gpus}, AMDGPU: gpus, AMDSMI: libraryConf{Common: gpus}, RAPL: counters, Hwmon: counters,
			IPMI: ipmiConf{Common: remote, Device: "/dev/ipmi0"}, SNMP: snmpConf{Common: remote}, Redfish: redfishConf{Common: remote},
			Simulated: simulatedConf{
				Common: found, LowWatts: 400, HighWatts: 400, Cycle: span(10 * time.Second),
			},
		},
	}
}

// parse reads a configuration over the defaults. Its errors are the caller's mistake and say file:line:column.
func parse(file string, r io.Reader) (config, error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return config{}, fmt.Errorf("read %s: %w", file, err)
	}
	c, err := decode(file, b, normal)
	if err == nil && c.Profile != normal {
		c, err = decode(file, b, c.Profile)
	}
	if err != nil {
		return config{}, fault.Misuse(err)
	}
	if err := c.check(); err != nil {
		return config{}, fault.Misuse(fmt.Errorf("%s: %w", file, err))
	}
	return c, nil
}

// decode reads a file over the defaults of a profile.
func decode(file string, b []byte, p profile) (config, error) {
	c := defaults(p)
	err := settings.Decode(b, file, &c)
	return c, err
}

// check finds settings that do not go together.
func (c config) check() error {
	switch {
	case c.Bus.Dir == "":
		return errors.New("bus.dir is empty")
	case c.SysRoot == "" || c.ProcRoot == "":
		return errors.New("sys_root or proc_root is empty")
	}
	return cmp.Or(c.Sources.Simulated.check(), c.Sources.checkRemote(), c.Bus.check(), c.Hub.check(), c.Direct.check(), c.Rollups.check(), c.Influx.check(), c.Status.check())
}

// check finds a bus that others than its readers could read.
func (b busConf) check() error {
	host, _, err := net.SplitHostPort(b.Listen)
	if err != nil {
		return fmt.Errorf("bus.listen: %w", err)
	}
	if loopback(host) {
		return nil
	}
	if !b.TLS.given() || len(b.Readers) == 0 {
		err := fmt.Errorf("bus.listen: %s can be reached from other hosts: TLS and the public keys of its readers are needed", b.Listen)
		return fault.Hint(err, "listen on 127.0.0.1, or set bus.tls and bus.readers")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// flags are the settings that may be given on the command line; they win over the file.
type flags struct {
	file, listen, dir string
	profile           profile
}

func (f *flags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "configuration `file`; see meterd config")
	c.Flags().Var(&f.profile, "profile", "normal, or quiet for scored runs: few reads, energy from counters; instead of profile")
}

// load reads the file, if one is named, and applies the flags.
func (f flags) load() (config, error) {
	c, err := f.read()
	if err != nil {
		return config{}, err
	}
	if f.listen != "" {
		c.Bus.Listen = f.listen
	}
	if f.dir != "" {
		c.Bus.Dir = f.dir
	}
	return c, fault.Misuse(c.check())
}

// read reads the file over the defaults of the profile: the flag's, else the file's.
func (f flags) read() (config, error) {
	if f.file == "" {
		return defaults(cmp.Or(f.profile, normal)), nil
	}
	b, err := os.ReadFile(f.file)
	if err != nil {
		return config{}, fault.Misuse(fmt.Errorf("read the configuration: %w", err))
	}
	c, err := parse(f.file, bytes.NewReader(b))
	if err == nil && f.profile != "" && f.profile != c.Profile {
		c, err = decode(f.file, b, f.profile)
		c.Profile = f.profile
	}
	return c, err
}

// hostname returns the name under which this host publishes.
func (c config) hostname() (string, error) {
	if c.Host != "" {
		return c.Host, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fault.Hint(fmt.Errorf("find this host's name: %w", err), "set host in the configuration")
	}
	return strings.TrimSpace(name), nil
}

func configCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "config",
		Short:   "Print the reference configuration: every setting, its default and what it means",
		Example: "  meterd config > meterd.yaml",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(reference)
			return err
		},
	}
}
