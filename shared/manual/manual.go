// Package manual makes man pages: of a program from its commands, and of its configuration from the comments in the reference file.
package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"agentwatt/shared/fault"
)

// Program says of what pages are made.
type Program struct {
	Section   string // of the manual for its commands: 1, or 8 for what the administrator runs
	Version   string
	File      string // name of the configuration file, whose page is in section 5
	About     string // what the file is, for the first line of its page
	Reference []byte // every setting with its default, commented
}

// Command returns the hidden command that writes the pages of the program that it is added to. The date on them is that of
// SOURCE_DATE_EPOCH, if it is set, so that the same sources give the same bytes.
func Command(p Program) *cobra.Command {
	return &cobra.Command{
		Use:     "man DIRECTORY",
		Short:   "Write the manual pages into a directory",
		Example: "  man /usr/local/share/man/man" + p.Section,
		Hidden:  true, // for packages; who reads manuals has them installed
		Args: func(c *cobra.Command, args []string) error {
			return fault.Misuse(cobra.ExactArgs(1)(c, args))
		},
		RunE: func(c *cobra.Command, args []string) error { return p.write(c.Root(), args[0]) },
	}
}

func (p Program) write(root *cobra.Command, dir string) error {
	date, err := epoch(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return err
	}
	root.DisableAutoGenTag = true // its line has today's date
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Hidden = true // packages have the scripts where shells look for them
		}
	}
	h := doc.GenManHeader{Section: p.Section, Source: root.Name() + " " + p.Version, Manual: "AgentWatt", Date: &date}
	if err := doc.GenManTree(root, &h, dir); err != nil {
		return fmt.Errorf("write the manual pages: %w", err)
	}
	page := settings(p.File, p.About, h.Source, date, p.Reference)
	if err := os.WriteFile(filepath.Join(dir, p.File+".5"), page, 0o644); err != nil {
		return fmt.Errorf("write the manual page: %w", err)
	}
	return nil
}

// epoch is the time that a build is said to be of: seconds since 1970, as reproducible-builds.org has it, or now.
func epoch(seconds string) (time.Time, error) {
	if seconds == "" {
		return time.Now().UTC(), nil
	}
	var s int64
	if _, err := fmt.Sscanf(seconds, "%d", &s); err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: %w", seconds, err)
	}
	return time.Unix(s, 0).UTC(), nil
}
