package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/fault"
)

// traceCommand is `runner trace`: what is replayed, before it is replayed.
func traceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trace",
		Short: "Import, inspect and generate trajectories",
		Long: `Import, inspect and generate trajectories: recorded agent sessions, one row per turn.

Messages keep the bytes that they were recorded with, so that each request begins with the bytes of the one before.
The file format is described in docs/formats-trajectory.md.`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(traceImportCommand(), traceInspectCommand(), traceSynthCommand())
	return c
}

// traceOutput are the flags of a command that writes a data set.
type traceOutput struct {
	path    string
	force   bool
	private bool // only the owner may read it
}

func (o *traceOutput) flags(c *cobra.Command) {
	c.Flags().StringVarP(&o.path, "output", "o", "", "file to write; .gz and .zst are compressed (required)")
	c.Flags().BoolVar(&o.force, "force", false, "replace the file if it exists")
}

// check refuses early, before minutes of work, what write would refuse.
func (o *traceOutput) check() error {
	if o.path == "" {
		return fault.Misuse(errors.New("-o says where to write: it is required"))
	}
	if _, err := os.Lstat(o.path); err == nil && !o.force {
		return fault.Hint(fmt.Errorf("write trajectories to %s: %w", o.path, fs.ErrExist), "--force replaces it")
	}
	return nil
}

// write writes d and says so.
func (o *traceOutput) write(c *cobra.Command, d *trajectory.Dataset) error {
	create := trajectory.Create
	if o.private {
		create = trajectory.CreatePrivate
	}
	if err := create(o.path, d, o.force); err != nil {
		return err
	}
	turns := 0
	for _, t := range d.Trajectories {
		turns += t.TreeTurns()
	}
	fmt.Fprintf(c.OutOrStdout(), "%s: %d trajectories, %d turns, sha256 %x\n", o.path, len(d.Trajectories), turns, d.Digest)
	return nil
}

func traceImportCommand() *cobra.Command {
	var out traceOutput
	var format, name, license, source string
	var limits trajectory.Limits
	var pause time.Duration
	c := &cobra.Command{
		Use:   "import FILE... -o OUT",
		Short: "Turn recordings of other tools into a trajectory file",
		Long: `Turn recordings of other tools into one trajectory file.

The format is told by what a file holds; docs/formats-trajectory.md describes each. Sessions of SWE-agent, mini-swe-agent and
OpenHands, ATIF documents, conversations of chat messages, parquet data sets, OpenTelemetry spans and logs of requests are read as
they are. Traces without text (Weka, Mooncake, Bailian, Dynamo, TraceLab, TensorRT-LLM) get filler text of the recorded
lengths that shares what their block hashes share.

A trajectory that has a bad row is left out, and the row is reported with its file, line or item, and reason; the rest is
imported. What is not exactly as recorded is reported too. The exit code is 1 if nothing could be imported.`,
		Example: `  runner trace import agentic_coding.jsonl -o coding.jsonl.zst --license Apache-2.0
  runner trace import runs/*.traj -o swe.jsonl.zst
  runner trace import train-00000-of-00012.parquet -o sessions.jsonl.zst --license CC-BY-4.0
  runner trace import traces/*.jsonl --format aa-replay -o aa.jsonl
  runner trace import weka/trace_*.json --max-pause 5m -o weka.jsonl.zst`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			if !slices.Contains(trajectory.Formats(), format) {
				return fault.Misuse(fmt.Errorf("--format %q: want %s", format, strings.Join(trajectory.Formats(), ", ")))
			}
			if err := out.check(); err != nil {
				return err
			}
			if pause < 0 {
				return fault.Misuse(fmt.Errorf("--max-pause %v: must not be negative", pause))
			}
			if limits.Pause = pause; pause == 0 {
				limits.Pause = -1
			}
			d, reports, err := limits.Import(files, trajectory.Format(format))
			for _, r := range reports {
				fmt.Fprint(c.ErrOrStderr(), r)
			}
			if err != nil {
				return err
			}
			d.Describe(name, license, source)
			return out.write(c, d)
		},
	}
	out.flags(c)
	c.Flags().StringVar(&format, "format", string(trajectory.Auto), "format of the files: "+strings.Join(trajectory.Formats(), ", "))
	c.Flags().StringVar(&name, "name", "", "name of the data set (default: that of the first file)")
	c.Flags().StringVar(&license, "license", "", "licence of the content, as an SPDX identifier")
	c.Flags().StringVar(&source, "source", "", "where the content is from")
	c.Flags().DurationVar(&pause, "max-pause", trajectory.DefaultPause, "where a trace does not tell tools from people, longest pause that is kept; longer ones are cut to it; 0: none is cut")
	c.Flags().IntVar(&limits.Line, "max-line", 0, "longest line that is accepted, in bytes (default 64 MiB)")
	return c
}

func traceInspectCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Check a trajectory file and describe what it holds",
		Long: `Check a trajectory file and describe what it holds. Every error is reported with file and line.

A file in a format that "runner trace import" reads is imported in memory first.`,
		Example: `  runner trace inspect coding.jsonl.zst
  runner trace inspect coding.jsonl --json | jq .prompt_tokens`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(c *cobra.Command, files []string) error {
			d, reports, err := trajectory.Limits{}.Import(files, trajectory.Auto)
			for _, r := range reports {
				if r.Format != trajectory.Native {
					fmt.Fprint(c.ErrOrStderr(), r)
				}
			}
			if err != nil {
				return err
			}
			if len(reports) == 1 && reports[0].Format == trajectory.Native {
				d.Digest = reports[0].Digest // of the file, whatever spaces it has
			}
			s := trajectory.Summarize(d)
			if asJSON {
				return writeJSON(c.OutOrStdout(), s)
			}
			return printSummary(c.OutOrStdout(), files[0], s)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func traceSynthCommand() *cobra.Command {
	var out traceOutput
	var o trajectory.SynthOptions
	profiles := []string{trajectory.AgentPerf, trajectory.Demo}
	c := &cobra.Command{
		Use:   "synth -o OUT",
		Short: "Generate trajectories of a known shape",
		Long: `Generate trajectories of a known shape: made-up sessions of a coding agent in 14 programming languages.

Profile agentperf has inputs of 1K to 131K tokens, 27K in the mean, and outputs with a median of 150 and a P95 of 2K tokens.
Profile demo has short sessions with short answers. Token counts are estimates, at 4 bytes per token. Equal seeds give
equal files.`,
		Example: `  runner trace synth -o load.jsonl.zst --trajectories 500 --seed 7
  runner trace synth -o demo.jsonl --profile demo`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(profiles, o.Profile) {
				return fault.Misuse(fmt.Errorf("--profile %q: want %s", o.Profile, strings.Join(profiles, ", ")))
			}
			if o.Trajectories < 0 {
				return fault.Misuse(fmt.Errorf("--trajectories %d: must not be negative", o.Trajectories))
			}
			if err := out.check(); err != nil {
				return err
			}
			return out.write(c, trajectory.Synth(o))
		},
	}
	out.flags(c)
	c.Flags().Uint64Var(&o.Seed, "seed", 1, "seed of every choice")
	c.Flags().IntVar(&o.Trajectories, "trajectories", 0, "how many (default: what the profile has)")
	c.Flags().StringVar(&o.Profile, "profile", trajectory.AgentPerf, "shape: "+strings.Join(profiles, ", "))
	return c
}

// writeJSON prints v, indented.
func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
