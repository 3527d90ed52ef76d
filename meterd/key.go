package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"agentwatt/shared/evidence"
)

func keyCommand() *cobra.Command {
	var f flags
	var file string
	c := &cobra.Command{
		Use:   "key",
		Short: "Show the public key of this host, or of a reader, and make it if there is none",
		Long: `key prints the public key by which a hub knows this host, and by which meterd verify knows
its signatures. With --file it is the key of a reader, for bus.readers, for the readers
of a hub and for --nkey. If there is no key yet it is made, in a file of mode 600. The
secret half is never printed.`,
		Example: `  meterd key -c /etc/meterd/meterd.yaml
  meterd key --file reader.key`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := func() (*evidence.Key, error) {
				if file != "" {
					return evidence.LoadKey(file)
				}
				conf, err := f.load()
				if err != nil {
					return nil, err
				}
				return hostKey(conf)
			}()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), key.Public())
			return err
		},
	}
	c.Flags().StringVarP(&f.file, "config", "c", "", "configuration `file` of meterd")
	c.Flags().StringVar(&f.dir, "dir", "", "`directory` of its store, instead of bus.dir")
	c.Flags().StringVar(&file, "file", "", "key `file` of a reader, instead of the host's")
	return c
}
