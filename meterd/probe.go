package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/spf13/cobra"

	"agentwatt/shared/clock"
	"agentwatt/shared/fault"
)

func probeCommand() *cobra.Command {
	var f flags
	var asJSON bool
	c := &cobra.Command{
		Use:   "probe",
		Short: "Show what can be metered on this host, and what is missing",
		Long: `probe opens every source, reads it for a few seconds, and prints each meter: what its
values are, which part of the system they cover, how often they really change, and
what a read costs. Then it lists what cannot be metered, why, and how to change that.
It publishes nothing. It fails (exit code 1) if there is no meter at all.`,
		Example: `  meterd probe
  meterd probe --json | jq '.sources[].meters[].id'`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			conf, err := f.load()
			if err != nil {
				return err
			}
			s, err := probe(c.Context(), conf)
			if err != nil {
				return err
			}
			if asJSON {
				e := json.NewEncoder(c.OutOrStdout())
				e.SetIndent("", "  ")
				if err := e.Encode(s); err != nil {
					return err
				}
			} else {
				s.print(c.OutOrStdout())
			}
			if len(s.Sources) == 0 {
				return errors.New("nothing can be metered on this host")
			}
			return nil
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// probe surveys the host. The sources of the host are read one after the other, so that they do not slow each other down; devices
// on the network are read side by side.
func probe(ctx context.Context, conf config) (s survey, err error) {
	if s.Host, err = conf.hostname(); err != nil {
		return s, err
	}
	now := clock.New()
	found, missing, err := openSources(ctx, conf, now.Now, nil)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, closeSources(found)) }()
	s.Absent = []absenceSurvey{}
	if s.Sources, err = surveyAll(ctx, found); err != nil {
		return s, err
	}
	for _, m := range missing {
		s.Absent = append(s.Absent, absenceSurvey{m.name, m.err.Error(), fault.Advice(m.err)})
	}
	return s, nil
}
