package main

import (
	"bytes"
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
	Host     string  `yaml:"host"`
	SysRoot  string  `yaml:"sys_root"`
	ProcRoot string  `yaml:"proc_root"`
	Bus      busConf `yaml:"bus"`
	Sources  sources `yaml:"sources"`
}

type busConf struct {
	Listen      string `yaml:"listen"`
	AllowRemote bool   `yaml:"allow_remote"`
	Dir         string `yaml:"dir"`
	MaxBytes    size   `yaml:"max_bytes"`
	MaxAge      span   `yaml:"max_age"`
	Flush       span   `yaml:"flush"`
}

type sources struct {
	NVML      nvmlConf      `yaml:"nvml"`
	RAPL      sourceConf    `yaml:"rapl"`
	Hwmon     sourceConf    `yaml:"hwmon"`
	Simulated simulatedConf `yaml:"simulated"`
}

type sourceConf struct {
	Enabled  mode `yaml:"enabled"`
	Interval span `yaml:"interval"`
}

type nvmlConf struct {
	Common  sourceConf `yaml:",inline"`
	Library string     `yaml:"library"`
}

// defaults is the configuration of a host without a file. The intervals are those at which the sensors refresh.
func defaults() config {
	found := sourceConf{Enabled: auto, Interval: span(100 * time.Millisecond)}
	return config{
		SysRoot: "/sys", ProcRoot: "/proc",
		Bus: busConf{
			Listen: "127.0.0.1:4222", Dir: "/var/lib/meterd",
			MaxBytes: 8 << 30, MaxAge: span(7 * 24 * time.Hour), Flush: span(time.Second),
		},
		Sources: sources{
			NVML: nvmlConf{Common: found}, RAPL: found, Hwmon: found,
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
	c := defaults()
	if err := settings.Decode(b, file, &c); err != nil {
		return config{}, fault.Misuse(err)
	}
	if err := c.check(); err != nil {
		return config{}, fault.Misuse(fmt.Errorf("%s: %w", file, err))
	}
	return c, nil
}

// check finds settings that do not go together.
func (c config) check() error {
	switch {
	case c.Bus.Dir == "":
		return errors.New("bus.dir is empty")
	case c.SysRoot == "" || c.ProcRoot == "":
		return errors.New("sys_root or proc_root is empty")
	}
	if err := c.Sources.Simulated.check(); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Bus.Listen)
	if err != nil {
		return fmt.Errorf("bus.listen: %w", err)
	}
	if !c.Bus.AllowRemote && !loopback(host) {
		err := fmt.Errorf("bus.listen: %s can be reached from other hosts, and the bus asks nobody who they are", c.Bus.Listen)
		return fault.Hint(err, "listen on 127.0.0.1, or set bus.allow_remote: true on a network that you trust")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// flags are the settings that may be given on the command line; they win over the file.
type flags struct{ file, listen, dir string }

func (f *flags) add(c *cobra.Command) {
	c.Flags().StringVarP(&f.file, "config", "c", "", "configuration `file`; see meterd config")
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

func (f flags) read() (config, error) {
	if f.file == "" {
		return defaults(), nil
	}
	b, err := os.ReadFile(f.file)
	if err != nil {
		return config{}, fault.Misuse(fmt.Errorf("read the configuration: %w", err))
	}
	return parse(f.file, bytes.NewReader(b))
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
