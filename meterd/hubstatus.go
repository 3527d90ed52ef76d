package main

import (
	"fmt"
	"io"
	"log/slog"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"agentwatt/shared/bus"
)

func hubStatusCommand() *cobra.Command {
	var f hubFlags
	c := &cobra.Command{
		Use:     "status",
		Short:   "Show each mirror of the hub, how far it is and what was last signed",
		Example: "  meterd hub status -c hub.yaml",
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			h, o, key, err := f.load()
			if err != nil {
				return err
			}
			w, err := bus.OpenWarden(c.Context(), h.url(), h.CAFile, key, o, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			defer w.Close()
			mirrors, err := w.Mirrors(c.Context())
			if err != nil {
				return err
			}
			printMirrors(c.OutOrStdout(), mirrors, time.Now())
			return nil
		},
	}
	f.add(c)
	return c
}

// printMirrors prints one line for each mirror.
func printMirrors(w io.Writer, mirrors []bus.Mirror, now time.Time) {
	if len(mirrors) == 0 {
		fmt.Fprintln(w, "no mirrors yet")
		return
	}
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tab, "MIRROR\tFIRST\tLAST\tBYTES\tBEHIND\tSEEN\tSIGNED")
	for _, m := range mirrors {
		behind, seen, signed := "not known: the host is away", "never", "never"
		if m.Connected {
			behind = fmt.Sprint(m.Behind)
		}
		if !m.LastTime.IsZero() {
			seen = ageText(now.Sub(m.LastTime)) + " ago"
		}
		if c := m.Checkpoint; c != nil {
			signed = fmt.Sprintf("%d, %s ago", c.Sequence, ageText(now.Sub(c.Time.Time())))
			if c.Contradiction != "" {
				signed += "; CONTRADICTION: " + c.Contradiction
			}
		}
		fmt.Fprintf(tab, "%s\t%d\t%d\t%d\t%s\t%s\t%s\n", m.Name, m.First, m.Last, m.Bytes, behind, seen, signed)
	}
	tab.Flush()
}
