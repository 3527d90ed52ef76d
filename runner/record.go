package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"agentwatt/runner/internal/record"
	"agentwatt/runner/internal/trajectory"
	"agentwatt/shared/fault"
)

// recordFlags are the flags of runner record.
type recordFlags struct {
	out         traceOutput
	upstream    string
	listen      string
	allowRemote bool
	rules       string
	asSent      bool
	fromJournal string
	name        string
	license     string
}

// recordCommand is `runner record`: trajectories from an agent at work.
func recordCommand() *cobra.Command {
	var f recordFlags
	c := &cobra.Command{
		Use:   "record --upstream URL -o OUT",
		Short: "Record a coding agent at work, as trajectories",
		Long: `Record a coding agent at work: a proxy between the agent and its model that writes down what they say.

Point the agent's base URL at the proxy, work, and press Ctrl-C: the recording becomes a trajectory file. Chat completions,
Anthropic messages and OpenAI responses are recorded; everything else is forwarded only. Requests and answers pass unchanged
and answers stream, but where an agent streams without asking for token counts, they are asked for on its behalf and
taken out of what it gets (--as-sent turns that off).

Each exchange is appended to OUT.journal as soon as it ends, so a crash loses nothing: --from-journal converts it later.
Secrets are replaced by placeholders before anything is written; headers are never written. Look at what was recorded before
you share it: rules find what looks like a secret, and source code and prompts are kept. docs/record.md says what is kept,
what is redacted, what is approximated, and how to point agents at the proxy.`,
		Example: `  runner record --upstream https://api.openai.com/v1 -o session.jsonl.zst
  runner record --upstream https://api.anthropic.com -o session.jsonl.zst     # ANTHROPIC_BASE_URL=http://127.0.0.1:8788 claude
  runner record --upstream http://gpu1:8000/v1 -o session.jsonl.zst --redact rules.yaml
  runner record --from-journal session.jsonl.zst.journal -o session.jsonl.zst`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return runRecord(c, f) },
	}
	f.out.flags(c)
	f.out.private = true
	flags := c.Flags()
	flags.StringVar(&f.upstream, "upstream", "", "base `URL` of the API, as the agent was given it")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:8788", "`address` to serve on")
	flags.BoolVar(&f.allowRemote, "allow-remote", false, "allow an address that other machines can reach")
	flags.StringVar(&f.rules, "redact", "", "YAML `file` with rules of what else is secret")
	flags.BoolVar(&f.asSent, "as-sent", false, "forward requests exactly as the agent sent them, without asking for token counts")
	flags.StringVar(&f.fromJournal, "from-journal", "", "convert this `file` instead of recording")
	flags.StringVar(&f.name, "name", "", "name of the data set (default: that of the file)")
	flags.StringVar(&f.license, "license", "", "licence of the content, as an SPDX identifier")
	return c
}

func runRecord(c *cobra.Command, f recordFlags) error {
	if err := f.out.check(); err != nil {
		return err
	}
	if (f.upstream == "") == (f.fromJournal == "") {
		return fault.Misuse(errors.New("either --upstream or --from-journal: one is required"))
	}
	journal := f.fromJournal
	if journal == "" {
		journal = f.out.path + ".journal"
		if err := f.record(c, journal); err != nil {
			return err
		}
	}
	return f.convert(c, journal)
}

// record records until the command is interrupted.
func (f recordFlags) record(c *cobra.Command, file string) (err error) {
	if err := checkListen(f.listen, f.allowRemote); err != nil {
		return err
	}
	upstream, err := url.Parse(f.upstream)
	if err != nil {
		return fault.Misuse(fmt.Errorf("--upstream: %w", err))
	}
	rules, err := f.readRules()
	if err != nil {
		return fault.Misuse(err)
	}
	log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
	proxy, err := record.New(record.Options{Upstream: upstream, AsSent: f.asSent, Log: log})
	if err != nil {
		return fault.Misuse(fmt.Errorf("--upstream: %w", err))
	}
	ln, err := (&net.ListenConfig{}).Listen(c.Context(), "tcp", f.listen)
	if err != nil {
		return fmt.Errorf("listening on %s: %w", f.listen, err)
	}
	journal, err := record.CreateJournal(file, record.JournalOptions{Upstream: upstream, Rules: rules, Replace: f.out.force, Log: log})
	if err != nil {
		ln.Close()
		if errors.Is(err, fs.ErrExist) {
			err = fault.Hint(err, "it may hold a recording that was not converted: --from-journal %s converts it, --force replaces it", file)
		}
		return err
	}
	fmt.Fprintf(c.OutOrStdout(), "recording http://%s%s to %s; Ctrl-C ends it\n", ln.Addr(), strings.TrimSuffix(upstream.Path, "/"), file)
	return f.serve(c, proxy, journal, ln, file)
}

// serve serves, closes the journal and says what was not recorded.
func (f recordFlags) serve(c *cobra.Command, proxy *record.Proxy, journal *record.Journal, ln net.Listener, file string) error {
	err := proxy.Serve(c.Context(), journal, ln)
	written, failed := journal.Close()
	passed := proxy.Passed()
	for _, what := range slices.Sorted(maps.Keys(passed)) {
		fmt.Fprintf(c.ErrOrStderr(), "forwarded and not recorded: %s (%d x)\n", what, passed[what])
	}
	if err := errors.Join(err, failed); err != nil {
		return fault.Hint(err, "%d exchanges are in %s: --from-journal converts them", written, file)
	}
	if written == 0 {
		return fault.Hint(errors.Join(errors.New("no request was recorded"), os.Remove(file)), "docs/record.md says how to point an agent at the proxy")
	}
	return nil
}

// readRules reads the rules of what is secret; no file, no rules but the built-in ones.
func (f recordFlags) readRules() (rules record.Rules, err error) {
	if f.rules == "" {
		return rules, nil
	}
	data, err := os.ReadFile(f.rules)
	if err != nil {
		return rules, fmt.Errorf("reading the rules: %w", err)
	}
	return record.ParseRules(data, f.rules)
}

// convert makes the trajectory file of a journal.
func (f recordFlags) convert(c *cobra.Command, file string) error {
	if _, err := os.Stat(file); err != nil {
		return fault.Misuse(fmt.Errorf("--from-journal: %w", err))
	}
	d, reports, err := trajectory.Limits{}.Import([]string{file}, trajectory.Journal)
	for _, r := range reports {
		fmt.Fprint(c.ErrOrStderr(), r)
	}
	if err != nil {
		return fault.Hint(err, "what was said is in %s", file)
	}
	if err := printRedacted(c.ErrOrStderr(), file); err != nil {
		return err
	}
	d.Describe(f.name, f.license, "recorded by runner record")
	return f.out.write(c, d)
}

// printRedacted says how often each rule found something.
func printRedacted(w io.Writer, file string) error {
	counts, err := record.Redacted(file)
	if err != nil {
		return err
	}
	for _, rule := range slices.Sorted(maps.Keys(counts)) {
		n := counts[rule]
		fmt.Fprintf(w, "redacted: %s, %d different, in %d places of the journal\n", rule, n.Secrets, n.Places)
	}
	return nil
}
