package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/bench"
	"agentwatt/runner/internal/report"
	"agentwatt/runner/internal/rundir"
	"agentwatt/shared/fault"
)

func reportCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "report RUN",
		Short: "Make the result of a run again from its files alone",
		Long: `Report computes everything from the records in a run directory, with the code that the live run used. It works on
runs that were interrupted or killed, too, and says what is missing.`,
		Example: `  runner report run-1
  runner report run-1 --format html -o run-1.html
  runner report run-1 --format csv > phases.csv`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			made, err := compute(args[0])
			if err != nil {
				return err
			}
			render, ok := formats()[format]
			if !ok {
				return fault.Misuse(fmt.Errorf("format %q: want text, json, csv or html", format))
			}
			if out == "" {
				if err := render(cmd.OutOrStdout(), made); err != nil {
					return err
				}
				return standing(made.Result)
			}
			var b bytes.Buffer
			if err := render(&b, made); err != nil {
				return err
			}
			if err := os.WriteFile(out, b.Bytes(), 0o644); err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			return standing(made.Result)
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "text, json, csv (one row per phase) or html")
	cmd.Flags().StringVarP(&out, "output", "o", "", "file to write; default: standard output")
	return cmd
}

func formats() map[string]func(io.Writer, report.Run) error {
	return map[string]func(io.Writer, report.Run) error{
		"text": func(w io.Writer, r report.Run) error { return report.Text(w, r.Result) },
		"json": func(w io.Writer, r report.Run) error { return report.JSON(w, r.Result) },
		"csv":  func(w io.Writer, r report.Run) error { return report.CSV(w, r.Result) },
		"html": report.HTML,
	}
}

// compute makes the result of a run directory, complete or not.
func compute(path string) (report.Run, error) {
	run, err := rundir.Open(path)
	if err != nil {
		return report.Run{}, fault.Hint(fault.Misuse(err), "give the directory that runner search wrote")
	}
	e, err := run.Evidence()
	if err != nil {
		return report.Run{}, err
	}
	result, err := bench.Compute(e)
	if err != nil {
		return report.Run{}, missingFile(err)
	}
	span := wholeRun(e, result)
	return report.Run{
		Result: result, Timeline: report.NewTimeline(e.Recording(), span, e.Experiment.Power), Server: report.NewServerCourse(e.Server.Samples, span),
	}, nil
}

func missingFile(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Hint(err, "the run directory is not whole: copy all of it")
	}
	return err
}

// wholeRun is the span that pictures of the run are drawn over.
func wholeRun(e bench.Evidence, r bench.Result) bench.Window {
	span := bench.Window{Begin: e.Experiment.Started, End: e.IdleAfter.End}
	for _, p := range r.Phases {
		span.End = max(span.End, p.End)
	}
	return span
}

// finish computes the result of a run that just ended, writes it into its directory, and prints it.
func finish(dir *rundir.Dir, stdout io.Writer) error {
	if err := errors.Join(dir.FlushBatches(), dir.FlushServer()); err != nil {
		return err
	}
	made, err := compute(dir.Path())
	if err != nil {
		return err
	}
	var html, data bytes.Buffer
	if err := report.HTML(&html, made); err != nil {
		return err
	}
	if err := report.JSON(&data, made.Result); err != nil {
		return err
	}
	if err := dir.Finish(map[string][]byte{"result.json": data.Bytes(), "report.html": html.Bytes()}); err != nil {
		return err
	}
	if err := report.Text(stdout, made.Result); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%s\n", filepath.Join(dir.Path(), "report.html"))
	return standing(made.Result)
}

// errInvalid ends a command whose measurement took place and does not count (exit code 3).
var errInvalid = errors.New("measured, but the measurement does not count: see the reasons above")

// standing turns a result into the command's outcome: an invalid figure or phase at an edge is exit code 3.
func standing(r bench.Result) error {
	for _, t := range r.Tiers {
		if f := t.Fixed; f != nil && f.Invalid > 0 && f.Passed+f.Failed == 0 {
			return fault.NotCounted(errInvalid)
		}
		for _, f := range t.Figures {
			if f.Standing == bench.InvalidValue {
				return fault.NotCounted(errInvalid)
			}
		}
	}
	return nil
}
