package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/endpoint"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/fault"
)

// fixedConfig makes a run a replay at one number of agents.
type fixedConfig struct {
	Agents   int           `yaml:"agents"`
	Windows  int           `yaml:"windows"`
	Window   time.Duration `yaml:"window"`
	Diagnose string        `yaml:"diagnose"`
}

// check reports what cannot be.
func (f fixedConfig) check() error {
	switch {
	case f.Agents < 0 || f.Windows < 0 || f.Window < 0:
		return errors.New("fixed: agents, windows and window must not be negative")
	case f.Diagnose != "" && f.Diagnose != bench.PrefillOnly && f.Diagnose != bench.DecodeOnly:
		return fmt.Errorf("fixed.diagnose is %q, want %s or %s", f.Diagnose, bench.PrefillOnly, bench.DecodeOnly)
	case f.Diagnose != "" && f.Agents == 0:
		return errors.New("fixed.diagnose is about a replay: set fixed.agents")
	}
	return nil
}

// plan returns what the experiment says of it; nil: it is a search.
func (f fixedConfig) plan() *bench.Fixed {
	if f.Agents == 0 {
		return nil
	}
	return &bench.Fixed{Agents: f.Agents, Windows: max(f.Windows, 1), Diagnose: f.Diagnose}
}

// rules changes tiers and profile for a replay.
func (f fixedConfig) rules(tiers []bench.Tier, p bench.Profile) ([]bench.Tier, bench.Profile) {
	if f.Agents == 0 {
		return tiers, p
	}
	p.MaxAgents = f.Agents
	if f.Window > 0 {
		p.MinWindow = f.Window
	}
	if f.Diagnose != "" {
		return nil, p
	}
	return tiers, p
}

// diagnose changes the load for a diagnosis: answers of one token, or prompts of a few words.
func (f fixedConfig) diagnose(set *trajectory.Dataset, o *endpoint.Options) error {
	switch f.Diagnose {
	case bench.PrefillOnly:
		o.Output, o.Fixed = endpoint.Fixed, 1
	case bench.DecodeOnly:
		o.Output = endpoint.Exact
		for i, t := range set.Trajectories {
			short, err := trajectory.DecodeOnly(t)
			if err != nil {
				return err
			}
			set.Trajectories[i] = short
		}
	}
	return nil
}

func replayCommand() *cobra.Command {
	var e experiment
	flags := defaults()
	cmd := &cobra.Command{
		Use:   "replay --agents N",
		Short: "Replay at one number of agents, without a search",
		Long: `Replay plays the dataset with N agents for one window or several, judges each against the tiers, and joins the power. It says whether
N agents are served, not how many could be: agents per megawatt come from a search.

--diagnose prefill asks for answers of one token, --diagnose decode for the recorded answers to prompts of a few words. Both tell
where a system spends its time; their load is not that of agents, and no tier is judged.

Everything goes to a run directory as with "runner search", and all its other options hold.`,
		Example: `  runner replay --agents 64 --endpoint http://gpu1:8000/v1 --model my-model --dataset traces.jsonl -o replay-64
  runner replay --agents 64 --windows 3 --window 10m -c run.yaml
  runner replay --agents 16 --diagnose decode -c run.yaml`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.Fixed.Agents < 1 && e.file == "" {
				return fault.Misuse(fmt.Errorf("--agents %d: want at least 1", flags.Fixed.Agents))
			}
			return e.run(cmd, flags, "replay-")
		},
	}
	e.flags(cmd, &flags)
	f := cmd.Flags()
	f.IntVar(&flags.Fixed.Agents, "agents", 0, "how many agents")
	f.IntVar(&flags.Fixed.Windows, "windows", 1, "how many windows, one after the other")
	f.DurationVar(&flags.Fixed.Window, "window", 0, "least length of a window (default: the profile's)")
	f.StringVar(&flags.Fixed.Diagnose, "diagnose", "", "prefill or decode only")
	return cmd
}
