// Command meterd samples every power meter of this host and publishes what they say on its own bus.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"agentwatt/shared/fault"
)

// version is set by the linker (-X main.version=...).
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process: arguments in, exit code out.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return fault.Report(stderr, "meterd", root.ExecuteContext(ctx))
}

// rootCommand wires the subcommands. Each lives in its own file.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "meterd",
		Short: "Measure the power of this host and publish it",
		Long: `meterd samples the power meters of this host and its rack (NVIDIA and AMD GPUs,
processors, hwmon sensors, the BMC, rack PDUs, power shelves) and stores every raw
reading on its own embedded bus, from which runner and meterd top read. It changes
nothing on the machines that it measures.`,
		Example: `  meterd probe                 what can be metered here, and what is missing
  meterd run                   measure until stopped
  meterd top                   watch it
  meterd topology check FILE   find what is counted twice or not at all
  meterd characterise          measure a sensor against a better meter
  meterd selftest              measure what metering costs`,
		Version:       version,
		SilenceErrors: true, // fault.Report prints them
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fault.Hint(fault.Misuse(err), "see %s --help", c.CommandPath())
	})
	root.AddCommand(runCommand(), reloadCommand(), keyCommand(), hubCommand(), historyCommand(), exportCommand(), verifyCommand(), probeCommand(), topCommand(), configCommand(), topologyCommand(), characteriseCommand(), selftestCommand(), versionCommand(), manCommand())
	return root
}

// usageArgs makes a wrong number of arguments a usage error (exit code 2).
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		return fault.Hint(fault.Misuse(check(c, args)), "see %s --help", c.CommandPath())
	}
}
