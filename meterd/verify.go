package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"agentwatt/shared/archive"
	"agentwatt/shared/audit"
	"agentwatt/shared/clock"
	"agentwatt/shared/evidence"
	"agentwatt/shared/fault"
)

// checkpointSuffix ends the name of the file with what a hub said of an archive, beside it.
const checkpointSuffix = ".checkpoints.zst"

func verifyCommand() *cobra.Command {
	var v verification
	c := &cobra.Command{
		Use:   "verify archive-or-directory...",
		Short: "Check an archive of readings: is it whole, unchanged, and whose is it",
		Long: `verify reads archives of meterd's messages (*.batches.zst), as meterd export and runner
write them, and finds what was removed, inserted, put in another order, changed or begun
anew, and says where. It needs no network. With --key it is known whose signatures these
are; with a hub's checkpoints (*.checkpoints.zst beside the archive) it is known that
what a hub held has not been made anew since. docs/integrity.md says what is proven.

The exit code is 0 if nothing was found, 3 if something was, 1 if an archive cannot be
read.`,
		Example: `  meterd verify gpu-01.batches.zst --key UAX...
  meterd verify run-2026-11-26/ --json`,
		Args: usageArgs(cobra.MinimumNArgs(1)),
		RunE: func(c *cobra.Command, args []string) error { return v.run(args, c.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringArrayVar(&v.options.Keys, "key", nil, "public `key` of the host, as meterd key showed it there; several after a change of keys")
	f.StringArrayVar(&v.options.HubKeys, "hub-key", nil, "public `key` of the hub, as meterd hub init shows it")
	f.StringVar(&v.options.Stream, "stream", "POWER", "`name` of the stream that was archived")
	f.StringVar(&v.from, "from", "", "`time` (RFC 3339) from which on the archive should be whole")
	f.StringVar(&v.until, "until", "", "and until which")
	f.BoolVar(&v.asJSON, "json", false, "print JSON, one report on a line")
	return c
}

// verification is one run of meterd verify.
type verification struct {
	options     audit.Options
	from, until string
	asJSON      bool
}

func (v *verification) run(args []string, out io.Writer) error {
	for _, key := range append(v.options.Keys, v.options.HubKeys...) {
		if err := evidence.CheckPublic(key); err != nil {
			return fault.Misuse(err)
		}
	}
	var err error
	if v.options.From, err = parseTime("--from", v.from); err != nil {
		return err
	}
	if v.options.Until, err = parseTime("--until", v.until); err != nil {
		return err
	}
	files, err := archivesIn(args)
	if err != nil {
		return err
	}
	bad := 0
	for _, file := range files {
		r, err := v.audit(file)
		if err != nil {
			return err
		}
		if !r.Intact() {
			bad++
		}
		if err := v.print(out, file, r); err != nil {
			return err
		}
	}
	if bad > 0 {
		return fault.NotCounted(fmt.Errorf("%d of %d archives do not hold", bad, len(files)))
	}
	return nil
}

// archivesIn finds the archives that the arguments name: files, or directories with some.
func archivesIn(args []string) (files []string, err error) {
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, fmt.Errorf("verify an archive: %w", err)
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		had := len(files)
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && strings.HasSuffix(path, archive.Suffix) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("verify the archives in %s: %w", arg, err)
		}
		if len(files) == had {
			return nil, fault.Hint(fmt.Errorf("verify the archives in %s: there are none", arg), "their names end in %s", archive.Suffix)
		}
	}
	return files, nil
}

// audit checks one archive, with the checkpoints beside it.
func (v *verification) audit(file string) (audit.Report, error) {
	a := audit.New(v.options)
	n := 0
	beside := strings.TrimSuffix(file, archive.Suffix) + checkpointSuffix
	err := archive.Read(beside, func(r archive.Record) error {
		n++
		a.Checkpoint(n, r.Payload)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return audit.Report{}, fmt.Errorf("read the checkpoints of %s: %w", file, err)
	}
	err = archive.Read(file, func(r archive.Record) error {
		a.Add(r)
		return nil
	})
	switch {
	case errors.Is(err, archive.ErrTorn):
		a.Torn(err)
	case err != nil:
		return audit.Report{}, fmt.Errorf("read %s: %w", file, err)
	}
	return a.Report(), nil
}

func (v *verification) print(out io.Writer, file string, r audit.Report) error {
	if v.asJSON {
		return json.NewEncoder(out).Encode(struct {
			File string `json:"file"`
			audit.Report
		}{file, r})
	}
	printAudit(out, file, r)
	return nil
}

// mostPrinted is how many findings are printed for people; --json has all.
const mostPrinted = 50

// printAudit prints a report for people.
func printAudit(w io.Writer, file string, r audit.Report) {
	fmt.Fprintf(w, "%s: host %q, stream %s, %d messages, %d bytes\n", file, r.Host, r.Stream, r.Records, r.Bytes)
	if r.Records > 0 {
		fmt.Fprintf(w, "  from  %v\n  to    %v\n", r.First, r.Last)
	}
	for _, s := range r.Signers {
		known := "whose it is was not said"
		if r.Trusted {
			known = "the host's key"
		}
		fmt.Fprintf(w, "  signed %d times by %s, %s, up to link %d\n", s.Signatures, s.Key, known, r.SignedUpTo.Link)
	}
	if r.Checkpoints.Fit > 0 {
		fmt.Fprintf(w, "  hub %s held all up to link %d at %v (%d checkpoints)\n", r.Checkpoints.Hub, r.Checkpoints.UpTo.Link, r.Checkpoints.HeldSoon, r.Checkpoints.Fit)
	}
	for _, run := range r.Runs {
		how := "goes on"
		if run.Stopped {
			how = "ends in order"
		}
		fmt.Fprintf(w, "  run %s: records %d to %d, %s\n", run.ID, run.First.Record, run.Last.Record, how)
	}
	for _, l := range r.Lost {
		span := fmt.Sprintf("%d to %d", l.First, l.Last)
		if l.Last == 0 {
			span = fmt.Sprintf("from %d on", l.First)
		}
		fmt.Fprintf(w, "  on record as lost (%s): batches %s of %s, run %s\n", l.Reason, span, l.Source, l.Run)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	for i, f := range r.Findings {
		if i == mostPrinted {
			fmt.Fprintf(w, "  ... and %d more; --json has them\n", len(r.Findings)-i)
			break
		}
		fmt.Fprintf(w, "  FOUND %s, %d: %v: %s\n", f.Kind, f.Count, f.Place, f.Text)
	}
	verdict := "intact: nothing was found"
	if !r.Intact() {
		verdict = fmt.Sprintf("NOT INTACT: %d findings", uint64(len(r.Findings))+r.NotListed)
	}
	fmt.Fprintf(w, "%s\n", verdict)
}

// parseTime reads a time; empty is none.
func parseTime(flag, text string) (clock.Stamp, error) {
	if text == "" {
		return 0, nil
	}
	t, err := parseRFC3339(text)
	if err != nil {
		return 0, fault.Hint(fault.Misuse(fmt.Errorf("%s %q: not a time", flag, text)), "write it as 2026-11-26T08:00:00Z")
	}
	return t, nil
}
