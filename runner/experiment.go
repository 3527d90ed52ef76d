package main

import (
	"time"

	"github.com/spf13/cobra"
)

// experiment is what the commands that run one have in common: a file, flags over it, a directory for what is measured.
type experiment struct{ file, out string }

// run runs the experiment of the file and the flags. Its directory is named by the time if it has no name.
func (e experiment) run(cmd *cobra.Command, flags config, prefix string) error {
	c, err := mergeConfig(cmd, e.file, flags)
	if err != nil {
		return err
	}
	out := e.out
	if out == "" {
		out = prefix + time.Now().UTC().Format("20060102-150405")
	}
	return runSearch(cmd.Context(), c, out, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// flags adds the flags of an experiment to a command.
func (e *experiment) flags(cmd *cobra.Command, flags *config) {
	f := cmd.Flags()
	f.StringVarP(&e.file, "config", "c", "", "experiment file; see --print-config")
	f.StringVarP(&e.out, "output", "o", "", "run directory to make (default: made of the time)")
	f.StringVar(&flags.Endpoint, "endpoint", flags.Endpoint, "base URL of the OpenAI-compatible endpoint")
	f.StringVar(&flags.Model, "model", "", "model name at the endpoint")
	f.StringVar(&flags.KeyFile, "key-file", "", "file with the API key (default: environment AGENTWATT_API_KEY)")
	f.StringVar(&flags.Dataset, "dataset", "", "trajectories in the native format")
	f.BoolVar(&flags.DropLong, "drop-long", false, "leave out trajectories that do not fit the model's context")
	f.StringVar(&flags.Tiers, "tiers", flags.Tiers, "tier preset or file")
	f.StringVar(&flags.Profile, "profile", flags.Profile, "profile preset or file")
	f.StringVar(&flags.Output.Mode, "output-mode", flags.Output.Mode, "length of answers: free, exact, recorded, fixed")
	f.IntVar(&flags.Output.Cap, "output-cap", flags.Output.Cap, "most tokens of one answer")
	f.StringVar(&flags.ToolTime.Mode, "tool-time", flags.ToolTime.Mode, "tool time: sampled, recorded, scaled, none")
	f.Float64Var(&flags.ToolTime.Scale, "tool-scale", flags.ToolTime.Scale, "factor in tool time mode scaled")
	f.StringVar(&flags.Salt, "salt", flags.Salt, "salt before or after the system prompt")
	f.Uint64Var(&flags.Seed, "seed", flags.Seed, "seed of assignment, start turns and tool times")
	f.IntVar(&flags.MaxAgents, "max-agents", 0, "stop the search there (default: the profile's limit)")
	f.IntVar(&flags.Workers.Count, "workers", 0, "let so many workers on other hosts make the load (runner worker)")
	f.StringVar(&flags.Workers.Listen, "workers-listen", flags.Workers.Listen, "address at which workers find this run")
	f.StringVar(&flags.Workers.Bus, "workers-bus", "", "or NATS URL of a server with JetStream at which both meet")
	f.BoolVar(&flags.Calibrate, "calibrate", flags.Calibrate, "measure the load generator itself first")
	f.StringVar(&flags.ServerMetrics, "server-metrics", flags.ServerMetrics, "URL of the server's Prometheus metrics, auto (/metrics on its host), or none")
	f.StringVar(&flags.Power.Bus, "bus", flags.Power.Bus, "meterd's NATS URL, auto, or none")
	f.StringVar(&flags.Power.NKeyFile, "nkey", "", "file of the runner's key, where the bus wants one; meterd key --file makes it")
	f.StringVar(&flags.Power.CAFile, "bus-ca", "", "file with the authority that signed the certificate of the bus")
	f.StringVar(&flags.Power.Topology, "topology", "", "file that says what feeds what and which devices must be present")
	f.DurationVar(&flags.Power.Idle, "idle", flags.Power.Idle, "how long to measure idle power before and after")
	f.IntVar(&flags.System.Accelerators, "accelerators", 0, "accelerators in the deployment")
	f.IntVar(&flags.System.Systems, "systems", 0, "systems in the deployment")
	f.Bool("quick", false, "profile quick: minutes, not comparable with published results")
}

// mergeConfig reads the experiment file, if any, and puts the flags that were set over it.
func mergeConfig(cmd *cobra.Command, file string, flags config) (config, error) {
	c := defaults()
	if file != "" {
		var err error
		if c, err = loadConfig(file); err != nil {
			return c, err
		}
	}
	for name, set := range map[string]func(){
		"endpoint": func() { c.Endpoint = flags.Endpoint }, "model": func() { c.Model = flags.Model },
		"key-file": func() { c.KeyFile = flags.KeyFile }, "dataset": func() { c.Dataset = flags.Dataset },
		"drop-long": func() { c.DropLong = flags.DropLong }, "tiers": func() { c.Tiers = flags.Tiers },
		"profile": func() { c.Profile = flags.Profile }, "quick": func() { c.Profile = "quick" },
		"output-mode": func() { c.Output.Mode = flags.Output.Mode }, "output-cap": func() { c.Output.Cap = flags.Output.Cap },
		"tool-time": func() { c.ToolTime.Mode = flags.ToolTime.Mode }, "tool-scale": func() { c.ToolTime.Scale = flags.ToolTime.Scale },
		"salt": func() { c.Salt = flags.Salt }, "seed": func() { c.Seed = flags.Seed },
		"server-metrics": func() { c.ServerMetrics = flags.ServerMetrics },
		"agents":         func() { c.Fixed.Agents = flags.Fixed.Agents },
		"windows":        func() { c.Fixed.Windows = flags.Fixed.Windows },
		"window":         func() { c.Fixed.Window = flags.Fixed.Window },
		"diagnose":       func() { c.Fixed.Diagnose = flags.Fixed.Diagnose },
		"workers":        func() { c.Workers.Count = flags.Workers.Count },
		"workers-listen": func() { c.Workers.Listen = flags.Workers.Listen },
		"workers-bus":    func() { c.Workers.Bus = flags.Workers.Bus },
		"calibrate":      func() { c.Calibrate = flags.Calibrate },
		"max-agents":     func() { c.MaxAgents = flags.MaxAgents }, "bus": func() { c.Power.Bus = flags.Power.Bus },
		"nkey":         func() { c.Power.NKeyFile = flags.Power.NKeyFile },
		"bus-ca":       func() { c.Power.CAFile = flags.Power.CAFile },
		"topology":     func() { c.Power.Topology = flags.Power.Topology },
		"idle":         func() { c.Power.Idle = flags.Power.Idle },
		"accelerators": func() { c.System.Accelerators = flags.System.Accelerators },
		"systems":      func() { c.System.Systems = flags.System.Systems },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	return c, c.check()
}
