// Command runner replays coding-agent trajectories against an OpenAI-compatible endpoint, searches for the largest number
// of concurrent agents that meets a service tier, and joins the power that meterd measured in the same window.
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
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return fault.Report(stderr, "runner", root.ExecuteContext(ctx))
}

// rootCommand wires the subcommands. Each lives in its own file.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "runner",
		Short:         "How many AI agents does this system serve, and for how many watts",
		Version:       version,
		SilenceErrors: true, // fault.Report prints them
		SilenceUsage:  true,
		Args:          usageArgs(cobra.NoArgs),
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fault.Misuse(err) })
	root.AddCommand(searchCommand(), replayCommand(), workerCommand(), doctorCommand(), calibrateCommand(), reportCommand(), demoCommand(),
		simulateCommand(), traceCommand(), recordCommand(), manCommand())
	return root
}

// usageArgs makes a wrong number of arguments a usage error (exit code 2).
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		return fault.Hint(fault.Misuse(check(c, args)), "see %s --help", c.CommandPath())
	}
}
