package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/shared/archive"
	"agentwatt/shared/bus"
	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

func exportCommand() *cobra.Command {
	var e export
	c := &cobra.Command{
		Use:   "export",
		Short: "Write what a bus or a hub has stored into archives that meterd verify checks",
		Long: `export writes the messages of each host, exactly as they are stored, into a file in the
output directory, which is made for it; from a hub also what the hub has signed
(*.checkpoints.zst). meterd verify checks them anywhere, at any later time.`,
		Example: `  meterd export -o archive
  meterd export --bus tls://hub:4222 --nkey reader.key --from 2026-11-01T00:00:00Z -o archive`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error { return e.run(c.Context(), c.OutOrStdout()) },
	}
	f := c.Flags()
	f.StringVar(&e.url, "bus", defaultBus, "`URL` of the bus, or of a hub")
	addCredentials(c, &e.as)
	f.StringVar(&e.from, "from", "", "`time` (RFC 3339) of the first message; empty: from the beginning")
	f.StringVar(&e.until, "until", "", "and of the last; empty: now")
	f.StringVar(&e.kind, "stream", bus.Power, "`name` of the stream: POWER, ROLLUP_1S, ROLLUP_1M, ROLLUP_1H")
	f.StringVarP(&e.dir, "output", "o", "", "`directory` that is made for the archives")
	return c
}

// export is one run of meterd export.
type export struct {
	url, from, until, kind, dir string
	as                          bus.Credentials
}

func (e *export) run(ctx context.Context, out io.Writer) error {
	if e.dir == "" {
		return fault.Hint(fault.Misuse(errors.New("where to? no output directory is named")), "meterd export -o archive")
	}
	from, err := parseTime("--from", e.from)
	if err != nil {
		return err
	}
	until, err := parseTime("--until", e.until)
	if err != nil {
		return err
	}
	if until == 0 {
		until = clock.At(time.Now())
	}
	conn, err := bus.Dial(ctx, e.url, e.as)
	if err != nil {
		return fault.Hint(err, "is meterd run running, and is this the address that it logged as bus?")
	}
	defer conn.Close()
	streams, err := conn.Streams(ctx)
	if err != nil {
		return err
	}
	if err := os.Mkdir(e.dir, 0o755); err != nil {
		return fmt.Errorf("make the output directory: %w", err)
	}
	for _, s := range streams {
		if s != e.kind && !strings.HasPrefix(s, e.kind+"-") {
			continue
		}
		if err := e.stream(ctx, conn, s, from, until, slices.Contains(streams, bus.Witness), out); err != nil {
			return err
		}
	}
	return nil
}

// stream writes the archive of one stream, and what the hub says of it.
func (e *export) stream(ctx context.Context, conn *bus.Conn, stream string, from, until clock.Stamp, hub bool, out io.Writer) error {
	name := filepath.Join(e.dir, archive.Safe(stream)+archive.Suffix)
	n, err := write(name, func(add func(bus.Message) error) error { return conn.ReadStream(ctx, stream, from, until, add) })
	if err != nil {
		return fmt.Errorf("export %s: %w", stream, err)
	}
	fmt.Fprintf(out, "%s: %d messages\n", name, n)
	if !hub {
		return nil
	}
	name = strings.TrimSuffix(name, archive.Suffix) + checkpointSuffix
	n, err = write(name, func(add func(bus.Message) error) error {
		return conn.ReadStream(ctx, bus.Witness, from, until, func(m bus.Message) error {
			if m.Source != stream {
				return nil
			}
			return add(m)
		})
	})
	if err != nil {
		return fmt.Errorf("export the checkpoints of %s: %w", stream, err)
	}
	fmt.Fprintf(out, "%s: %d checkpoints\n", name, n)
	return nil
}

// write makes an archive of the messages that read hands over, and returns how many there were.
func write(name string, read func(add func(bus.Message) error) error) (n int, err error) {
	w, err := archive.Append(name)
	if err != nil {
		return 0, err
	}
	err = read(func(m bus.Message) error {
		n++
		return w.Add(archive.Record{Sequence: m.Sequence, Stored: m.Stored, Payload: m.Payload})
	})
	return n, errors.Join(err, w.Close())
}

// parseRFC3339 reads a time.
func parseRFC3339(text string) (clock.Stamp, error) {
	t, err := time.Parse(time.RFC3339, text)
	return clock.At(t), err
}
